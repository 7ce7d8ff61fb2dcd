"""Edit: replace an exact piece of a text file, keeping its encoding and line ends."""

import os
import time
from pathlib import Path

from agentflow.toolbox.files import decode, encode, open_regular, replace
from agentflow.toolbox.session import Json, Refusal, Session

EDIT_BYTES = 20 << 20
SEARCH_SECONDS = 1.0
"""How long the nearest match to a missing piece is searched."""
SHOWN_AROUND = 3
WINDOW_CHARACTERS = 2000


def edit(session: Session, arguments: Json) -> Json:
    """Replace `old_string`, which must occur exactly once unless `replace_all`."""
    old, new = arguments["old_string"], arguments["new_string"]
    target = session.writable(arguments["file_path"])
    shown = session.shown(target)
    if old == new:
        raise Refusal("old_string and new_string are the same: nothing to change.")
    if not old:
        return _fill(session, target, new)
    text, encoding = _load(session, target)
    old, new = _fit_line_ends(text, old, new)
    found = text.count(old)
    if not found:
        raise Refusal(_miss(text, old, shown))
    if found > 1 and not arguments.get("replace_all"):
        raise Refusal(_ambiguous(text, old, found, shown))
    changed = text.replace(old, new)
    replace(session, target, encode(changed, encoding, shown))
    start = _line_of(text, text.index(old))
    return {"path": shown, "replacements": found, "start": start, **_snippet(changed, start, new)}


def _fill(session: Session, target: Path, new: str) -> Json:
    """Create the file, or fill an empty one."""
    shown = session.shown(target)
    if os.path.lexists(target):
        with open_regular(session, target) as file:
            if os.fstat(file.fileno()).st_size:
                raise Refusal(f"old_string is empty, but {shown} exists and is not empty.")
    replace(session, target, encode(new, "utf-8", shown))
    session.mark_read(target, complete=True)
    return {"path": shown, "replacements": 1, "start": 1, **_snippet(new, 1, new)}


def _load(session: Session, target: Path) -> tuple[str, str]:
    shown = session.shown(target)
    with open_regular(session, target) as file:
        size = os.fstat(file.fileno()).st_size
        if not session.was_read(target, complete=False):
            raise Refusal(f"{shown} was not read: Read it before you Edit.")
        if size > EDIT_BYTES:
            raise Refusal(f"{shown} is too large to Edit ({size:,} bytes): change it with Bash.")
        data = file.read()
    if b"\0" in data[:8192]:
        raise Refusal(f"{shown} is a binary file.")
    return decode(data)


def _fit_line_ends(text: str, old: str, new: str) -> tuple[str, str]:
    r"""Return both pieces with the file's line ends: the model sees and sends `\n` only."""
    if 2 * text.count("\r\n") <= text.count("\n"):
        return old, new
    fitted = old.replace("\r\n", "\n").replace("\n", "\r\n")
    if fitted not in text:
        return old, new
    return fitted, new.replace("\r\n", "\n").replace("\n", "\r\n")


def _snippet(changed: str, start: int, new: str) -> Json:
    lines = [line.rstrip("\r") for line in changed.split("\n")]
    first = max(1, start - SHOWN_AROUND)
    last = min(start + new.count("\n") + SHOWN_AROUND, first + 60)
    return {
        "snippet": [line[:WINDOW_CHARACTERS] for line in lines[first - 1 : last]],
        "snippet_start": first,
    }


def _line_of(text: str, index: int) -> int:
    return text.count("\n", 0, index) + 1


def _ambiguous(text: str, old: str, found: int, shown: str) -> str:
    lines = list[int]()
    index = text.find(old)
    while index >= 0 and len(lines) < 10:
        lines.append(_line_of(text, index))
        index = text.find(old, index + len(old))
    more = ", …" if found > len(lines) else ""
    return (
        f"old_string occurs {found} times in {shown} (lines {', '.join(map(str, lines))}{more}): "
        "add surrounding lines until it is unique, or set replace_all."
    )


def _miss(text: str, old: str, shown: str) -> str:
    """Say that a piece is missing and show the lines that come nearest to it."""
    lines = [line.rstrip("\r") for line in text.split("\n")]
    wanted = [line.rstrip("\r") for line in old.split("\n")]
    place = _same_but_spaces(lines, wanted)
    why = "differs only in white space" if place is not None else "is nearest"
    if place is None:
        place = _nearest(lines, wanted)
    if place is None:
        return f"old_string was not found in {shown}, nor anything like it: Read the file again."
    piece = "\n".join(lines[place : place + len(wanted)])[:WINDOW_CHARACTERS]
    return f"old_string was not found in {shown}. What {why}, from line {place + 1}:\n{piece}"


def _same_but_spaces(lines: list[str], wanted: list[str]) -> int | None:
    bare = ["".join(line.split()) for line in lines]
    target = ["".join(line.split()) for line in wanted]
    if not any(target):
        return None
    starts = (i for i, line in enumerate(bare) if line == target[0])
    return next((i for i in starts if bare[i : i + len(target)] == target), None)


def _nearest(lines: list[str], wanted: list[str]) -> int | None:
    import difflib

    deadline = time.monotonic() + SEARCH_SECONDS
    best, place = 0.6, None
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2("\n".join(wanted)[:WINDOW_CHARACTERS])
    for start in range(max(1, len(lines) - len(wanted) + 1)):
        if time.monotonic() > deadline:
            break
        matcher.set_seq1("\n".join(lines[start : start + len(wanted)])[:WINDOW_CHARACTERS])
        if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best:
            ratio = matcher.ratio()
            if ratio > best:
                best, place = ratio, start
    return place
