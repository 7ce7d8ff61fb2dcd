"""What a queue's task says that it depends on."""

import re

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


def dependencies(text: str, line: int, problems: list[Problem]) -> list[str]:
    """The ids of a field; a range names every number in it. Prose is a problem, and so is a name without
    a number beside others: it could be a task that must come first."""
    value = re.split(r"```|~~~", text[:10_000], maxsplit=1)[0]
    if value.strip("[]() .*`\t\n").lower() in _NOTHING:
        return []
    found = [name for match in _RANGE.finditer(value) for name in _between(match[1], match[2])]
    found += _NAMED.findall(value)
    told = "" if found else f"the dependencies name no task: {' '.join(value.split())[:80]!r}"
    if odd := _names_without_number(value) if found else []:
        told = f"the dependencies hold what is no task's id: {', '.join(odd)[:80]!r}"
    if told:
        problems.append(Problem(line, "error", "depends-unread", told))
    return found


def _names_without_number(value: str) -> list[str]:
    """The parts of a list that are one word and no id."""
    parts = re.split(r"[,;\n]|\band\b", _ASIDE.sub(" ", value))
    words = (part.strip("[](){}\"'.*`_ \t-+\u2022") for part in parts)
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
