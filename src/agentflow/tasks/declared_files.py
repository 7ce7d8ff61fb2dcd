"""Files that the tasks of a document declare, mapped into the workspace."""

import re
from collections.abc import Sequence
from dataclasses import replace

from agentflow.tasks.document import Batch, DeclaredFile, Problem, TaskEntry
from agentflow.tasks.document_paths import (
    Action,
    Exists,
    Mention,
    map_paths,
    mentions,
    parse_action,
)
from agentflow.tasks.fields import Field, items
from agentflow.tasks.markdown_lines import Line

_FILES: dict[str, Action | None] = {
    "file": None,
    "files": None,
    "files affected": None,
    "target file": None,
    "target files": None,
    "files to change": "modify",
    "files to modify": "modify",
    "files to create": "create",
    "new file": "create",
    "new files": "create",
    "files to delete": "delete",
    "files to rename": "rename",
    "files to move": "rename",
}
"""Labels, and the action that they say."""


_NO_FILE = re.compile(
    r"\W*+(?:n/?a\b|none\b|no\b|nothing\b|manual\b|tbd\b|not\b|verif|\Z)", re.IGNORECASE
)
"""What a task without files says there."""


def find_mentions(
    lines: Sequence[Line], fields: Sequence[Field]
) -> tuple[list[Mention], list[Problem]]:
    """What a task's fields name: behind the label, or as a list below it; and what of it is no path,
    and so declares nothing."""
    said: list[Action | None] = [
        parse_action(field.value) for field in fields if field.label == "action"
    ]
    general = said[0] if said else None
    found: list[Mention] = []
    unread: list[Problem] = []
    for field in fields:
        if field.label not in _FILES:
            continue
        action = _FILES[field.label]
        action = general if action is None else action
        for line, value in [(field.line, field.value)] if field.value else items(lines, field):
            each = [*mentions(value[:4000], line, action)]
            found += (replace(one, action=one.action or action) for one in each)
            if not each and not _NO_FILE.match(value[:200]):
                told = f"{value[:120]!r} names no file that could be checked"
                unread.append(Problem(line, "notice", "file-unread", told))
    return found, unread


def map_files(
    batches: Sequence[Batch],
    loose: Sequence[TaskEntry],
    exists: Exists | None,
    prefixes: Sequence[str],
) -> tuple[list[Batch], list[TaskEntry], list[Problem]]:
    """Give every declared file its place; what has none becomes a problem."""
    every = [file for task in _tasks(batches, loose) for file in task.files]
    places = map_paths((file.written for file in every), exists or _nothing, prefixes)

    def mapped(task: TaskEntry) -> TaskEntry:
        return replace(task, files=tuple(placed(file) for file in task.files))

    def placed(file: DeclaredFile) -> DeclaredFile:
        path = places[file.written]
        there = None if exists is None else path is not None and exists(path)
        return replace(file, path=path, exists=there)

    problems = [
        Problem(file.line, "warning", "path-unmapped", f"{file.written[:200]!r} has no place here")
        for file in every
        if exists is not None and places[file.written] is None
    ]
    moved = [replace(batch, tasks=tuple(mapped(task) for task in batch.tasks)) for batch in batches]
    return moved, [mapped(task) for task in loose], problems


def _nothing(path: str) -> bool:
    return False


def _tasks(batches: Sequence[Batch], loose: Sequence[TaskEntry]) -> list[TaskEntry]:
    return [*(task for batch in batches for task in batch.tasks), *loose]
