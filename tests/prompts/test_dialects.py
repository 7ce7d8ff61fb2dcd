"""Headers that no YAML parser reads: what is taken from them, and what is an error."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentflow.prompts.dialects import Problem, read_dialect


@pytest.mark.parametrize(
    ("text", "parse", "fields", "body"),
    [
        ("text", "none", {}, "text"),
        ("---\na: b\n---\nx", "yaml", {"a": "b"}, "x"),
        (
            "---\ndescription: Use: it's <example>\\nuser: x</example>\nmodel: opus\n---\nx",
            "repaired",
            {"description": "Use: it's <example>\\nuser: x</example>", "model": "opus"},
            "x",
        ),
        ("---\r\na: b: c\r\nd: e\r\n---\r\nx", "repaired", {"a": "b: c", "d": "e"}, "x"),
        ("---\ntools: *\n---\nx", "repaired", {"tools": "*"}, "x"),
        (
            "---\nname: n\ndescription: a: b\nuser: not a key: of ours\n- x\nmodel: 'opus'\n---\nx",
            "scanned",
            {
                "name": "n",
                "description": "a: b\nuser: not a key: of ours\n- x",
                "model": "opus",
            },
            "x",
        ),
        (
            "---\ntools: [A, 'B']\nname: 'x\n---\nx",
            "scanned",
            {"tools": ["A", "B"], "name": "'x"},
            "x",
        ),
        ("---\nname: x\nname: y\n---\nz", "scanned", {"name": "x"}, "z"),
        ("---\nname: x\n\nbody", "scanned", {"name": "x"}, "---\nname: x\n\nbody"),
        ("# T\n---\nname: x\n---\nb", "scanned", {"name": "x"}, "# T\n---\nname: x\n---\nb"),
        ("# T\n---\ntext\n---\nb", "none", {}, "# T\n---\ntext\n---\nb"),
    ],
)
def test_each_way_of_reading(text: str, parse: str, fields: dict[str, object], body: str) -> None:
    dialect = read_dialect(text)
    assert (dialect.parse, dialect.header.fields, dialect.header.body) == (parse, fields, body)
    assert bool(dialect.problems) == (parse in {"repaired", "scanned"})
    assert all(each.severity == "warning" for each in dialect.problems)


def test_a_fallback_says_where_and_why() -> None:
    dialect = read_dialect("---\nname: x\ndescription: a: b\n---\nz")
    assert dialect.problems == (
        Problem(
            3,
            "warning",
            "header-repaired",
            "the header is not valid YAML: `: ` stands where no key can be; read with "
            "`description` quoted",
        ),
    )
    assert dialect.header.lines == {"name": 2, "description": 3}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("---\ndescription: a: b\n tools: Read\n---\nx", 3),
        ("---\ndescription: a: b\nmeta:\n  tools: Read\n---\nx", 4),
        ("---\ndescription: 'a\ntools: Read\ntools: Bash\n---\nx", 4),
        ("---\nname: x\ntools:Read\n---\nx", 3),
        ("---\nname: x\nd: a: b\n'mcp-tools':x\n---\nx", 4),
        ("---\nname: x\n\nbody\ntools: Read", 5),
    ],
)
def test_tools_that_cannot_be_told_are_an_error(text: str, line: int) -> None:
    errors = [each for each in read_dialect(text).problems if each.severity == "error"]
    assert [(each.line, each.code) for each in errors[:1]] == [(line, "tools-unclear")]


@given(st.one_of(st.text(), st.text("-\n\r abctols:[]{}&*!|>'\"#,?\t\x00\x85\u2028")))
@example("\x85---\n")
def test_no_text_is_too_odd(text: str) -> None:
    for whole in (text, f"---\n{text}\n---\nbody", f"---\ntools: a: b\n{text}\n---\nbody"):
        dialect = read_dialect(whole)
        assert dialect.header.fields.keys() == dialect.header.lines.keys()
        assert whole.endswith(dialect.header.body)
        assert dialect.problems or dialect.parse in {"yaml", "none"}
