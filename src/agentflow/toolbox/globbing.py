"""Glob: files by name, matched a path segment at a time, so that a bad pattern costs little."""

import fnmatch
import heapq
import os
import re
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from agentflow.toolbox.session import Json, Refusal, Session

PATHS = 100
SECONDS = 20.0
EXPANSIONS = 256
"""Patterns that the braces of one pattern may stand for."""

Segment = re.Pattern[str] | None
"""What one name must match; None for `**`, any number of directories."""


def glob(session: Session, arguments: Json) -> Json:
    """Return the files that match, newest first; `.gitignore` is not asked, `.git` not entered."""
    base = session.resolve(arguments.get("path") or ".")
    found = dict[str, float]()
    deadline = time.monotonic() + SECONDS
    for pattern in expand_braces(arguments["pattern"]):
        top, segments = _anchor(session, base, pattern)
        for path, modified in _walk(top, segments, deadline):
            found[session.shown(Path(path))] = modified
    newest = heapq.nsmallest(PATHS, found, key=lambda path: (-found[path], path))
    return {"paths": newest, "truncated": len(found) > PATHS}


def expand_braces(pattern: str) -> list[str]:
    """Return the patterns that `{a,b}` stands for, nested ones too. Unpaired braces stay."""
    choices = [_choices(piece) for piece in _pieces(pattern)]
    count = 1
    for choice in choices:
        count *= len(choice)
        if count > EXPANSIONS:
            raise Refusal(f"The braces of the pattern stand for more than {EXPANSIONS} patterns.")
    return list(dict.fromkeys("".join(parts) for parts in product(*choices)))


def _pieces(pattern: str) -> Iterator[str]:
    """Split into texts without braces and outermost `{…}` groups."""
    text, depth = "", 0
    for character in pattern:
        if character == "{":
            depth += 1
            if depth == 1:
                yield text
                text = ""
        text += character
        if character == "}" and depth:
            depth -= 1
            if not depth:
                yield text
                text = ""
    yield text


def _choices(piece: str) -> list[str]:
    if not (piece.startswith("{") and piece.endswith("}")):
        return [piece]
    options, depth = [""], 0
    for character in piece[1:-1]:
        depth += (character == "{") - (character == "}")
        if character == "," and not depth:
            options.append("")
        else:
            options[-1] += character
    if len(options) == 1:
        return [piece]
    return [expanded for option in options for expanded in expand_braces(option)]


def _anchor(session: Session, base: Path, pattern: str) -> tuple[Path, list[Segment]]:
    """Return the directory where the search starts and the segments matched below it."""
    names = pattern.split("/")
    plain = 0
    while plain < len(names) - 1 and not any(c in names[plain] for c in "*?["):
        plain += 1
    prefix = "/".join(names[:plain]) or ("/" if plain else "")
    top = session.resolve(str(base / prefix))
    if not session.is_inside(top.resolve()):
        raise Refusal(f"Glob looks only below {session.root} and {session.scratch}.")
    if ".." in names[plain:]:
        raise Refusal("`..` must stand before the first wildcard.")
    return top, _compile(names[plain:])


def matches(path: str, pattern: str) -> bool:
    """Tell whether a relative path matches a pattern without braces."""
    segments = _compile(pattern.split("/"))
    states = _reach(segments, {0})
    for name in path.split("/"):
        states = _step(segments, states, name)
    return len(segments) in states


def _compile(names: list[str]) -> list[Segment]:
    plain = (name for name in names if name not in {"", "."})
    return [None if n == "**" else re.compile(fnmatch.translate(n)) for n in plain]


def _walk(top: Path, segments: list[Segment], deadline: float) -> Iterator[tuple[str, float]]:
    """Yield matching files; links are names, never followed."""
    pending = [(str(top), _reach(segments, {0}))]
    while pending:
        if time.monotonic() > deadline:
            raise Refusal(f"Glob took longer than {SECONDS:.0f} s: name a directory in `path`.")
        directory, states = pending.pop()
        for entry in _entries(directory):
            after = _step(segments, states, entry.name)
            if not after or entry.name == ".git":
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append((entry.path, after))
            elif len(segments) in after:
                yield entry.path, _modified(entry)


def _reach(segments: list[Segment], states: set[int]) -> set[int]:
    """Add the states after each `**`, which may stand for no directory at all."""
    reached = set(states)
    for state in sorted(states):
        while state < len(segments) and segments[state] is None:
            state += 1
            reached.add(state)
    return reached


def _step(segments: list[Segment], states: set[int], name: str) -> set[int]:
    after = set[int]()
    for state in states:
        if state < len(segments):
            segment = segments[state]
            if segment is None:
                after.add(state)
            elif segment.match(name):
                after.add(state + 1)
    return _reach(segments, after)


def _entries(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except OSError:
        return []


def _modified(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat(follow_symlinks=False).st_mtime
    except OSError:
        return 0.0
