"""Handoff blocks: what one team or agent asks of another, read as people write it.

Nothing is guessed: what a block does not say stays empty, and `questions.py` asks for it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.tasks.handoff_blocks import (
    Block,
    Fences,
    find_blocks,
    quoted,
    unwrapped,
    without_quote,
)
from agentflow.tasks.handoff_labels import Section, sections_of, take_apart

MAX_HANDOFF = 1024 * 1024
"""Bytes, as for a task: a block is read into the first message."""
MAX_LINES = 100_000
MAX_BLOCKS = 100
"""Of one text; the largest public file of handoffs has held six."""
LABELS = {
    "trigger": "Trigger",
    "work": "Expected backend work",
    "context": "Frontend context",
    "services": "Service(s)",
    "contract": "Contract requirements",
    "endpoints": "Endpoints",
}
"""The fields, and their labels in the prompt that produces these blocks."""

_ENDPOINT = re.compile(
    r"\b(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)[`*]{0,3}[ \t]{1,4}[`*\"']{0,3}"
    r"(?:https?://[^/\s\"'`]{1,200})?(/[^\s`\"'|,;)?]{0,300})"
)
_URL = re.compile(r"https?://[^/\s\"'`]{1,200}(/[^\s`\"'|,;)?]{0,300})")
_METHOD = re.compile(r"(?:-X|--request)[ =]?[\"']?([A-Z]{3,7})\b")
_ITEM = re.compile(r"\A[ \t]*(?:[-*+\u2022]|\d{1,3}[.)])[ \t]+")
_SEPARATORS = re.compile(r"[,;\n]|[ \t]\+[ \t]|[ \t]/[ \t]|[ \t]&[ \t]|[ \t](?:and|e|und|et)[ \t]")
_BRACKETED = re.compile(r"\([^()\n]*\)")
_REMARK = re.compile(r"\(.*|(?<=[ \t])[-\u2013\u2014][ \t].*|:(?:[ \t].*|\Z)", re.DOTALL)
_NOBODY = {"", "?", "-", "tbd", "tba", "unknown", "n/a", "na", "none", "not sure", "unclear"}
_PLACEHOLDER = re.compile(r"(?:[ \t]*(?:[-*+][ \t]+)?\[[^\[\]\n]{2,200}\](?!\()[ \t.]*(?:\n|\Z))+")


@record
class Problem:
    """What is odd about a text, and where."""

    line: int
    """From 1."""
    message: str


@record
class Endpoint:
    """One endpoint that a block names."""

    method: str
    path: str
    line: int


@record
class Handoff:
    """One block. A field that nothing fills is empty."""

    text: str
    """The block as written, without its delimiters, with `\\n` at line ends."""
    line: int
    """Its first line, from 1."""
    recipient: str = ""
    """Whom it is for, in small letters: `backend`, `frontend`, or empty."""
    trigger: str = ""
    """Why; what stands before the first label, if no label says it."""
    work: str = ""
    context: str = ""
    services: tuple[str, ...] = ()
    """Names as written, without remarks."""
    contract: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    """Every endpoint that the block names, each once."""
    other: tuple[Section, ...] = ()
    """Sections under labels that fill no field, in their order."""
    lines: Mapping[str, int] = field(default_factory=dict[str, int])
    """The line of each field that a label fills."""
    problems: tuple[Problem, ...] = ()


@record
class Handoffs:
    """All blocks of a text."""

    blocks: tuple[Handoff, ...]
    around: str
    """What stands outside of them."""


def read_handoffs(text: str, *, where: str) -> Handoffs:
    """Read every block of a text.

    Raises `UsageError` naming `where`, for a text that is too long (`MAX_HANDOFF`, `MAX_LINES`,
    `MAX_BLOCKS`), not text, or without anything that looks like a block.
    """
    if len(text) > MAX_HANDOFF or len(text.encode("utf-8", "replace")) > MAX_HANDOFF:
        raise UsageError(f"{where} is longer than {MAX_HANDOFF} bytes")
    if "\0" in text:
        raise UsageError(f"{where} is not text: it holds a NUL byte")
    lines = re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff"))
    if len(lines) > MAX_LINES:
        raise UsageError(f"{where} has more than {MAX_LINES} lines")
    lines = without_quote(lines)
    blocks = find_blocks(lines)
    if not blocks:
        first, end = unwrapped(lines)
        lines = [*[""] * first, *lines[first:end]]
        blocks = find_blocks(lines)
    if len(blocks) > MAX_BLOCKS:
        raise UsageError(f"{where} holds {len(blocks)} handoff blocks; {MAX_BLOCKS} are read")
    if blocks:
        return Handoffs(tuple(_read(block, lines) for block in blocks), _around(lines, blocks))
    whole = _read(Block("", 0, len(lines)), lines)
    if not _asks(whole):
        raise UsageError(
            f"{where} holds no handoff block",
            hint="A block stands between `--- BACKEND TASK HANDOFF ---` and `--- END HANDOFF ---`, "
            + "below `## For: backend`, or names `Expected backend work`.",
        )
    return Handoffs((whole,), "")


def _asks(handoff: Handoff) -> bool:
    """Whether an unmarked text has labels of a request."""
    return bool({"work", "services", "contract", "trigger"} & handoff.lines.keys())


def _around(lines: Sequence[str], blocks: Sequence[Block]) -> str:
    kept, position = list[str](), 0
    for block in blocks:
        kept += lines[position : block.opening]
        position = max(position, block.closing)
    return "\n".join((*kept, *lines[position:])).strip("\n")


def _read(block: Block, lines: Sequence[str]) -> Handoff:
    mine = list(lines[block.first : block.end])
    sections = take_apart(mine, quoted(mine), block.first + 1)
    found = {name: tuple(sections_of(sections, name)) for name in LABELS}
    said = {
        name: "\n\n".join(section.text for section in each if section.text)
        for name, each in found.items()
    }
    other = tuple(section for section in sections.outer if not section.meaning)
    return Handoff(
        text="\n".join(mine).strip("\n"),
        line=block.first + 1,
        recipient=block.recipient,
        trigger=said["trigger"] or sections.intro,
        work=said["work"],
        context=said["context"],
        services=tuple(
            dict.fromkeys(name for section in found["services"] for name in names(section.text))
        ),
        contract=said["contract"] or _expected_shape(found["work"]),
        endpoints=tuple(endpoints_in(mine, block.first + 1)),
        other=other,
        lines={name: each[0].line for name, each in found.items() if each},
        problems=tuple(_problems(block, mine, found)),
    )


def _expected_shape(work: Sequence[Section]) -> str:
    """What is below `Expected:`, if that is code: a shape is expected then."""
    shapes = (section.text for section in work if section.name.lower() == "expected")
    return "\n\n".join(text for text in shapes if text.lstrip().startswith(("```", "~~~")))


def names(text: str) -> tuple[str, ...]:
    """The names of services in a field: a list in any form, up to its first blank line, without
    remarks; of an item with code marks only what is in them."""
    paragraph = re.split(r"\n[ \t]*\n", text.strip("\n"), maxsplit=1)[0]
    lines = (_ITEM.sub("", line[:10_000], count=1) for line in paragraph.split("\n"))
    items = (item for line in lines for item in _SEPARATORS.split(_BRACKETED.sub("", line)))
    plain = (_name(item).strip(" \t`*_.\"'") for item in items)
    return tuple(dict.fromkeys(name for name in plain if name.lower() not in _NOBODY))


def _name(item: str) -> str:
    code = re.search(r"`([^`\n]{1,200})`", item)
    return code[1] if code else _REMARK.sub("", item)


def endpoints_in(lines: Sequence[str], first: int = 1) -> Iterator[Endpoint]:
    """Every endpoint that these lines name, each once; `first` is the number of the first line."""
    seen: set[tuple[str, str]] = set()
    for number, line in enumerate(lines, first):
        named = [(method, path) for method, path in _ENDPOINT.findall(line)]
        if not named and "curl" in line:
            method = _METHOD.search(line)
            named = [(method[1] if method else "GET", path) for path in _URL.findall(line)]
        for method, path in named:
            plain = path.rstrip(".:*")
            if (method, plain) not in seen:
                seen.add((method, plain))
                yield Endpoint(method, plain, number)


def _problems(
    block: Block, lines: Sequence[str], found: Mapping[str, Sequence[Section]]
) -> Iterator[Problem]:
    if not block.closed:
        yield Problem(block.opening + 1, "the block that begins here has no end")
    fences, last = Fences(), block.first
    for index, line in enumerate(lines, block.first):
        before = fences.open
        fences.inside(line)
        last = index if fences.open and not before else last
    if fences.open:
        yield Problem(last + 1, "the code fence that begins here is not closed")
    for name, sections in found.items():
        labels = [section.name.lower() for section in sections]
        if len(set(labels)) < len(labels):
            yield Problem(sections[-1].line, f"a label of {LABELS[name]!r} stands twice")


def is_placeholder(text: str) -> bool:
    """Whether a text is a template's: nothing but lines in brackets."""
    return bool(_PLACEHOLDER.fullmatch(text.strip()))
