"""Paths in documents: what a `**File**` value names, and where that lies in this workspace."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
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
    "renamed": "rename",
    "move": "rename",
    "moved": "rename",
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
_ARROW = r"\s*(?:→|⇒|->|=>)\s*|\s+to\s+(?=[`~./\w\\]*[./\\])"
_SPLIT = re.compile(rf"({_ARROW}|\s*(?:,|;|\s\+\s|\s&\s|\sand\s)\s*)")
_IS_ARROW = re.compile(r"[\s`*]*(?:→|⇒|->|=>|to)[\s`*]*")
_PARTNER = re.compile(
    r"(?:renamed?|moved?)\s+(?P<way>to|from|→|->|=>)\s*:?\s*`?(?P<path>[^`\s)]{1,1000})`?",
    re.IGNORECASE,
)
"""The other name, in a note: `(RENAME to b.ts)`, `(moved from a.ts)`."""
_VERB = r"[\s*_]*(?P<action>[A-Za-z]+)[*_]*(?:\s+(?:new|existing|old))?(?:\s+files?)?(?P<colon>\s*:)?[*_]*"
_ACTION_FIRST = re.compile(rf"{_VERB}\s+(?P<next>\S+)")
"""`DELETE: D:\\x\\a.ts`, `Create new file: a.ts`."""
_ACTION_ALONE = re.compile(rf"[\s,;]*(?:(?:and|then)\s+)?{_VERB}\s*\Z")
"""The same before a quoted path and nothing else: with other words it is prose, `Remove the import
from`."""
_LISTING = re.compile(r"\s*(?:[,;+&]|,?\s*and)?\s*\Z")
_REMARK = re.compile(r"\s*(?:\Z|[-.,;:(\[\u2013—*])")
"""What may stand behind the last of several paths; words that go on are prose, `from the barrel`."""
_BLANKS = re.compile(r"\s{3,}")
"""A long run of them would be looked at from each of its places."""
_HIDDEN = re.compile("\x00(\\d+)\x00")


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


def mentions(value: str, line: int, said: Action | None = None) -> Iterator[Mention]:
    """The paths that a value names, each with the action noted after it (or before: `[NEW] a`).

    `said` is what field and task say of all of them. Of a rename the old name is one to `delete`,
    and the new one has `rename`; a name alone has `rename` too, and nobody knows which it is.
    """
    text = _BLANKS.sub("  ", value[:4000])
    found = list(_quoted(text, said) if _QUOTED.search(text) else _plain(text, said))
    for number, (path, noted, note, joint) in enumerate(found):
        before = number and _IS_ARROW.fullmatch(found[number - 1][3])
        after = _IS_ARROW.fullmatch(joint) and number + 1 < len(found)
        named = noted or said
        others = {found[number + step][1] for step, holds in ((-1, before), (1, after)) if holds}
        if "rename" in {named, *others} and (before or after):
            yield Mention(path, "rename" if before else "delete", line)
            continue
        partner = _PARTNER.search(note)
        other = _as_path(partner["path"].rstrip(".,"), quoted=True) if partner else ""
        if partner and other:
            old, new = (other, path) if partner["way"].lower() == "from" else (path, other)
            yield from (Mention(old, "delete", line), Mention(new, "rename", line))
        else:
            yield Mention(path, noted, line)


_Named = tuple[str, Action | None, str, str]
"""A path, the action noted of it, the notes, and what stands between it and the next one."""


def _quoted(value: str, said: Action | None) -> Iterator[_Named]:
    quoted = list(_QUOTED.finditer(value))
    # A name within a note is not one of the list: `(RENAME to `b.ts`)`.
    notes = [(each.start(), each.end()) for each in _NOTE.finditer(value)]
    outside = [q for q in quoted if not any(a < q.start() < b for a, b in notes)] or quoted
    ends = [*(each.start() for each in outside[1:]), len(value)]
    behind = [value[each.end() : end] for each, end in zip(outside, ends, strict=True)]
    first = value[: outside[0].start()]
    ordered = _ordered(first, [_NOTE.sub("", text) for text in behind], said)
    general = _note(first)
    for each, text, order in zip(outside, behind, ordered, strict=True):
        path = _as_path(each[1], quoted=True)
        if path:
            yield path, _note(text) or general or order, text, _NOTE.sub("", text)


def _ordered(first: str, behind: Sequence[str], said: Action | None) -> list[Action | None]:
    """The action that a verb in front says of each of several paths: `Delete a and create b`. `first`
    stands before them, and `behind` each. Where `said` is said already, a verb needs a colon."""
    found: list[Action | None] = []
    action: Action | None = None
    for before, after in pairwise((first, *behind)):
        if not (_LISTING.fullmatch(before) or _IS_ARROW.fullmatch(before)):
            verb = _ACTION_ALONE.fullmatch(before)
            action = _verb(verb, said) if verb else None
        is_last = len(found) + 1 == len(behind)
        joins = (
            (_REMARK.match,)
            if is_last
            else (_LISTING.fullmatch, _ACTION_ALONE.fullmatch, _IS_ARROW.fullmatch)
        )
        found.append(action if any(join(after) for join in joins) else None)
    return found


def _verb(found: re.Match[str], said: Action | None) -> Action | None:
    return _ACTIONS.get(found["action"].lower()) if found["colon"] or said is None else None


def _plain(value: str, said: Action | None) -> Iterator[_Named]:
    text = _LINK.sub(lambda link: link[1] if "/" in link[1] else link[2], value.replace("\0", ""))
    general: Action | None = None
    notes: list[str] = []

    def hide(note: re.Match[str]) -> str:
        notes.append(note[0])
        return f"\0{len(notes) - 1}\0"

    pieces = [*_SPLIT.split(_NOTE.sub(hide, text)), ""]
    for hidden, joint in zip(pieces[::2], pieces[1::2], strict=True):
        part = _HIDDEN.sub(lambda place: notes[int(place[1])], hidden)
        verb = _ACTION_FIRST.match(part)
        if (
            verb
            and verb["action"].lower() in _ACTIONS
            and (verb["colon"] or _as_path(verb["next"]))
        ):
            general, part = _verb(verb, said), part[verb.start("next") :]
        path = _as_path(_NOTE.sub("", part) if not _is_drive(part) else _before_note(part))
        if path:
            yield path, _note(part) or general, part, joint


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
