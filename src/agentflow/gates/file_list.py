"""The file list audit: the files that an answer in prose lists, beside those that git says changed.

Git says what is true, so nothing fails: what the list leaves out, or names and did not happen, is told.
"""

import asyncio
import posixpath
import re
from collections.abc import Iterator, Mapping

from agentflow.frozen import record
from agentflow.gates.answer import MAX_ANSWER
from agentflow.gates.claims import LISTED, changed_paths
from agentflow.neutral import one_line
from agentflow.records import WORKSPACE
from agentflow.results import Candidate, Evidence
from agentflow.words import counted

MAX_FILES = 1000
"""Entries of the list that are read."""

_MAX_LINE = 1000
_LABEL = re.compile(
    r"[ \t>]*(?:#{1,6}[ \t]*|[-*+][ \t]+)?[*_]{0,2}(?:list of )?(?:the )?(?:\w+ )?files?"
    r"(?:[ \t]+[\w/&, ]{1,60})?[*_]{0,2}[ \t]*:?[*_]{0,2}[ \t]*",
    re.IGNORECASE,
)
_HEADING = re.compile(r"[ \t>]*(?:#{1,6}[ \t]|[*_]{2}[^*_]+[*_]{2}[ \t]*:?[ \t]*$).*")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?(?P<text>\S.*)")
_ASKS = re.compile(
    r"^#{1,6} Files\b|\bfiles?\b[^\n]{0,40}\b(?:created|modified|changed|touched)\b",
    re.IGNORECASE | re.MULTILINE,
)
_QUOTED = re.compile(r"`([^`\s]{1,300})`")
_PATH = re.compile(r"/?(?:[\w@.()\[\]+-]+/)*[\w@.()\[\]+-]*\.?[\w@()\[\]+-]+")


def asks_for_files(prompt: str) -> bool:
    """Whether a prompt's text asks for a list of the files that were changed."""
    return _ASKS.search(prompt) is not None


def listed_files(answer: str) -> tuple[str, ...]:
    """The paths that the items below a line such as `Files created:` begin with or quote: relative to
    the root, or absolute."""
    found: dict[str, None] = {}
    inside = False
    for line in answer[-MAX_ANSWER:].splitlines():
        line = line[:_MAX_LINE]
        item = _ITEM.fullmatch(line)
        if _LABEL.fullmatch(line) and not (inside and item and _path(item["text"])):
            inside = True
        elif item and inside:
            path = _path(item["text"])
            if path and len(found) < MAX_FILES:
                found[path] = None
        elif _HEADING.fullmatch(line) or (line.strip() and not line[0].isspace()):
            inside = False
    return tuple(found)


def _path(text: str) -> str:
    """The path that an item speaks of; empty if it has none."""
    quoted = _QUOTED.search(text[:400])
    words = text.lstrip("*_").split()
    word = quoted[1] if quoted else words[0].rstrip(":,;*_") if words else ""
    word = word.removeprefix(f"{WORKSPACE}/").removeprefix("./")
    plain = _PATH.fullmatch(word) is not None and ("/" in word or "." in word)
    return posixpath.normpath(word) if plain else ""


@record
class FileListAudit:
    """Compares the list with the candidate; where there is none, there is nothing to say."""

    name: str = "file-list"

    async def compare(self, candidate: Candidate, measured: object) -> Evidence:
        """Pass, with a notice for each kind of difference."""
        return await asyncio.to_thread(self._compare, candidate)

    def _compare(self, candidate: Candidate) -> Evidence:
        listed = listed_files(candidate.answer)
        if not listed:
            return Evidence(self.name, "skipped", "the answer lists no files")
        notices = file_differences(candidate)
        summary = f"the answer lists {counted(len(listed), 'file')}"
        return Evidence(self.name, "passed", summary, notices=notices)


def file_differences(candidate: Candidate) -> tuple[str, ...]:
    """How the files that the answer lists differ from those that changed; none without a list."""
    changed = changed_paths(candidate)
    listed = tuple(_within(path, changed) for path in listed_files(candidate.answer))
    return tuple(_notices(listed, changed)) if listed else ()


def _within(path: str, changed: Mapping[str, str]) -> str:
    """A path relative to the root: where no tree is mounted, an agent names it as it is on this
    machine, and only its end says which file is meant."""
    if not path.startswith("/"):
        return path
    ends = [each for each in changed if path.endswith(f"/{each}")]
    return max(ends, key=len, default=path)


def _notices(listed: tuple[str, ...], changed: Mapping[str, str]) -> Iterator[str]:
    wrong = [path for path in listed if path not in changed]
    absent = [f"{path} ({done})" for path, done in changed.items() if path not in listed]
    for told, paths in (
        ("the answer lists what no commit changes", wrong),
        ("the answer does not list what changed", absent),
    ):
        if paths:
            more = f", and {len(paths) - LISTED} more" if len(paths) > LISTED else ""
            yield one_line(f"{told}: {', '.join(paths[:LISTED])}{more}", 400)
