"""Reads tasks.md: batches, tasks, statuses, dependencies, files, in all shapes seen in the field."""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from agentflow.errors import UsageError
from agentflow.frontmatter import read_limited
from agentflow.frozen import record
from agentflow.tasks.batch_dependencies import (
    Dependencies,
    Known,
    Reference,
    joined,
    parse_dependencies,
)
from agentflow.tasks.declared_files import find_mentions, map_files
from agentflow.tasks.document import Batch, DeclaredFile, Document, Problem, TaskEntry
from agentflow.tasks.document_checks import check
from agentflow.tasks.document_paths import Exists
from agentflow.tasks.fields import Field, items, read_fields
from agentflow.tasks.headings import (
    Section,
    batch_heading,
    is_odd_batch,
    is_underlined_batch,
    split_batches,
    split_tasks,
)
from agentflow.tasks.markdown_lines import Line, Lines, read_lines
from agentflow.tasks.statuses import in_box
from agentflow.tasks.tokens import derived_status, find_commit, find_status

MAX_DOCUMENT = 1024 * 1024
"""Bytes. The largest real tasks.md seen has 94 KB."""

MAX_BATCHES = 1000
"""The real document with most has some 20."""

_TASK_ID = re.compile(r"\bTASK[_-][A-Z0-9][A-Z0-9_-]{0,80}")
_IN_NAME = re.compile(r"\((?:depends on|after|requires)\b[^()]{1,200}\)", re.IGNORECASE)
_DEVELOPER = (
    "assigned to",
    "assigned",
    "developer",
    "developer type",
    "developer needed",
    "agent",
    "recommended developer",
)
_DEPENDENCIES = ("dependencies", "depends on", "dependency", "prerequisites", "blocked by")


@record
class _Surroundings:
    """What a section's reading needs to know of the whole document."""

    known: Known
    developer: str | None
    """Of the whole document."""
    problems: list[Problem]


def read_tasks_md(
    path: Path, exists: Exists | None = None, prefixes: Sequence[str] = ()
) -> Document:
    """Read a file. Raises `UsageError` naming it, if it is too large or not UTF-8 text."""
    data = read_limited(path, MAX_DOCUMENT)
    try:
        text = data.decode()
        folder = path.resolve().parent.name
        return parse_tasks_md(text, folder=folder, exists=exists, prefixes=prefixes)
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start})") from error
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}", hint=error.hint) from error


def parse_tasks_md(
    text: str, *, folder: str = "", exists: Exists | None = None, prefixes: Sequence[str] = ()
) -> Document:
    """Read a document. What is wrong with it is a problem of the record.

    `folder` is the name of the folder it lies in, which is the task's id; `exists` looks into
    the workspace; `prefixes` are absolute paths under which the workspace lies for its writers.
    Raises `UsageError` only for more lines than `markdown_lines.MAX_LINES`, or batches than
    `MAX_BATCHES`.
    """
    read = read_lines(text)
    sections, outside = split_batches(read.all)
    if len(sections) > MAX_BATCHES:
        raise UsageError(f"the document has more than {MAX_BATCHES} batches")
    problems = _unread(read)
    around = _Surroundings(Known(_references(sections)), _general_developer(read.all), problems)
    batches = [_batch(each, around) for each in sections]
    loose = [_task(each, around) for each in split_tasks(outside)]
    batches, loose, unmapped = map_files(batches, loose, exists, prefixes)
    problems += [*unmapped, *check(batches, loose)]
    return Document(
        text=text,
        task_id=_task_id(read.all, folder),
        batches=tuple(batches),
        loose=tuple(loose),
        problems=tuple(sorted(set(problems), key=lambda each: (each.line, each.code))),
    )


def _unread(read: Lines) -> list[Problem]:
    told = "a fence opens here and never closes: everything after it is taken for code"
    problems = [Problem(line, "warning", "unclosed-fence", told) for line in read.unclosed]
    hidden = "a batch's heading within a fence or comment does not count"
    fenced = (line for line in read.all if line.opaque and line.text.startswith("## "))
    underlined = "an underlined heading is not read: write `## Batch …`"
    strange = "this looks like a batch's heading, and is not read as one: write it like `## Batch 2A: name`"
    return [
        *problems,
        *(
            Problem(line.number, "notice", "fenced-batch", hidden)
            for line in fenced
            if batch_heading(line.shown())
        ),
        *(
            Problem(line.number, "warning", "batch-unread", strange)
            for line in read.all
            if is_odd_batch(line)
        ),
        *(
            Problem(line.number, "warning", "batch-unread", underlined)
            for line, below in pairwise(read.all)
            if is_underlined_batch(line, below)
        ),
    ]


def _task_id(lines: Sequence[Line], folder: str) -> str:
    title = next((line.text for line in lines[:20] if line.level == 1), "")
    found = _TASK_ID.search(title[:1000])
    return folder or (found[0] if found else "")


def _references(batches: Sequence[Section]) -> list[Reference]:
    known: list[Reference] = []
    for batch in batches:
        known.append(Reference("batch", batch.id))
        known += [Reference("task", task.id) for task in split_tasks(batch.lines[1:])]
    return known


def _general_developer(lines: Sequence[Line]) -> str | None:
    """Who does everything, if the text before the second heading says so."""
    headings = [index for index, line in enumerate(lines) if line.level]
    preamble = lines[: headings[1] if len(headings) > 1 else len(lines)]
    return _value(list(read_fields(preamble)), _DEVELOPER)


def _value(fields: Sequence[Field], labels: Sequence[str]) -> str | None:
    found = next((field for field in fields if field.label in labels and field.value), None)
    return found.value.strip("`* ")[:500] if found else None


def _dependencies(
    section: Section, fields: Sequence[Field], around: _Surroundings
) -> Dependencies | None:
    said = _value(fields, _DEPENDENCIES)
    if said is not None:
        return parse_dependencies(said, around.known)
    empty = next((field for field in fields if field.label in _DEPENDENCIES), None)
    below = [words for _, words in items(section.lines, empty)] if empty else []
    if below:
        return joined(parse_dependencies(words, around.known) for words in below)
    named = _IN_NAME.search(section.rest)
    return parse_dependencies(named[0].strip("()"), around.known) if named else None


def _listed(lines: Sequence[Line], fields: Sequence[Field], label: str) -> tuple[str, ...]:
    """The values and list items of all fields whose label begins like this."""
    found: list[str] = []
    for field in fields:
        if field.label.startswith(label):
            found += [field.value] if field.value else []
            found += [words for _, words in items(lines, field)]
    return tuple(found)


def _task(section: Section, around: _Surroundings) -> TaskEntry:
    fields = [field for field in read_fields(section.lines) if not field.of_batch]
    stated = find_status(section, fields)
    around.problems.extend(stated.problems)
    commits, commit = find_commit(section, fields)
    mentioned, unread = find_mentions(section.lines, fields)
    around.problems.extend(unread)
    return TaskEntry(
        id=section.id,
        name=stated.name,
        line=section.lines[0].number,
        end=section.end,
        status=stated.status or in_box(section.rest),
        tokens=stated.tokens,
        boxes=stated.boxes,
        dependencies=_dependencies(section, fields, around),
        files=tuple(
            DeclaredFile(each.written, None, each.action, None, each.line) for each in mentioned
        ),
        quality=_listed(section.lines, fields, "quality"),
        verification=_listed(section.lines, fields, "verification"),
        commits=commits,
        commit=commit,
    )


def _batch(section: Section, around: _Surroundings) -> Batch:
    """A batch's own fields stand before its first task, or say `Batch` themselves."""
    tasks = [_task(each, around) for each in split_tasks(section.lines[1:])]
    first = next((i for i, line in enumerate(section.lines) if i and line.level), None)
    fields = [
        field
        for field in read_fields(section.lines)
        if field.of_batch or first is None or field.index < first
    ]
    stated = find_status(section, fields)
    around.problems.extend(stated.problems)
    status, source = stated.status, stated.source
    if status is None and not any(each.code == "status-ambiguous" for each in stated.problems):
        status, source = derived_status(tasks, section.lines)
        ticked = None if status else in_box(section.rest)
        status, source = (ticked, "heading") if ticked else (status, source)
    commits, commit = find_commit(section, fields)
    return Batch(
        id=section.id,
        name=stated.name,
        line=section.lines[0].number,
        end=section.end,
        status=status,
        source=source,
        tokens=stated.tokens,
        boxes=stated.boxes,
        developer=_value(fields, _DEVELOPER) or around.developer,
        dependencies=_dependencies(section, fields, around),
        tasks=tuple(tasks),
        commits=commits,
        commit=commit,
        verification=_listed(section.lines, fields, "verification"),
    )
