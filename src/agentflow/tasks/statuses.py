"""Statuses of batches and tasks: the words for them, and where in a line one stands."""

import re
from collections.abc import Sequence
from typing import Literal, get_args

from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.nearest import nearest

Status = Literal[
    "PENDING",
    "IN PROGRESS",
    "IMPLEMENTED",
    "COMPLETE",
    "BLOCKED",
    "FAILED",
    "PARTIAL",
    "DEFERRED",
    "SKIPPED",
    "CANCELLED",
    "VERIFIED",
]
STATUSES: tuple[Status, ...] = get_args(Status)
FINISHED: frozenset[Status] = frozenset({"COMPLETE", "VERIFIED"})
GIVEN_UP: frozenset[Status] = frozenset({"SKIPPED", "CANCELLED"})
PASSED_OVER: frozenset[Status] = frozenset({*GIVEN_UP, "BLOCKED", "DEFERRED"})

_SYNONYMS: dict[str, Status] = {
    **{status: status for status in STATUSES},
    "COMPLETED": "COMPLETE",
    "DONE": "COMPLETE",
    "CANCELED": "CANCELLED",
    "PARTIALLY COMPLETE": "PARTIAL",
    "NOT STARTED": "PENDING",
    "TODO": "PENDING",
}
_EMOJI: dict[Status, str] = {
    "PENDING": "⏸️",
    "IN PROGRESS": "🔄",
    "IMPLEMENTED": "🔄",
    "COMPLETE": "✅",
    "BLOCKED": "❌",
    "FAILED": "❌",
    "PARTIAL": "🔄",
    "DEFERRED": "⏸️",
    "SKIPPED": "⏭️",
    "CANCELLED": "❌",
    "VERIFIED": "✅",
}
"""What stands before the word in the documents of the field, mostly."""
_MARKS: dict[str, Status] = {"✅": "COMPLETE", "☑": "COMPLETE", "⏳": "PENDING", "⏸": "PENDING"}
"""Signs that say a status without a word."""

_SIGN = (
    "[🔲✅☑✔✓❌✗✖⏸⏳⌛⏭🔄🔁🚧🟡🟢🔴🟠🔵⚪⬜⛔🚫⚠🔨🕒📋🆕▶"
    + "\U0001f300-\U0001faff\u2600-\u27bf\u2b00-\u2bff]\ufe0f?"
)
_NAMES = sorted(_SYNONYMS, key=len, reverse=True)
_WORD = "|".join(name.replace(" ", "[ _-]") for name in _NAMES)
_TOKEN = re.compile(
    rf"(?P<mark>{_SIGN}[ \t]*)?(?:CODE )?(?<![\w./])(?<![A-Za-z]-)(?P<word>{_WORD})(?![\w./])(?!-[a-z])"
    + rf"(?P<after>[ \t]*{_SIGN})?",
    re.IGNORECASE,
)
_JOINED = re.compile(r"(?:[-\u2013—/:,]|->|→|\s){1,5}")
_BEFORE = re.compile(r"(?:^|[-\u2013—\[(:|*_`]|\[[ xX~]?\])[ \t]*$")
_AFTER = re.compile(r"[ \t]*(?:$|[-\u2013—\[\](|*_,;.]|`)")
_NOTE = re.compile(r"[ \t]*(?:[(\[].*[)\]][ \t]*)?")
_BARE = re.compile(rf"{_SIGN}(?=[ \t]*(?:$|`|\(|\[))")
_BOX = re.compile(r"\[([ xX])\]")
_BOX_FIRST = re.compile(r"[ \t:\u2013—-]{0,9}\[([ xX])\](?=[ \t])")
_BOX_LAST = re.compile(r"[ \t]\[([ xX])\]$")
_VALUE = re.compile(r"[ \t*_`]*(?:\[[ xX~]?\][ \t]*|\[)?")


@record
class StatusToken:
    """Where a status stands, sign and word together."""

    start: int
    """Offset in the text it was found in."""
    end: int
    text: str
    status: Status


def parse_status(text: str) -> Status:
    """The status that somebody typed. Raises `UsageError` naming the nearest."""
    name = re.sub(r"[\s_-]+", " ", text).strip().upper()
    if name not in _SYNONYMS:
        raise UsageError(
            f"{text!r} is not a status{nearest(name, STATUSES)}", hint=f"One of {_listed()}."
        )
    return _SYNONYMS[name]


def _listed() -> str:
    return ", ".join(STATUSES)


def in_heading(text: str) -> tuple[StatusToken | None, bool]:
    """The status in a heading's words, and whether several contradict each other.

    The word counts in capitals, or set off by a sign, dash or bracket with nothing but an
    annotation after it. `IN PROGRESS - IMPLEMENTED` is one status, the later one.
    """
    judged = (_judged(text, found) for found in _TOKEN.finditer(text))
    merged = _merge(text, [token for token in judged if token is not None])
    if len({token.status for token in merged}) > 1:
        return None, True
    if merged:
        return merged[-1], False
    signs = [token for each in _BARE.finditer(text) if (token := _of_sign(each)) is not None]
    return (signs[-1] if signs else None), False


def in_signs(text: str) -> Status | None:
    """What signs or a box before a heading's first word say, if they say one status:
    `## ✅ Batch 3: x`, `## [x] Batch 3: x`."""
    said: set[Status] = {_MARKS[each] for each in text if each in _MARKS}
    said |= {_box(found[1]) for found in _BOX.finditer(text)}
    return said.pop() if len(said) == 1 else None


def has_marks(text: str) -> bool:
    """Whether signs stand there that say a status without a word."""
    return not _MARKS.keys().isdisjoint(text)


def in_box(rest: str) -> Status | None:
    """What a box at the beginning or the end of a heading's words says: `## Batch 3 - x [ ]`."""
    found = _BOX_FIRST.match(rest) or _BOX_LAST.search(rest)
    return _box(found[1]) if found else None


def _box(tick: str) -> Status:
    return "COMPLETE" if tick.strip() else "PENDING"


def _of_sign(found: re.Match[str]) -> StatusToken | None:
    """The token of a sign that stands for a status without a word."""
    status = _MARKS.get(found[0].strip("\ufe0f"))
    return StatusToken(found.start(), found.end(), found[0], status) if status else None


def _judged(text: str, found: re.Match[str]) -> StatusToken | None:
    """The token, if it is more than a word of the name."""
    before, after = text[: found.start()], text[found.end() :]
    word = found["word"]
    signed = bool(found["mark"] or found["after"])
    set_off = signed or bool(_BEFORE.search(before))
    if word.isupper():
        return _token(found) if set_off or _NOTE.fullmatch(after) else None
    if set_off and _AFTER.match(after) and (signed or not after.strip(" \t])*_")):
        return _token(found)
    return None


def _token(found: re.Match[str]) -> StatusToken:
    return StatusToken(found.start(), found.end(), found[0], _normal(found["word"]))


def _normal(word: str) -> Status:
    return _SYNONYMS[re.sub(r"[ _-]", " ", word).upper()]


def _merge(text: str, found: Sequence[StatusToken]) -> list[StatusToken]:
    """Join `IN PROGRESS` with the status that directly follows it."""
    merged: list[StatusToken] = []
    for token in found:
        last = merged[-1] if merged else None
        if last and last.status == "IN PROGRESS" and _JOINED.fullmatch(text, last.end, token.start):
            merged[-1] = StatusToken(
                last.start, token.end, text[last.start : token.end], token.status
            )
        else:
            merged.append(token)
    return merged


def in_value(text: str) -> StatusToken | None:
    """The status that the value of a `**Status**` field begins with, else None."""
    start = _VALUE.match(text)
    begin = start.end() if start else 0
    found = _TOKEN.match(text, begin)
    sign = None if found else _BARE.match(text, begin)
    return _token(found) if found else _of_sign(sign) if sign else None


def written(status: Status, old: str, signs: dict[Status, str]) -> str:
    """The status as the old token was written: with or without a sign, in its case and joint.

    `signs` are those that the document itself uses; what it never says is taken from the field.
    """
    found = _TOKEN.fullmatch(old)
    if found and _normal(found["word"]) == status:
        return old
    if found is None:  # two joined ones, or a sign alone
        sign = _leading_sign(old)
        return f"{sign and signs.get(status, _EMOJI[status])}{' ' if sign else ''}{status}"
    word = _in_case(status, found["word"])
    sign = signs.get(status, _EMOJI[status])
    if found["mark"]:
        gap = found["mark"][len(found["mark"].rstrip()) :]
        return f"{sign}{gap}{word}"
    if found["after"]:
        gap = found["after"][: len(found["after"]) - len(found["after"].lstrip())]
        return f"{word}{gap}{sign}"
    return word


def _leading_sign(old: str) -> str:
    found = re.match(_SIGN, old)
    return found[0] if found else ""


def _in_case(status: Status, old: str) -> str:
    word: str = status
    if "_" in old or "-" in old:
        word = word.replace(" ", "_" if "_" in old else "-")
    if old.isupper():
        return word
    return word.lower() if old.islower() else word.capitalize()


def sign_of(token: StatusToken) -> str | None:
    """The sign of a token, as it is written, else None."""
    found = _TOKEN.fullmatch(token.text)
    sign = (found["mark"] or found["after"] or "").strip() if found else ""
    return sign or None
