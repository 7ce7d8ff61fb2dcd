"""The labels of a handoff block: bold, as headings, as bullets, or plain; and what each means.

Labels nest: a bullet's label belongs to the bold label above it, an indented one to the one that it
is indented below, a smaller heading to the larger one. Nothing is lost by that: a section's text is
everything up to the next label of its rank.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from agentflow.frozen import record

MEANINGS: dict[str, str] = {
    **dict.fromkeys(("trigger", "triggers", "observed", "observed behavior", "observed behaviour"), "trigger"),
    **dict.fromkeys(
        (
            "expected backend work", "expected work", "backend work", "work", "requested work",
            "backend changes", "what to implement", "what you need to do",
            "what backend needs to do", "what the backend needs to do", "what we need",
            "what frontend needs", "what the frontend needs", "need", "expected",
            "expected behavior", "expected behaviour", "expected frontend work",
        ),
        "work",
    ),
    **dict.fromkeys(("frontend context", "backend context", "context"), "context"),
    **dict.fromkeys(("service", "services", "target service", "target services", "services affected", "affected services"), "services"),
    **dict.fromkeys(
        (
            "contract", "contracts", "contract requirement", "contract requirements",
            "api contract", "expected contract", "expected response shape",
            "expected request shape", "response shape", "request shape",
            "expected response", "expected request", "request/response shapes",
            "expected request/response shape", "expected request/response shapes",
        ),
        "contract",
    ),
    **dict.fromkeys(("endpoint", "endpoints", "endpoints called", "api endpoints", "endpoints affected"), "endpoints"),
}  # fmt: skip
"""Labels in small letters without signs, and the field that each fills. The five of the producing
prompts, and those of real blocks; every other label is kept under its own name."""

_BULLET = (
    r"(?P<bullet>[-*+\u2022][ \t]{1,5}|\d{1,3}[.)][ \t]{1,5})?"
    r"(?:[\u2190-\u2bff\U0001f000-\U0001faff]\ufe0f?[ \t]{1,5})?"
)
"""With a sign after it, as in `- 🎯 **Trigger**`."""
_BOLD = re.compile(
    rf"(?P<indent>[ \t]{{0,20}}){_BULLET}(?:\*\*(?P<a>[^*\n]{{1,80}})\*\*|__(?P<b>[^_\n]{{1,80}})__)"
    r"[ \t]{0,5}(?P<colon>[:\uff1a]?)(?P<value>.*)"
)
_HEADING = re.compile(r" {0,3}(?P<marks>#{1,6})[ \t]{1,20}(?P<label>[^\n]{1,120})")
_PLAIN = re.compile(
    rf"(?P<indent>[ \t]{{0,20}}){_BULLET}(?P<a>[A-Za-z][A-Za-z ()/'_-]{{2,50}}?)[ \t]{{0,5}}[:\uff1a]"
    r"(?P<value>(?:[ \t].*)?)"
)
_TITLE = re.compile(r"\bhandoff\b|\u2192|->", re.IGNORECASE)
_BOLD_RANK = 10
_BULLET_RANK = 20


@record
class Label:
    """A line that begins a section."""

    name: str
    """As written, without signs around it."""
    rank: int
    """Smaller ones enclose larger ones."""
    value: str
    """What stands behind it on its line."""

    @property
    def meaning(self) -> str:
        """The field that it fills; empty if nobody knows it."""
        return MEANINGS.get(normal(self.name), "")


@record
class Section:
    """A label and everything that belongs to it."""

    name: str
    text: str
    line: int
    """From 1, in the text that was read."""
    meaning: str = ""


@record
class Sections:
    """A block taken apart."""

    intro: str
    """What stands before the first label."""
    outer: tuple[Section, ...]
    """Sections that no other one encloses, in their order."""
    inner: tuple[Section, ...]
    """Enclosed sections with a known meaning."""


@lru_cache(1024)
def normal(name: str) -> str:
    """A label as labels are compared: small letters, no remarks, no signs around it."""
    plain = re.sub(r"\([sS]\)", "s", name)
    plain = re.sub(r"\([^()]*\)|_", " ", plain)
    return " ".join(re.sub(r"^[\W_]+|[\W_]+$", "", plain).lower().split())


def take_apart(lines: Sequence[str], hidden: Sequence[bool], first: int) -> Sections:
    """Find the sections of a block. `hidden` lines (fences, comments) hold no label; `first` is the
    number of the first line."""
    intro, single = list[str](), list[Section]()
    begun: list[tuple[int, Label]] = []
    for index, line in enumerate(lines):
        several = [] if hidden[index] else _several(line)
        if several:
            single += [_section(label, label.value, first + index) for label in several]
            continue
        label = None if hidden[index] else read_label(line)
        if label is not None:
            begun.append((index, label))
        elif not begun:
            intro.append(line)
    outer, inner = list[Section](), list[Section]()
    stack: list[tuple[int, Label, bool]] = []
    for index, label in [*begun, (len(lines), Label("", 0, ""))]:
        while stack and label.rank <= stack[-1][1].rank:
            start, open_label, enclosed = stack.pop()
            if enclosed and not open_label.meaning:
                continue
            text = "\n".join((open_label.value, *lines[start + 1 : index])).strip("\n ")
            (inner if enclosed else outer).append(_section(open_label, text, first + start))
        stack.append((index, label, bool(stack)))
    ordered = sorted((*outer, *single), key=lambda section: section.line)
    return Sections("\n".join(intro).strip("\n"), tuple(ordered), tuple(inner))


def read_label(line: str) -> Label | None:
    """The label that a line begins with, or None.

    A bold text is one if a colon is in it or after it, or if nothing else is on the line; a plain
    word only if it is known.
    """
    heading = _HEADING.fullmatch(line)
    if heading:
        name = heading["label"].strip(" #:*\t")
        return None if not name or _TITLE.search(name) else Label(name, len(heading["marks"]), "")
    bold = _BOLD.fullmatch(line)
    if bold:
        return _bold(bold)
    plain = _PLAIN.fullmatch(line)
    if plain and normal(plain["a"]) in MEANINGS:
        return Label(plain["a"], _rank(plain), plain["value"].strip())
    return None


def _bold(found: re.Match[str]) -> Label | None:
    name, value = (found["a"] or found["b"]).strip(), found["value"].strip()
    dash = re.match(r"[-\u2013\u2014][ \t]", value)
    known = normal(name) in MEANINGS
    numbered = (found["bullet"] or "")[:1].isdigit()
    said = found["colon"] or name.endswith((":", "\uff1a")) or (not value and not numbered)
    if not (said or (known and dash)) or (numbered and not known):
        return None
    return Label(name.rstrip(":\uff1a "), _rank(found), value[2:] if known and dash else value)


def _rank(found: re.Match[str]) -> int:
    indent = len(found["indent"].expandtabs(4))
    return _BULLET_RANK + indent if found["bullet"] else _BOLD_RANK + min(indent, 9)


def _several(line: str) -> list[Label]:
    """The labels of a line like `**From:** frontend | **Issue:** #1`; fewer than two are none."""
    if line.count("**") < 4 or "|" not in line or len(line) > 2_000:
        return []
    labels = [_BOLD.fullmatch(part.strip()) for part in line.split("|")]
    found = [label for each in labels if each and (label := _bold(each))]
    return found if len(found) == len(labels) else []


def _section(label: Label, text: str, line: int) -> Section:
    return Section(label.name, text, line, label.meaning)


def sections_of(sections: Sections, meaning: str) -> Iterator[Section]:
    """The sections that fill a field: the outer ones, or the enclosed ones if there are none."""
    found = [section for section in sections.outer if section.meaning == meaning]
    yield from found or (section for section in sections.inner if section.meaning == meaning)
