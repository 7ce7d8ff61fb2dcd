"""Lessons: which of a project's recorded lessons apply to a task.

A lesson is a Markdown file below one of `FOLDERS`; templates, indexes and READMEs are none. It
says what it applies to by `tags`, `components`, `phases` or `task_types` and by path globs under
`applies_to` or `paths` in its header, or by `**Tags**: …`, `#tags`, and the list under
`## Applicability` in its text. It applies if one of its tags is among the task's words or the names
in its boundaries, or if one of its globs meets them. A lesson that says nothing applies always.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, cast

from agentflow.errors import UsageError
from agentflow.frontmatter import Header, read_header, split_header
from agentflow.frozen import record
from agentflow.globs import check_glob, literal_prefix, matches
from agentflow.prompts.base_tree import BaseTree
from agentflow.prompts.prose import prose_lines
from agentflow.prompts.references import excerpt
from agentflow.records import Boundaries, Task

FOLDERS = (".orchestrator/lessons", ".meta/lessons")
MAX_LESSONS = 20
"""Lessons whose text is given; the others are named."""
MAX_LESSON = 4_000
"""Characters of one lesson."""
MAX_READ = 500
"""Lessons that are looked at."""

_MAX_LINE = 1_000
_NO_LESSON = re.compile(r"(?:.*[-_. ])?(?:template|index|readme)", re.IGNORECASE)
_TAG_KEYS = ("tags", "components", "phases", "task_types", "task-types", "category")
_GLOB_KEYS = ("applies_to", "applies-to", "paths", "files")
_TAGS_LINE = re.compile(r"[\s*_>-]*tags?[*_\s]*:[*_\s]*(\S.*)", re.IGNORECASE)
_HASH_TAG = re.compile(r"(?<!\S)#([A-Za-z][\w-]*)")
_LISTED = re.compile(r"\s*+[-*+]\s++(?:\**+[\w ]++\**+\s*+:)?\**\s*+(\S.*)")
_WORD = re.compile(r"[^\W_]+")
_EVERYTHING = frozenset({"all", "any", "general", "every"})


@record
class _Applicability:
    tags: tuple[str, ...]
    globs: tuple[str, ...]


def relevant_lessons(tree: BaseTree, task: Task, boundaries: Boundaries) -> str:
    """The lessons that apply to a task, each with its path; the best matches first, then by path.

    Empty if there is none.
    """
    paths = (*boundaries.allow, *task.files) or ("**",)
    words = set(_words(" ".join((task.title, task.text, *paths))))
    chosen: list[tuple[int, str, str]] = []
    for path in _paths(tree):
        text = tree.text(path)
        if text is None:
            continue
        score = _score(_applicability(text, path), words, paths)
        if score is not None:
            chosen.append((-score, path, _body(text)))
    chosen.sort()
    given = [f"From `{path}`:\n\n{excerpt(text, path, MAX_LESSON)}" for _, path, text in chosen]
    rest = [f"- `{path}`" for _, path, _ in chosen[MAX_LESSONS:]]
    return "\n".join((*given[:MAX_LESSONS], *rest)).strip()


def _paths(tree: BaseTree) -> list[str]:
    return [
        path
        for folder in FOLDERS
        for path in tree.below(folder)
        if path.endswith(".md")
        and not PurePosixPath(path).stem.startswith("_")
        and not _NO_LESSON.fullmatch(PurePosixPath(path).stem)
    ][:MAX_READ]


def _score(found: _Applicability, words: set[str], paths: tuple[str, ...]) -> int | None:
    """How many of a lesson's marks meet the task; 0 if it has none; None if none of them does."""
    if not found.tags and not found.globs:
        return 0
    tags = sum(
        tag.casefold() in _EVERYTHING or words.issuperset(parts)
        for tag in found.tags
        if (parts := _words(tag))
    )
    globs = sum(any(_meet(glob, path) for path in paths) for glob in found.globs)
    return tags + globs or None


def _meet(glob: str, path: str) -> bool:
    """Whether a glob and a boundary cover a common folder, as far as their literal names say."""
    one, other = literal_prefix(glob), literal_prefix(path)
    if not one or not other:
        return not other or matches(glob, path)
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _applicability(text: str, path: str) -> _Applicability:
    header = _header(text, path)
    tags = [item for key in _TAG_KEYS for item in _items(header.fields.get(key))]
    globs = [item for key in _GLOB_KEYS for item in _items(header.fields.get(key))]
    inside = False
    for _, whole in prose_lines(header.body):
        line = whole[:_MAX_LINE]
        if line.startswith("#") and line.lstrip("#").startswith(" "):
            inside = "applicab" in line.casefold()
            continue
        named = _TAGS_LINE.fullmatch(line) or (_LISTED.fullmatch(line) if inside else None)
        tags += _items(named[1].replace("#", ",")) if named else _HASH_TAG.findall(line)
    return _Applicability(tuple(tags), tuple(_checked(globs)))


def _header(text: str, path: str) -> Header:
    """A lesson's header, or none where it cannot be read."""
    try:
        return read_header(text, where=path)
    except UsageError:
        return Header({}, {}, text, present=False)


def _body(text: str) -> str:
    return split_header(text.removeprefix("\ufeff"))[1].strip("\r\n")


def _items(value: Any) -> list[str]:
    """The items of a list, or of text between commas."""
    listed = cast(list[Any], value) if isinstance(value, list) else [value]
    texts = [item for item in listed if isinstance(item, str)]
    split = (part.strip(" \t\r`") for text in texts for part in re.split(r"[,;]", text))
    return [part for part in split if part]


def _checked(globs: list[str]) -> Iterator[str]:
    for glob in globs:
        try:
            yield check_glob(glob, where="lesson")
        except UsageError:
            continue


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
