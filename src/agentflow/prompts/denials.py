"""Denials: the lists of paths under `Do NOT modify:` in a prompt.

They are added to what a run may not change, never to what it may: a prompt can only narrow.
"""

import re
from collections.abc import Sequence

from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.globs import check_glob
from agentflow.prompts.prose import unfenced_lines

MAX_DENIALS = 200
"""Globs that are taken from one prompt."""

_BLANKS = 1
_MAX_LINE = 2_000
_HEADING = re.compile(
    r"[\s>#*_-]*(?:do not|don't|don\u2019t|never) (?:modify|edit|change|touch)"
    r"(?: (?:any of )?(?:these |the following )?(?:files?|paths?|folders?|directories))?"
    r"[\s*_]*:[\s*_]*(?P<rest>.*)",
    re.IGNORECASE,
)
_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+(?:\[[ xX]\]\s+)?(?P<text>\S.*)")
_SPAN = re.compile(r"`([^`]+)`")
_PATH_SHAPED = re.compile(r"(?=.*[/*.])[\w.@*?{}/,\[\]()-]*[\w*}/]")


@record
class Denial:
    """One glob that a prompt forbids."""

    glob: str
    line: int
    """Of the prompt's body, from 1."""


def find_denials(body: str) -> tuple[Denial, ...]:
    """The globs of all lists under `Do NOT modify:` (or edit, change, touch), outside of fences.

    An item's globs are its code spans before any other word, else its first word if that has a
    path's shape: in ``- `a/**`, `b/` (unlike `c/`)`` it is the first two. What is no glob within
    the repository is passed over. The list ends at the first line that is no item, after at most
    one blank line.
    """
    found: dict[str, Denial] = {}
    inside = False
    blanks = 0
    for number, line in unfenced_lines(body):
        text = line[:_MAX_LINE].rstrip()
        heading = _HEADING.fullmatch(text)
        item = _ITEM.fullmatch(text)
        if heading:
            inside, blanks, said = True, 0, heading["rest"]
        elif inside and item:
            said = item["text"]
        else:
            blanks += 1
            inside = inside and not text.strip(" >") and blanks <= _BLANKS
            continue
        for glob in _globs(said):
            found.setdefault(glob, Denial(glob, number))
    return tuple(found.values())[:MAX_DENIALS]


def _globs(text: str) -> list[str]:
    """The globs that an item begins with, in normal form."""
    spans: list[str] = []
    rest = text.lstrip("*_ ")
    while found := _SPAN.match(rest):
        spans.append(found[1])
        rest = re.sub(r"\A[\s,;*_]*(?:(?:and|or)\b\s*)?", "", rest[found.end() :])
    words = spans or text.strip("*_ ").split()[:1]
    return [glob for word in words if (glob := _glob(word.rstrip(",;:" if spans else ",;:.")))]


def _glob(word: str) -> str | None:
    path = word.removeprefix("/")
    if not _PATH_SHAPED.fullmatch(path):
        return None
    try:
        return check_glob(path, where="prompt")
    except UsageError:
        return None


def denial_notices(denials: Sequence[Denial], where: str, above: int) -> tuple[str, ...]:
    """What a user should know of them. `above` is how many lines of the file precede its body."""
    return tuple(f"{where}:{denial.line + above}: denies {denial.glob}" for denial in denials)
