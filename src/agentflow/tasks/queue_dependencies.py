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
_SEPARATED = re.compile(r"([,;\n])")
_AND = re.compile(r"(\band\b)")
_MARKS = "[](){}\"'.*`_ \t-+\u2022"


def known_titles(tasks: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """The ids of the tasks that have a title, by that title as `dependencies` compares it. `tasks` are
    ids and titles; a title that holds an id, or is a word that joins others, names no task."""
    named: dict[str, dict[str, None]] = {}
    for name, title in tasks:
        if not _NAMED.search(title):
            named.setdefault(_compared(title), {})[name] = None
    return {title: tuple(ids) for title, ids in named.items() if title not in _JOINING}


def dependencies(
    text: str, line: int, problems: list[Problem], titles: Mapping[str, tuple[str, ...]]
) -> list[str]:
    """The ids of a field; a range names every number in it, and the whole title of one task that task,
    where no id stands. Prose is a problem, as is the title of several tasks, and a name without a
    number beside others: it could be a task that must come first. Several words beside ids are a
    remark: a warning."""
    value = re.split(r"```|~~~", text[:10_000], maxsplit=1)[0]
    if value.strip("[]() .*`\t\n").lower() in _NOTHING:
        return []
    rest, entitled = _by_title(value, titles)
    found = [*_ids(value), *(ids[0] for ids in entitled.values())]
    told = "" if found else f"the dependencies name no task: {' '.join(value.split())[:80]!r}"
    if odd := _names_without_number(rest) if found else []:
        told = f"the dependencies hold what is no task's id: {', '.join(odd)[:80]!r}"
    if several := [f"{title!r} is {', '.join(ids)}" for title, ids in entitled.items() if ids[1:]]:
        told = f"the dependencies name a title that several tasks have: {several[0][:160]}"
    if told:
        problems.append(Problem(line, "error", "depends-unread", told))
    for remark in _remarks(re.split(r"\n[ \t]*\n", rest, maxsplit=1)[0]) if found else []:
        told = f"not waited for, as it names no task: {remark[:80]!r} among the dependencies"
        problems.append(Problem(line, "warning", "depends-remark", told))
    return found


def _compared(title: str) -> str:
    return " ".join(_ASIDE.sub(" ", title).strip(_MARKS).casefold().split())


def _by_title(
    value: str, titles: Mapping[str, tuple[str, ...]]
) -> tuple[str, dict[str, tuple[str, ...]]]:
    """A field without the titles that stand in it, and the ids that have each of them."""
    whole = _compared(value)
    if whole in titles:
        return "", {whole: titles[whole]}
    entitled: dict[str, tuple[str, ...]] = {}
    rest = list[str]()
    for part in _SEPARATED.split(value):
        # Beside an id, "and" separates; elsewhere it may be a title's.
        for each in _AND.split(part) if _NAMED.search(part) else [part]:
            title = _compared(each)
            if title in titles:
                entitled[title] = titles[title]
            else:
                rest.append(each)
    return "".join(rest), entitled


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
