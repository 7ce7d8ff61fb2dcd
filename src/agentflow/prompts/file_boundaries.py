"""File boundaries: the `## File Boundaries` section of an implementation plan.

A table with a column of globs, and perhaps one of agents and one of denials, or a list. A plan may
have been written by an agent, so what it says can only stand where a task's `allow` would stand, and
says less than that: it never opens a protected path and never excuses one from the tamper gate.
What cannot be read for certain is not used at all.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import replace

from agentflow.boundaries import opens_protected
from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.globs import as_written, check_glob, is_path
from agentflow.neutral import one_line
from agentflow.prompts.prose import unfenced_lines
from agentflow.prompts.search import plain_name
from agentflow.records import Task

MAX_ROWS = 200
"""Rows of one section; a longer one is not used."""
MAX_GLOBS = 200
"""Globs of one agent."""

_MAX_LINE = 2_000
_TITLE = re.compile(r"(#{1,6})\s+(?:[\d.]+\s+)?(\S.*)")
_SIGNS = " \t#:`*_"
_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+(\S.*)")
_NAMED = re.compile(r"[*_]*([A-Za-z][\w -]{0,60}?)[*_]*:[*_]*\s+(\S.*)")
_ALLOW = re.compile(
    r"\b(?:files?|paths?|globs?|boundar\w+|allow\w*|folders?|director\w+|may|can)\b"
)
_DENY = re.compile(r"\b(?:den\w+|forbid\w*|not|cannot|never|off|exclu\w+|prohibit\w*|protect\w+)\b")
_WHO = re.compile(r"\b(?:agents?|roles?|owners?|who|developers?|assigned)\b")
_RIGHTS = re.compile(r"\b(?:access|permissions?|mode|rights?|read|action)\b")
_RULE = re.compile(r":?-+:?")
_SPAN = re.compile(r"`([^`]+)`")
_ASIDE = re.compile(r"\([^()]*\)")
_BETWEEN = re.compile(r"<br\s*/?>|[\s,;]|\band\b|\bor\b", re.IGNORECASE)
_PATH_SHAPED = re.compile(r"[\w.@*?{}/,\[\]()-]*[\w*}/]")


@record
class _Row:
    """What the section says of one agent."""

    agent: str
    """Empty if it says of nobody whom it is about."""
    line: int
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    clear: bool = True


@record
class Planned:
    """The boundaries that a plan gives, and what the user should know about them."""

    allow: tuple[str, ...] = ()
    """Empty means that the plan gives no boundaries."""
    deny: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def planned_boundaries(
    text: str, path: str, agents: Collection[str], base_paths: frozenset[str]
) -> Planned:
    """The boundaries that a plan's text gives the agent that has one of these names.

    Of several agents' rows the one is taken whose name equals one of `agents`; `_` and `-` are
    equal. A plan without the section says nothing.
    """
    rows = list(_rows(text))
    if not rows:
        return Planned()
    place = f"{one_line(path, 200)}:{rows[0].line}"
    if len(rows) > MAX_ROWS:
        return _unused(place, "they have too many rows")
    joined = _joined(rows)
    if len(joined) > 1:
        names = {plain_name(name) for name in agents}
        joined = [row for row in joined if plain_name(row.agent) in names]
    if len(joined) != 1:
        return _unused(place, f"no row of them is for {one_line(min(agents), 60)}")
    row = joined[0]
    place = f"{one_line(path, 200)}:{row.line}"
    if not row.clear or not row.allow or len(row.allow) + len(row.deny) > MAX_GLOBS:
        return _unused(place, "they cannot be read for certain")
    return _used(row, place, base_paths)


def with_planned(task: Task, planned: Planned) -> Task:
    """The task as if it said itself what the plan says: so the configuration narrows it."""
    own = task.boundaries
    return replace(
        task, boundaries=replace(own, allow=planned.allow, deny=(*own.deny, *planned.deny))
    )


def _unused(place: str, why: str) -> Planned:
    return Planned(notices=(f"{place}: the plan's file boundaries are not used: {why}",))


def _used(row: _Row, place: str, base_paths: frozenset[str]) -> Planned:
    opening = [glob for glob in row.allow if opens_protected(glob)]
    allow = tuple(
        each for glob in row.allow if glob not in opening for each in unnamed(glob, base_paths)
    )
    refused = tuple(
        f"{place}: the plan cannot allow {one_line(glob, 200)}, which is protected"
        for glob in opening
    )
    if not allow:
        return Planned(notices=refused)
    allowed = one_line(", ".join(map(as_written, allow)), 300)
    told = f"{place}: the plan allows only {allowed}"
    denied = f", and denies {one_line(', '.join(row.deny), 300)}" if row.deny else ""
    return Planned(allow, row.deny, (f"{told}{denied}", *refused))


def unnamed(glob: str, base_paths: frozenset[str]) -> tuple[str, ...]:
    """Globs for the same paths that do not name a file literally: who names one in `allow` excuses
    it from the tamper gate, and a plan must not."""
    folder, slash, name = glob.rpartition("/")
    if not is_path(glob) or any(path.startswith(f"{glob}/") for path in base_paths):
        return (glob,)
    file = f"{folder}{slash}{{{name}}}"
    return (file,) if glob in base_paths or "." in name else (file, f"{glob}/")


def _joined(rows: list[_Row]) -> list[_Row]:
    """One row for each agent, at the line of its first."""
    found: dict[str, _Row] = {}
    for row in rows:
        name = plain_name(row.agent)
        first = found.get(name)
        found[name] = (
            replace(
                first,
                allow=(*first.allow, *row.allow),
                deny=(*first.deny, *row.deny),
                clear=first.clear and row.clear,
            )
            if first
            else row
        )
    return list(found.values())


def _rows(text: str) -> Iterator[_Row]:
    """The rows of the section, as far as it has any."""
    columns: list[str] | None = None
    label = ""
    for number, line in _section(text):
        title, item, cells = _label(line), _ITEM.fullmatch(line), _cells(line)
        columns = columns if cells else None
        if item:
            yield _listed(item[1], label, number)
        elif title:
            label = title
        elif cells and columns is None:
            columns = [cell.lower() for cell in cells]
        elif cells and columns and not all(_RULE.fullmatch(cell) for cell in cells):
            yield _tabled(columns, cells, label, number)


def _label(line: str) -> str:
    """A heading's words, or those of a line that ends with a colon; else empty."""
    title = _TITLE.fullmatch(line)
    if title:
        return title[2].strip(_SIGNS)
    return line.strip(_SIGNS) if line.rstrip("*_ ").endswith(":") else ""


def _section(text: str) -> Iterator[tuple[int, str]]:
    """The lines of the section with their numbers, outside of fences, its heading not."""
    level = 0
    for number, line in unfenced_lines(text):
        line = line[:_MAX_LINE].rstrip()
        title = _TITLE.fullmatch(line)
        if title and level and len(title[1]) <= level:
            return
        if level:
            yield number, line
        elif title and title[2].strip(_SIGNS).lower() == "file boundaries":
            level = len(title[1])


def _cells(line: str) -> list[str]:
    line = line.strip()
    if not line.startswith("|"):
        return []
    return [cell.strip() for cell in line.strip("|").split("|")]


def _listed(item: str, label: str, line: int) -> _Row:
    """A list's item: globs, after an agent's name or a word that forbids; so may be the label that
    stands above the list."""
    named = _NAMED.fullmatch(item)
    name, said = (named[1], named[2]) if named else (label, item)
    globs = _globs(said)
    denies = any(_DENY.search(each.lower()) for each in (name, label))
    who = _whose(name) or _whose(label)
    if globs is None:
        return _Row(who, line, clear=False)
    return _Row(who, line, deny=globs) if denies else _Row(who, line, allow=globs)


def _whose(label: str) -> str:
    """The label as an agent's name; empty for one that says what may be done."""
    plain = label.lower()
    return "" if _DENY.search(plain) or _ALLOW.search(plain) else label


def _tabled(columns: list[str], cells: list[str], label: str, line: int) -> _Row:
    """A table's row. Which column allows must be certain, and that no other one takes it back."""
    denying = [n for n, name in enumerate(columns) if _DENY.search(name)]
    who = [n for n, name in enumerate(columns) if _WHO.search(name) and n not in denying]
    allowing = [
        n for n, name in enumerate(columns) if _ALLOW.search(name) and n not in (*denying, *who)
    ]
    rights = [n for n, name in enumerate(columns) if _RIGHTS.search(name)]
    name = cells[who[0]].strip("`*_ ") if who and who[0] < len(cells) else _whose(label)
    unclear = len(who) > 1 or rights or _DENY.search(label.lower())
    if len(allowing) != 1 or unclear or len(cells) != len(columns):
        return _Row(name, line, clear=False)
    allow = _globs(cells[allowing[0]])
    deny = [_globs(cells[n]) for n in denying if cells[n].strip("- –—") not in {"", "none"}]  # noqa: RUF001
    if allow is None or None in deny:
        return _Row(name, line, clear=False)
    return _Row(name, line, allow, tuple(glob for globs in deny for glob in globs or ()))


def _globs(text: str) -> tuple[str, ...] | None:
    """The globs of a cell, or None if it holds anything else; what stands in brackets is a remark."""
    spans = _SPAN.findall(text)
    rest = _BETWEEN.split(_ASIDE.sub("", _SPAN.sub(" ", text)) if spans else text)
    words = [word for word in rest if word.strip("*_" if spans else "")]
    if (spans and words) or not (spans or words):
        return None
    globs: list[str] = []
    for word in spans or words:
        path = word.strip().removeprefix("/")
        try:
            shaped = _PATH_SHAPED.fullmatch(path) and (spans or re.search(r"[/*.]", path))
            globs.append(check_glob(path, where="plan") if shaped else "")
        except UsageError:
            return None
    return tuple(globs) if all(globs) else None
