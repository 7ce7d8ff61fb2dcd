"""Dependencies of batches and tasks: `None`, `Batch 1 complete`, `Tasks 1.1-1.4`, prose."""

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Literal

from agentflow.frozen import record

ID = r"-?\d{1,4}(?:[A-Z]|(?-i:-[A-Z])(?!\w))?(?:\.\d{1,4}[A-Za-z]?){0,3}"
"""`1`, `2A`, `2-A`, `1.5`, `-1`."""

_MAX_RANGE = 200
_MAX_REFERENCES = 500
"""Of one field: ranges are not unrolled beyond that. Real ones have a few dozen."""
_ASIDE = re.compile(r"\([^()]{0,2000}\)")
_END = re.compile(
    r";|\b(?:can run|may run|parallel|independent|no direct|not? depend|blocks|but)\b",
    re.IGNORECASE,
)
_NONE = re.compile(r"[\s*_`]*(?:none|no\b|nothing|n/?a\b|nil|-+|\u2013|—)", re.IGNORECASE)
_PREVIOUS = re.compile(r"\ball (?:previous|prior|preceding|other|above)\b", re.IGNORECASE)
_RANGE = r"(?:\s*[-\u2013—]\s*|\s+(?:to|through)\s+)"
_JOIN = r"(?:\s*(?:,\s*(?:and\s+)?|&|\+|/)\s*|\s+and\s+)"
_ANY = rf"(?:{ID}|(?-i:[A-Z])(?!\w))"
_KIND = r"(?:(?:(?:sub-)?batch(?:es)?|tasks?)\s+#?|[BT#])?"
_LIST = re.compile(
    r"\b(?P<kind>(?:sub-)?batch(?:es)?|tasks?|[BT](?=\d))\s*#?"
    + rf"(?P<ids>{_ANY}(?:(?:{_RANGE}|{_JOIN}){_KIND}{_ANY})*)(?![\w_])",
    re.IGNORECASE,
)
_PART = re.compile(rf"(?P<kind>{_KIND})(?P<id>{_ANY})", re.IGNORECASE)
_BARE = re.compile(
    rf"[ \t#*`]*(?P<ids>{ID}(?:(?:{_RANGE}|{_JOIN})#?{ID})*)[ \t*`.]*", re.IGNORECASE
)
"""Ids without a word before them: `1, 2A`, `1.1`."""
_RANGED = re.compile(_RANGE, re.IGNORECASE)
_JOINED = re.compile(_JOIN, re.IGNORECASE)
_PROSE = re.compile(
    r"\b(?:batch(?:es)?|tasks?|must|be|is|are|complete[sd]?|completion|done|first|finished|pass"
    + r"|passed|passes|exists?|and|all|after|requires?|depends|on|from|the|code|only|fix|verified"
    + r"|implemented|optional|merged|committed|of|for|to|via|implicit|implicitly|previous|prior)\b"
    + r"|[\W_\d]",
    re.IGNORECASE,
)


@record
class Reference:
    """A batch or a task that another one waits for."""

    kind: Literal["batch", "task"]
    id: str


@record
class Dependencies:
    """What a text names, and what of it could not be read."""

    references: tuple[Reference, ...] = ()
    previous: bool = False
    """Whether everything before is meant."""
    unread: str = ""


class Known:
    """The batches and the tasks of a document in their order, with the first place of each."""

    def __init__(self, references: Iterable[Reference] = ()) -> None:
        self.of_kind: dict[str, list[Reference]] = {"batch": [], "task": []}
        self.places: dict[Reference, int] = {}
        for each in references:
            same = self.of_kind[each.kind]
            self.places.setdefault(each, len(same))
            same.append(each)

    def between(self, first: Reference, last: Reference) -> list[Reference] | None:
        """What stands between two of one kind; None if one of them is not there."""
        if first not in self.places or last not in self.places:
            return None
        start, end = self.places[first] + 1, self.places[last]
        return self.of_kind[first.kind][start : min(end, start + _MAX_REFERENCES)]


_UNKNOWN = Known()


def parse_dependencies(text: str, known: Known = _UNKNOWN) -> Dependencies:
    """Read the value of a dependencies field.

    `known` are the batches and tasks of the document in order: a range names those between its
    ends; without them, whole numbers are counted up.
    """
    plain = _ASIDE.sub(" ", text[:4000])
    cut = _END.search(plain)
    plain = (plain[: cut.start()] if cut else plain).strip()
    if not plain or _NONE.match(plain):
        return Dependencies()
    references: list[Reference] = []
    for found in _LIST.finditer(plain):
        if len(references) >= _MAX_REFERENCES:
            break
        kind = "task" if found["kind"].lower().startswith("t") else "batch"
        references += _listed(kind, found["ids"], known)
    bare = _BARE.fullmatch(plain)
    if bare:
        references = _bare(bare["ids"], known)
    rest = _PROSE.sub("", _LIST.sub(" ", plain))
    unread = text.strip() if rest and not references and not _PREVIOUS.search(plain) else ""
    return Dependencies(
        tuple(dict.fromkeys(references)), bool(_PREVIOUS.search(plain)) and not references, unread
    )


def joined(parts: Iterable[Dependencies]) -> Dependencies:
    """What several texts name together."""
    each = tuple(parts)
    references = dict.fromkeys(reference for one in each for reference in one.references)
    return Dependencies(
        tuple(references),
        any(one.previous for one in each),
        "; ".join(one.unread for one in each if one.unread),
    )


def _bare(text: str, known: Known) -> list[Reference]:
    """Ids that may be a task's or a batch's: of a task if the document has such a one, or if it has
    neither and the id has a point."""
    first = _PART.match(text)
    name = first["id"].upper() if first else ""
    is_task = Reference("task", name) in known.places or (
        "." in name and Reference("batch", name) not in known.places
    )
    return _listed("task" if is_task else "batch", text, known)


def _listed(kind: Literal["batch", "task"], text: str, known: Known) -> list[Reference]:
    found: list[Reference] = []
    position = 0
    ranged = False
    while part := _PART.match(text, position):
        word = part["kind"].strip("# ").lower()
        kind = "task" if word.startswith("t") else "batch" if word else kind
        reference = Reference(kind, part["id"].upper())
        if ranged and len(found) < _MAX_REFERENCES:
            found += _between(found[-1], reference, known)
        found.append(reference)
        joint = _RANGED.match(text, part.end())
        ranged = joint is not None
        joint = joint or _JOINED.match(text, part.end())
        position = joint.end() if joint else len(text)
    return found


def _between(first: Reference, last: Reference, known: Known) -> list[Reference]:
    """What lies between the ends of a range."""
    inside = known.between(first, last)
    if inside is not None:
        return inside
    head, _, low = first.id.rpartition(".")
    other, _, high = last.id.rpartition(".")
    if head == other and low.isdecimal() and high.isdecimal():
        numbers = range(int(low) + 1, min(int(high), int(low) + _MAX_RANGE))
        return [Reference(first.kind, f"{head}.{n}" if head else str(n)) for n in numbers]
    return []


def find_cycle(graph: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """The first cycle of a graph given by its successors, its start at both ends; else empty."""
    done: set[str] = set()
    for start in graph:
        path: list[str] = []
        stack: list[tuple[str, bool]] = [(start, False)]
        while stack:
            name, leaving = stack.pop()
            if leaving:
                done.add(path.pop())
            elif name in path:
                return (*path[path.index(name) :], name)
            elif name not in done:
                path.append(name)
                stack.append((name, True))
                stack += [(each, False) for each in graph.get(name, ())]
    return ()


def told(cycle: tuple[str, ...]) -> str:
    """The cycle as words."""
    return ", ".join(f"{one} waits for {other}" for one, other in pairwise(cycle))
