"""Headers: what is read, what is refused and on which line, and that nothing else can happen."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentflow.errors import UsageError
from agentflow.frontmatter import MAX_HEADER, Header, read_header, read_markdown, split_header
from tests.growth import check_growth, repeated


def test_scalars_stay_text_and_keys_have_lines() -> None:
    text = (
        "---\nid: 1_000\ncountry: no\n\n# comment\nlist: [a, 'b, c']\nmap:\n  on: 0x1f\n"
        "when: 2020-01-01\n1: 2\nempty:\n---\n\n# Title\n"
    )
    assert read_header(text, where="f.md") == Header(
        {
            "id": "1_000",
            "country": "no",
            "list": ["a", "b, c"],
            "map": {"on": "0x1f"},
            "when": "2020-01-01",
            "1": "2",
            "empty": "",
        },
        {"id": 2, "country": 3, "list": 6, "map": 7, "when": 9, "1": 10, "empty": 11},
        "\n# Title\n",
        present=True,
    )


@pytest.mark.parametrize(
    ("text", "fields", "body"),
    [
        ("# Title\n", {}, "# Title\n"),
        ("", {}, ""),
        ("text\n---\na: b\n---\n", {}, "text\n---\na: b\n---\n"),
        ("-----\ntext", {}, "-----\ntext"),
        ("---\n---\nbody", {}, "body"),
        ("---\n# only a comment\n---\nbody", {}, "body"),
        ("---\na: b\n---", {"a": "b"}, ""),
        ("--- \t\na: b\n---  \nbody\n---\nmore", {"a": "b"}, "body\n---\nmore"),
        ("---\r\na: b\r\n---\r\nbody\r\n", {"a": "b"}, "body\r\n"),
        ("\ufeff---\na: b\n---\nbody", {"a": "b"}, "body"),
        ("\n \n---\na: b\n---\nbody", {"a": "b"}, "body"),
        ("---\na: |\n  x\n  --- y\n---\nbody", {"a": "x\n--- y\n"}, "body"),
        ("---\na: !!python/object/apply:os.system [x]\n---\n", {"a": ["x"]}, ""),
        ("---\n<<: {a: b}\n---\n", {"<<": {"a": "b"}}, ""),
    ],
)
def test_header_and_body_are_told_apart(text: str, fields: dict[str, str], body: str) -> None:
    header = read_header(text, where="f.md")
    assert (header.fields, header.body) == (fields, body)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("---\na: b: c\n---\n", "f.md:2: the header is not valid YAML: `: ` stands where no key"),
        (
            "\n\n---\nok: 1\na: b: c\n---\n",
            "f.md:5: the header is not valid YAML: `: ` stands where no key",
        ),
        (
            "---\na: 1\nb: 2\na: 3\n---\n",
            "f.md:4: the header is not valid YAML: the key 'a' stands",
        ),
        ("---\nm:\n  a: 1\n  a: 2\n---\n", "f.md:4: the header is not valid YAML: the key 'a'"),
        ("---\nm: {a: 1, a: 2}\n---\n", "f.md:2: the header is not valid YAML: the key 'a'"),
        ("---\na: &x 1\nb: *x\n---\n", "f.md:3: the header is not valid YAML: aliases"),
        ("---\nallow: **/*.py\n---\n", "f.md:2: the header is not valid YAML: "),
        ("---\na:\n\tb: 1\n---\n", "f.md:3: the header is not valid YAML: found character '\\t'"),
        ("---\n- a\n---\n", "f.md:2: the header is not valid YAML: it must be `key: value` lines"),
        ("---\njust text\n---\n", "f.md:2: the header is not valid YAML: it must be"),
        ("---\n? [a]\n: b\n---\n", "f.md:2: the header is not valid YAML: found unhashable key"),
        (
            "---\nb: 1\n'a: b\nc: 2\nd: 3\n---\n",
            "f.md:3: the header is not valid YAML: the quotation mark that begins here is not closed",
        ),
        (
            "---\nb: 1\nallow: [x, y\nc: 2\n---\n",
            "f.md:3: the header is not valid YAML: the list that `[` begins here is not closed",
        ),
        (
            "---\nb: 1\ngates: {x: y\nc: 2\n---\n",
            "f.md:3: the header is not valid YAML: what `{` begins here is not closed",
        ),
        (
            "---\nb: 1\ntitle x\nc: 2\n---\n",
            "f.md:3: the header is not valid YAML: a line must be `key: value`",
        ),
        ("---\nb: 1\na: [x: {y: z: 1}]\nc: 2\n---\n", "f.md:3: the header is not valid YAML: "),
        ("---\na: 1\n...\nb: 2\n---\n", "f.md:4: the header is not valid YAML: "),
        ("---\na: 1\nb: \x01\n---\n", "f.md:3: the header holds the character U+0001"),
        ("---\na: 1\nb: 2\n", "f.md: the header that `---` begins is not closed"),
        ("---\ra: 1\r---\rbody", "f.md: the header that `---` begins is not closed"),
        ("---yaml\na: 1\n---\n", "f.md: the header that `---` begins is not closed"),
        ("\ufeff\ufeff---\na: 1\n---\n", "f.md: the header that `---` begins is not closed"),
        (" ---\na: 1\n---\n", "f.md: the header that `---` begins is not closed"),
        ("---\n" + "[" * 20_000 + "\n---\n", "f.md: the header nests too deeply"),
        ("---\n" + "- " * 20_000 + "x\n---\n", "f.md: the header nests too deeply"),
        ("---\n" + "{a: " * 10_000 + "\n---\n", "f.md: the header nests too deeply"),
        (f"---\na: {'x' * 1_000_000}\n---\n", f"f.md: the header is longer than {MAX_HEADER}"),
    ],
)
def test_what_is_malformed_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_header(text, where="f.md")
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        ("", "["), ("", "- "), ("", "{a: "), ("", "- a\n"), ("", " \n"), ("", "? "), ("", "&a "),
        ("a: ", "x"), ("a: ", "'"), ("a: ", '"\\'), ("a: ", "!"), ("a: ", "x\n "), ("a: |\n", " x\n"),
        ("a: ", "x: "),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n---\n", ""])
def test_time_grows_with_the_length_only(begin: str, piece: str, end: str) -> None:
    def read(text: str) -> None:
        with suppress(UsageError):
            read_header(text, where="f.md")

    middle = repeated(piece)
    check_growth(read, lambda size: f"---\n{begin}{middle(size)}{end}", MAX_HEADER - 20)


def test_time_grows_with_the_number_of_keys_only() -> None:
    def made(size: int) -> str:
        return "---\n" + "".join(f"k{number}: 1\n" for number in range(size)) + "---\n"

    check_growth(lambda text: read_header(text, where="f.md"), made, 4_000)


def test_a_billion_laughs_are_refused_at_the_first_alias() -> None:
    lines = ["a0: &a0 [lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    with pytest.raises(UsageError, match=r"f\.md:3: .* aliases"):
        read_header("---\n" + "\n".join(lines) + "\n---\n", where="f.md")


def test_a_header_in_which_many_brackets_are_text_is_read() -> None:
    note = "'" + "[x] " * 100 + "'"
    assert read_header(f"---\na: {note}\n---\n", where="f").fields == {"a": note.strip("'")}


@given(st.one_of(st.text(), st.text("-\n\r abc:[]{}&*!|>'\"#,?\t\x00\x85\u2028")))
@example("---\n\x85\n---\n")
def test_no_text_does_more_than_be_refused(text: str) -> None:
    for whole in (text, f"---\n{text}\n---\nbody"):
        with suppress(UsageError):
            header = read_header(whole, where="f.md")
            assert header.fields.keys() == header.lines.keys()


BODIES = st.text().filter(lambda text: "---" not in text)


@given(BODIES, st.sampled_from(["\n", "\r\n"]))
def test_the_body_is_kept_byte_for_byte(body: str, end: str) -> None:
    header = read_header(f"---{end}a: b{end}---{end}{body}", where="f.md")
    assert (header.fields, header.body) == ({"a": "b"}, body)
    assert read_header(f"x{body}", where="f.md").body == f"x{body}"
    assert split_header(f"---\n{body}") == (None, f"---\n{body}", 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a\xff", "is not UTF-8 text (byte 1)"),
        (b"a\0b", "is not text (a NUL byte at 1)"),
        (b"x" * 101, "is larger than 100 bytes"),
        (b"x" * 99 + "é".encode() + b"x", "is"),
        (b"---\na: b: c\n---\n", "the header is not valid YAML"),
    ],
)
def test_a_file_that_is_no_short_text_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "f.md"
    path.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        read_markdown(path, limit=100)
    assert caught.value.message.startswith(str(path))
    assert message in caught.value.message


def test_a_file_gives_its_bytes_and_its_header(tmp_path: Path) -> None:
    path = tmp_path / "f.md"
    data = "\ufeff---\r\na: é\r\n---\r\nx".encode()
    path.write_bytes(data)
    assert read_markdown(path, limit=100) == (data, Header({"a": "é"}, {"a": 2}, "x", present=True))
    path.write_bytes(b"")
    assert read_markdown(path, limit=100) == (b"", Header({}, {}, "", present=False))


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path, reason in [(tmp_path / "no.md", "No such file"), (tmp_path, "Is a directory")]:
        with pytest.raises(UsageError, match=f"^cannot read {path}: {reason}"):
            read_markdown(path, limit=100)


def test_an_endless_file_is_read_up_to_the_limit() -> None:
    with pytest.raises(UsageError, match="larger than 100 bytes"):
        read_markdown(Path("/dev/zero"), limit=100)
