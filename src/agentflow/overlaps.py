"""Whether two boundaries meet: is there a path that both globs cover?

Both levels of a glob are words with wildcards, so one product of two automata serves both: names
with `**` between them, and characters with `*` between them. Globs are as `check_glob` returns
them. What a task may not change is not subtracted: an overlap may be reported that a denial rules
out, never the reverse.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial

from agentflow.globs import alternatives


@cache
def overlap(one: str, other: str) -> bool:
    """Whether some path is covered by both globs."""
    return any(_paths_meet(a, b) for a in alternatives(one) for b in alternatives(other))


@cache
def _paths_meet(one: str, other: str) -> bool:
    return _meet(_names(one), _names(other), "**", _names_meet)


@cache
def _names_meet(one: str, other: str) -> bool:
    return _meet(one, other, "*", _characters_meet)


def _characters_meet(one: str, other: str) -> bool:
    return one == other or "?" in {one, other}


def _names(glob: str) -> Sequence[str]:
    """The names of a glob without braces, with what its ending stands for spelled out."""
    names = glob.rstrip("/").split("/")
    if names[-1] == "**":
        names.append("*")
    if glob.endswith("/"):
        return [*names, "*", "**"]
    return names if "*" in names[-1] or "?" in names[-1] else [*names, "**"]


def _meet(
    one: Sequence[str], other: Sequence[str], star: str, same: Callable[[str, str], bool]
) -> bool:
    """Whether two words have an instance in common; `star` stands for any number of letters."""
    row = [True, *(False for _ in other)]
    for j, letter in enumerate(other):
        row[j + 1] = row[j] and letter == star
    for letter in one:
        row = _next_row(row, other, star, letter, partial(same, letter))
    return row[-1]


def _next_row(
    row: Sequence[bool], other: Sequence[str], star: str, letter: str, same: Callable[[str], bool]
) -> list[bool]:
    reached = [row[0] and letter == star]
    for j, facing in enumerate(other):
        if star in {letter, facing}:
            reached.append(row[j + 1] or reached[j])
        else:
            reached.append(row[j] and same(facing))
    return reached
