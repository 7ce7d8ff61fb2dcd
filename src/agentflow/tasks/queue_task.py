"""An entry of a queue as a task that can be run."""

import re
from collections.abc import Mapping
from pathlib import Path

from agentflow.errors import UsageError
from agentflow.records import Task
from agentflow.setting_tables import QueueSetting
from agentflow.tasks.queue import Entry, Queue, plain
from agentflow.tasks.task import check_id
from agentflow.words import word

_CRITERIA = "acceptance criteria"
_ITEM = re.compile(r"([ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]+)(?!\[[ xX]\][ \t])(?=\S)")


def make_task(entry: Entry, queue: Queue, setting: QueueSetting, path: Path) -> Task:
    """The task of an entry: its prompt by category, its model by complexity.

    Its acceptance criteria become boxes. What is completed in the queue is no dependency any more.
    Raises `UsageError` for an id that cannot be a file name, for an entry that says nothing, and
    for one with doubts.
    """
    where = f"{path}:{entry.line}"
    identifier = check_id(entry.id, where=where)
    if not entry.title and not entry.text.strip():
        raise UsageError(f"{where}: {entry.id} says nothing")
    if entry.doubts:
        raise UsageError(
            f"{where}: {entry.id} cannot be run: {entry.doubts[0]}",
            hint=f"Mend it, and check: agentflow tasks lint {word(path)}",
        )
    finished = queue.finished()
    return Task(
        id=identifier,
        title=entry.title or identifier,
        text=f"# {entry.id}: {entry.title}\n\n{_with_boxes(entry)}".strip(),
        path=path,
        prompt=_mapped(setting.categories, entry.category),
        model=_mapped(setting.complexities, entry.complexity),
        depends_on=tuple(name for name in entry.depends_on if name not in finished),
        sha256=entry.sha256,
    )


def _mapped(names: Mapping[str, str], value: str) -> str | None:
    return next((meant for name, meant in names.items() if value and plain(name) == value), None)


def _with_boxes(entry: Entry) -> str:
    """The entry's text, with a box before each acceptance criterion."""
    said = (entry.fields or {}).get(_CRITERIA, "")
    if not said:
        return entry.text
    lines = said.split("\n")
    boxes = "\n".join(_ITEM.sub(r"\1[ ] ", line, count=1) for line in lines)
    if not any(_ITEM.match(line) for line in lines):
        listed = any("[ ]" in line or "[x]" in line.lower() for line in lines)
        added = f"\n\n## Acceptance criteria\n\n- [ ] {' '.join(said.split())}"
        return entry.text if listed else entry.text + added
    label = entry.text.lower().find(_CRITERIA)
    return entry.text[:label] + entry.text[label:].replace(said, boxes, 1)
