"""Promises: what an intent document says that the product must keep, by id or by its own words.

An id (`PRM-001`, `INV-2`, `BHV-010`, `ANTI-003`) counts where a line begins with it: a heading, a
key of YAML, an item, a table's row. Without ids, items below a heading `Promises`, `Must Do` or
`Must NOT Do` are promises themselves.
"""

import re
from collections.abc import Iterator

from agentflow.neutral import one_line
from agentflow.prompts.prose import unfenced_lines
from agentflow.records import Profile, Promise

INTENT = "docs/intent/product-intent.md"
"""The intent document of a prompt that ends with a report and names none."""
MAX_PROMISES = 200
"""Promises that are taken from one document."""
MAX_TEXT = 200
"""Characters of one promise."""

_MAX_LINE = 2_000
_ID = re.compile(
    r"[\s>#|*_`\"'-]*(?:id\s*:\s*[*_`\"']*)?(?P<id>(?:PRM|INV|BHV|ANTI)-\w[\w-]{0,30})\b(?P<rest>.*)"
)
_FIELD = re.compile(
    r"[\s*_-]*(?:promise|statement|invariant|rule|behaviou?r|description|title|name)[*_]*:\s*(\S.*)",
    re.IGNORECASE,
)
_HEADING = re.compile(r"#{1,6}\s+(?:[\d.]+\s+)?(\S.*)|\*\*([^*]+)\*\*:?")
_SECTIONS = re.compile(r"(?:\w+\s+)?promises(?: we make)?|(?:it )?must (?:not )?do|must not", re.I)
_ITEM = re.compile(r" ?(?:[-*+]|\d+[.)])\s+(?:\[[ xX]\]\s+)?(\S.*)")
_SIGNS = " \t#:|*_`\"'-–—"  # noqa: RUF001


def intent_document(profile: Profile) -> str | None:
    """The document that holds the promises of a prompt, relative to the root; None for a prompt
    that neither names one nor ends with a report."""
    named = (path.lstrip("/") for path in profile.documents if "*" not in path)
    found = next((path for path in named if "intent" in path.rpartition("/")[2].lower()), None)
    return found or (INTENT if profile.completion == "report" else None)


def find_promises(text: str) -> tuple[Promise, ...]:
    """The promises of an intent document, each once, in its order."""
    found: dict[str, Promise] = {}
    for promise in (*_with_ids(text), *_items(text)):
        found.setdefault(promise.name.casefold(), promise)
        if len(found) == MAX_PROMISES:
            break
    return tuple(found.values())


def _with_ids(text: str) -> Iterator[Promise]:
    """Lines that begin with an id, with what follows it there or in one of the next three lines."""
    lines = [line[:_MAX_LINE] for line in text.splitlines()]
    for number, line in enumerate(lines):
        begun = _ID.fullmatch(line)
        if not begun:
            continue
        said = begun["rest"].strip(_SIGNS)
        for following in lines[number + 1 : number + 4] if not said else ():
            field = _FIELD.fullmatch(following)
            if _ID.fullmatch(following) or field:
                said = field[1].strip(_SIGNS) if field else ""
                break
        yield Promise(begun["id"].rstrip("-_"), one_line(said, MAX_TEXT))


def _items(text: str) -> Iterator[Promise]:
    """Items without an id below one of the headings."""
    inside = False
    for _, line in unfenced_lines(text):
        line = line[:_MAX_LINE].rstrip()
        heading, item = _HEADING.fullmatch(line), _ITEM.fullmatch(line)
        if heading:
            inside = bool(_SECTIONS.fullmatch((heading[1] or heading[2]).strip(_SIGNS)))
        elif inside and item and not _ID.fullmatch(line):
            said = one_line(item[1].strip("*_ "), MAX_TEXT)
            if re.search(r"\w", said):
                yield Promise(said, said)
