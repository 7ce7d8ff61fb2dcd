"""A change in a queue: the token of one status is rewritten, all else stays."""

import re
from collections import Counter, defaultdict

from agentflow.errors import UsageError
from agentflow.nearest import nearest
from agentflow.tasks.document import Token
from agentflow.tasks.queue import STATUSES, Entry, Queue, plain
from agentflow.words import word

_PARTS = re.compile(r"(?P<before>[^A-Za-z]*)(?P<word>[A-Za-z](?:.*[A-Za-z])?)(?P<after>[^A-Za-z]*)")
_SIGNS = {
    "pending": "\u23f8\ufe0f",
    "in_progress": "\U0001f504",
    "completed": "\u2705",
    "failed": "\u274c",
    "blocked": "\u274c",
    "skipped": "\u23ed\ufe0f",
}
"""Those that documents of the field put before a status, mostly."""


def parse_word(text: str) -> str:
    """The status as somebody typed it, in small letters.

    Raises `UsageError` naming the nearest for a word that no queue knows.
    """
    word = plain(text)
    if word not in STATUSES:
        raise UsageError(
            f"{text[:80]!r} is not a status{nearest(word, STATUSES)}",
            hint=f"One of {', '.join(dict.fromkeys(STATUSES.values()))}, or a word that means it.",
        )
    return word


def find_entry(queue: Queue, name: str, *, where: str) -> Entry:
    """The entry of an id. Raises `UsageError` naming the nearest."""
    known = {each.id: each for each in queue.entries}
    if name not in known:
        raise UsageError(
            f"there is no task {name[:100]!r} in {where}{nearest(name, known)}",
            hint=f"See what is there: agentflow tasks show {word(where)}",
        )
    return known[name]


def status_token(entry: Entry, *, where: str) -> Token:
    """The words to be rewritten. Raises `UsageError` if they cannot be told: nothing is inserted."""
    if entry.token is None or any(each.startswith("it stands in line") for each in entry.doubts):
        raise UsageError(
            f"{where}:{entry.line}: {entry.id} has no single status that could be set",
            hint="Write exactly one below its heading: **Status:** pending",
        )
    return entry.token


def set_status(text: str, queue: Queue, token: Token, word: str) -> str:
    """The queue's text with a status; equal to the old one if that means the same already.

    The word takes the old one's case and joint, and a sign where the old one had one.
    """
    meaning = STATUSES[word]
    found = _PARTS.fullmatch(token.text)
    if found is None or STATUSES[plain(found["word"])] == meaning:
        return text
    sign = _signs(queue).get(meaning, _SIGNS[meaning])
    before, after = found["before"], found["after"]
    before = sign + before[len(before.rstrip()) :] if before.strip() else before
    after = after[: len(after) - len(after.lstrip())] + sign if after.strip() else after
    return f"{text[: token.start]}{before}{_in_case(word, found['word'])}{after}{text[token.end :]}"


def _in_case(word: str, old: str) -> str:
    joint = "-" if "-" in old else " " if " " in old else "_"
    word = word.replace(" ", joint)
    if old.isupper():
        return word.upper()
    return word if old.islower() else word.title() if old.istitle() else word.capitalize()


def _signs(queue: Queue) -> dict[str, str]:
    """The sign that the queue itself puts to each status most often."""
    seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for entry in queue.entries:
        found = _PARTS.fullmatch(entry.token.text) if entry.token else None
        sign = (found["before"].strip() or found["after"].strip()) if found else ""
        if sign:
            seen[entry.status][sign] += 1
    return {status: counted.most_common(1)[0][0] for status, counted in seen.items()}
