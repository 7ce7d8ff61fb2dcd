"""What a queue's task says that it depends on."""

import re
from collections.abc import Iterable, Mapping

from agentflow.tasks.document import Problem
from agentflow.tasks.queue_headings import ID

_NAMED = re.compile(rf"(?<![\w-]){ID}(?![\w-])")
_RANGE = re.compile(
    rf"(?<![\w-])({ID})[ \t]*(?:\.\.+|\u2013|\u2014|[ \t]-[ \t]|to|through)[ \t]*({ID}|\d+)(?![\w-])"
)
_NUMBER = re.compile(r"(.*?)(\d+)")
_LONGEST_RANGE = 50
_NOTHING = {"", "none", "n/a", "na", "-", "nothing", "[]", "null"}
_WORD = re.compile(r"[^\W\d_][\w-]*")
_ASIDE = re.compile(r"\([^()]*\)")
_JOINING = {*_NOTHING, "and", "or", "both", "all"}
_PARTS = re.compile(r"[,;\n]")
_MARKS = "[](){}\"'.*`_ \t-+\u2022"


def known_titles(tasks: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The ids of tasks by their titles, as `dependencies` compares them; without what two are called.
    `tasks` are ids and titles."""
    named: dict[str, set[str]] = {}
    for name, title in tasks:
        named.setdefault(_compared(title), set()).add(name)
    return {title: min(ids) for title, ids in named.items() if title and len(ids) == 1}


def dependencies(
    text: str, line: int, problems: list[Problem], titles: Mapping[str, str]
) -> list[str]:
    """The ids of a field; a range names every number in it, and the whole title of one task that task.
    Prose is a problem, and so is a name without a number beside others: it could be a task that must
    come first. Several words beside ids are a remark: a warning."""
    value = re.split(r"```|~~~", text[:10_000], maxsplit=1)[0]
    if value.strip("[]() .*`\t\n").lower() in _NOTHING:
        return []
    first, *below = re.split(r"\n[ \t]*\n", value, maxsplit=1)
    entitled, first = _by_title(first, titles)
    value = "\n\n".join((first, *below))
    ids = _ids(value)
    found = [*entitled, *ids]
    told = "" if found else f"the dependencies name no task: {' '.join(value.split())[:80]!r}"
    if odd := _names_without_number(value) if found else []:
        told = f"the dependencies hold what is no task's id: {', '.join(odd)[:80]!r}"
    if told:
        problems.append(Problem(line, "error", "depends-unread", told))
    for remark in _remarks(first) if found else []:
        told = f"not waited for, as it names no task: {remark[:80]!r} among the dependencies"
        problems.append(Problem(line, "warning", "depends-remark", told))
    return found


def _compared(title: str) -> str:
    return " ".join(title.strip(_MARKS).casefold().split())


def _by_title(value: str, titles: Mapping[str, str]) -> tuple[list[str], str]:
    """The ids of tasks whose titles stand in a field, and the rest of it."""
    whole = titles.get(_compared(value))
    if whole:
        return [whole], ""
    parts = {part: titles.get(_compared(part)) for part in _PARTS.split(value)}
    rest = ",".join(part for part, name in parts.items() if name is None)
    return [name for name in parts.values() if name], rest if any(parts.values()) else value


def _remarks(value: str) -> list[str]:
    """The parts of a list that are several words and hold no id."""
    parts = (part.strip(_MARKS) for part in _PARTS.split(_ASIDE.sub(" ", value)))
    return [part for part in parts if len(part.split()) > 1 and not _NAMED.search(part)]


def _ids(value: str) -> list[str]:
    found = [name for match in _RANGE.finditer(value) for name in _between(match[1], match[2])]
    return [*found, *_NAMED.findall(value)]


def _names_without_number(value: str) -> list[str]:
    """The parts of a list that are one word and no id."""
    parts = re.split(r"[,;\n]|\band\b", _ASIDE.sub(" ", value))
    words = (part.strip(_MARKS) for part in parts)
    return [
        each
        for each in words
        if _WORD.fullmatch(each) and not _NAMED.fullmatch(each) and each.lower() not in _JOINING
    ]


def _between(first: str, last: str) -> list[str]:
    begin, end = _NUMBER.fullmatch(first), _NUMBER.fullmatch(last)
    if not begin or not end or end[1] not in {begin[1], ""} or len(begin[2]) > 9 or len(end[2]) > 9:
        return []
    width, count = len(begin[2]), int(end[2]) - int(begin[2])
    if not 0 <= count <= _LONGEST_RANGE:
        return []
    return [f"{begin[1]}{int(begin[2]) + step:0{width}}" for step in range(count + 1)]
