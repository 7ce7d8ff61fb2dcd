"""The report as text: its parts, and what a hostile run can do to it."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from agentflow.details.diff import parse_patch
from agentflow.details.records import FileDiff
from agentflow.pages.code import coloured
from tests.golden import check_golden
from tests.report.pages import EVIL, PATCH, page

GOLDEN = Path(__file__).parent / "golden"
TOLD = {"h1", "h2", "h3", "summary", "dt", "dd", "li", "th", "button", "a"}
KNOWN = {
    "a", "body", "button", "code", "dd", "details", "div", "dl", "dt", "g", "h1", "h2", "h3", "head",
    "header", "html", "li", "line", "main", "meta", "nav", "noscript", "ol", "p", "polyline", "pre",
    "rect", "script", "section", "span", "strong", "style", "summary", "svg", "table", "tbody", "td",
    "template", "text", "th", "thead", "title", "tr", "ul",
}  # fmt: skip


class Outline(HTMLParser):
    """The elements of a page, and the text of those that structure it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.lines: list[str] = []
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # pyright: ignore[reportImplicitOverride]
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag in TOLD:
            self._open.append(tag)
            self.lines.append(f"{'  ' * (len(self._open) - 1)}{tag}:")

    def handle_endtag(self, tag: str) -> None:  # pyright: ignore[reportImplicitOverride]
        if tag in TOLD and self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:  # pyright: ignore[reportImplicitOverride]
        if self._open and data.strip():
            self.lines[-1] += " " + " ".join(data.split())


@pytest.mark.parametrize("name", ["sample", "failed"])
def test_a_report_has_its_parts(name: str) -> None:
    check_golden(GOLDEN / f"{name}.txt", "\n".join(Outline(page(name)).lines) + "\n")


def test_failures_come_first() -> None:
    text = page("failed")
    assert text.index("gate failed") < text.index("gate passed")


def test_nothing_that_a_run_wrote_becomes_markup() -> None:
    plain, evil = Outline(page("sample")), Outline(page("hostile"))
    assert set(evil.tags) <= KNOWN
    for tag in ("script", "style", "svg", "meta", "title", "nav"):
        assert evil.tags.count(tag) <= plain.tags.count(tag) + 2, tag
    assert evil.tags.count("script") == 1
    assert not [
        name for name in evil.attributes if name.startswith("on") or name in {"src", "style"}
    ]
    text = page("hostile")
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "{{ 7*7 }}" in text
    assert EVIL[:9] not in text.replace("</script>\n</body>", "")


def test_the_policy_allows_our_script_and_our_style_alone() -> None:
    text = page("hostile")
    for kind in ("style", "script"):
        (content,) = re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src &#39;sha256-{digest}&#39;" in text
    assert "default-src &#39;none&#39;" in text
    assert "http:" not in text
    assert "https:" not in text


def test_a_patch_is_read_line_by_line() -> None:
    store, logo = parse_patch(PATCH)
    assert (store.path, store.status, store.insertions, store.deletions) == (
        "notes/store.py", "changed", 3, 1,
    )  # fmt: skip
    lines = [(line.sign, line.old, line.new) for line in store.hunks[0].lines]
    assert lines == [
        (" ", 1, 1), ("-", 2, None), ("+", None, 2), ("+", None, 3), ("+", None, 4),
        (" ", 3, 5), (" ", 4, 6),
    ]  # fmt: skip
    assert (logo.path, logo.status, logo.binary) == ("logo.png", "added", True)
    assert parse_patch("") == ()


def test_a_long_patch_is_cut_and_counted() -> None:
    head = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -0,0 +1,5000 @@\n"
    (file,) = parse_patch(head + "+y\n" * 5000)
    assert (file.insertions, len(file.hunks[0].lines), file.left_out) == (5000, 2000, 3000)


def _code(path: str, text: str) -> FileDiff:
    head = f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -0,0 +1,9 @@\n"
    return parse_patch(head + "".join(f"+{line}\n" for line in text.splitlines()))[0]


def test_code_is_coloured_across_lines_and_stays_text() -> None:
    ((first, second, third),) = coloured(_code("a.py", 'x = """<b>\n</b>"""\ny = 1'))
    assert 'class="st"' in first
    assert 'class="st"' in second
    assert "&lt;b&gt;" in first
    assert 'class="nu"' in third
    ((unknown,),) = coloured(_code("a.unknown", "<script>"))
    assert unknown == "&lt;script&gt;"
    ((wide,),) = coloured(_code("a.py", "x = '" + "<" * 600 + "'"))
    assert wide == "x = &#39;" + "&lt;" * 600 + "&#39;"
