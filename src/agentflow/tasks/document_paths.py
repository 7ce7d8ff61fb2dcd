"""Paths in documents: what a `**File**` value names, and where that lies in this workspace."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

from agentflow.frozen import record

Action = Literal["create", "modify", "delete", "rename", "verify"]
Exists = Callable[[str], bool]
"""Whether a file or folder of the workspace has this path, relative to its root."""

_ACTIONS: dict[str, Action] = {
    "create": "create",
    "created": "create",
    "new": "create",
    "add": "create",
    "modify": "modify",
    "modified": "modify",
    "update": "modify",
    "updated": "modify",
    "edit": "modify",
    "extend": "modify",
    "enhance": "modify",
    "rewrite": "modify",
    "refactor": "modify",
    "delete": "delete",
    "deleted": "delete",
    "remove": "delete",
    "removed": "delete",
    "rename": "rename",
    "move": "rename",
    "verify": "verify",
    "verification": "verify",
}
_QUOTED = re.compile(r"`([^`\n]{1,1000})`")
_NOTE = re.compile(r"(?<![/\\])[(\[]([^()\[\]\n]{1,200})[)\]](?![/\\.\w])")
"""Not a part of the path itself: `app/[id]/page.tsx`, `app/(auth)/page.tsx`."""
_LINK = re.compile(r"\[([^\[\]\n]{1,500})\]\(([^()\s]{1,1000})\)")
_DRIVE = re.compile(r"(?:[A-Za-z]:[\\/]|\\\\)")
_LOCATION = re.compile(r"(?::\d+(?:[-\u2013,]\d+)*|#L\d+(?:-L?\d+)?)+$")
_ENDING = re.compile(r"[\w.*@-]+\.[A-Za-z][A-Za-z0-9]{0,9}$|^\.[A-Za-z][\w.-]+$")
_SPLIT = re.compile(r"\s*(?:,|;|\s\+\s|\s&\s|\sand\s|\s→\s|\s->\s)\s*")


@record
class Mention:
    """A path as a document writes it."""

    written: str
    action: Action | None
    line: int


def parse_action(text: str) -> Action | None:
    """The action that a note like `NEW FILE` or a value like `MODIFY (additions)` begins with."""
    found = re.match(r"[\s*_`]*([A-Za-z]+)", text)
    return _ACTIONS.get(found[1].lower()) if found else None


def mentions(value: str, line: int) -> Iterator[Mention]:
    """The paths that a value names, each with the action noted after it (or before: `[NEW] a`)."""
    quoted = list(_QUOTED.finditer(value))
    if quoted:
        ends = [each.start() for each in quoted[1:]] + [len(value)]
        for each, end in zip(quoted, ends, strict=True):
            path = _as_path(each[1], quoted=True)
            if path:
                action = _note(value[each.end() : end]) or _note(value[: quoted[0].start()])
                yield Mention(path, action, line)
        return
    plain = _LINK.sub(lambda link: link[1] if "/" in link[1] else link[2], value[:4000])
    for part in _SPLIT.split(plain):
        path = _as_path(_NOTE.sub("", part) if not _is_drive(part) else _before_note(part))
        if path:
            yield Mention(path, _note(part), line)


def _is_drive(text: str) -> bool:
    return bool(_DRIVE.match(text.strip()))


def _before_note(text: str) -> str:
    """A Windows path may hold brackets (`[id].ts`), and blanks; a note stands after a blank."""
    return re.split(r"\s+(?=[(\[]|[-\u2013—]\s)", text.strip())[0]


def _note(text: str) -> Action | None:
    return next((action for note in _NOTE.findall(text) if (action := parse_action(note))), None)


def _as_path(text: str, *, quoted: bool = False) -> str:
    """The path alone, without a line's number; empty if this is prose."""
    bare = text.strip().strip("*").removeprefix("~~").removesuffix("~~")
    bare = _LOCATION.sub("", bare.strip().strip('"'))
    bare = bare.split(" - ")[0].rstrip(".,").strip() if not quoted else bare
    if _is_drive(bare):
        return bare
    if not bare or re.search(r"\s|[<>|{}$=;]|://", bare):
        return ""
    separated = "/" in bare.strip("/") or "\\" in bare
    if not (separated or _ENDING.search(bare)) or bare.upper() == "N/A":
        return ""
    return bare


def _parts(written: str) -> tuple[list[str], bool]:
    """The names of a path, and whether it is absolute."""
    text = _DRIVE.sub("/", written, count=1).replace("\\", "/")
    return [name for name in text.split("/") if name not in {"", "."}], text.startswith("/")


def map_paths(
    written: Iterable[str], exists: Exists, prefixes: Sequence[str] = ()
) -> dict[str, str | None]:
    """Where each path lies, relative to the workspace's root; None if that cannot be decided.

    An absolute path is, first wins: what remains after a configured prefix; what remains after the
    prefix that most others were found to have, each by its longest suffix that exists; that suffix;
    its longest suffix whose folder exists. A name alone is no such suffix: every folder may hold a
    `package.json`. A path with `..` is never mapped. What is relative stays.
    """
    found: dict[str, str | None] = {}
    unknown: dict[str, list[str]] = {}
    configured = [tuple(_parts(prefix)[0]) for prefix in prefixes]
    for path in dict.fromkeys(written):
        names, absolute = _parts(path)
        if ".." in names or not names:
            found[path] = None
        elif not absolute:
            found[path] = "/".join(names)
        else:
            found[path] = _after(names, configured)
            if found[path] is None:
                unknown[path] = names
    there = {path: _suffix(names, exists, least=2) for path, names in unknown.items()}
    learned = Counter(
        tuple(unknown[path][: -(kept.count("/") + 1)]) for path, kept in there.items() if kept
    )
    common = sorted(learned, key=lambda prefix: (-learned[prefix], len(prefix)))
    for path, names in unknown.items():
        found[path] = _after(names, common) or there[path] or _suffix(names, exists, folder=True)
    return found


def _after(names: Sequence[str], prefixes: Iterable[tuple[str, ...]]) -> str | None:
    for prefix in prefixes:
        if tuple(names[: len(prefix)]) == prefix and len(names) > len(prefix):
            return "/".join(names[len(prefix) :])
    return None


def _suffix(
    names: Sequence[str], exists: Exists, *, least: int = 1, folder: bool = False
) -> str | None:
    """The longest suffix of at least so many names that exists, or whose folder does."""
    for start in range(len(names) - (1 if folder else least - 1)):
        tried = names[start:-1] if folder else names[start:]
        if exists("/".join(tried)):
            return "/".join(names[start:])
    return None
