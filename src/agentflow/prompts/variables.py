"""Variables: where the value of each placeholder comes from, as of the base commit.

`[variables]` of the configuration comes first: text, `{ path = "…" }`, or what a command prints,
`{ command = "…" }`. Then:

- `$CURRENT_PHASE`: the phase and status that `.meta/current-phase.md` states, on one line;
- `$IMPLEMENTATION_PLAN`: the plan beside the task's documents, else the first file of `PLANS`, by its
  path; its text is attached;
- `$RELEVANT_LESSONS`: the lessons that apply to the task (`lessons.py`);
- `$PARALLEL_AGENTS`: the runs alive in this work tree, each with its boundaries;
- `$RECENT_CHANGES`: the newest commits of the base.

`$TASK_DESCRIPTION` and `$FILE_BOUNDARIES` are always the task's text and the boundaries that hold
(`render.py`): no configuration may say otherwise. What nothing is known of says so: `NONE`.
"""

import re
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath

from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.neutral import one_line
from agentflow.prompts.base_tree import BaseTree
from agentflow.prompts.lessons import relevant_lessons
from agentflow.prompts.references import MAX_TEXT, Reference
from agentflow.records import Boundaries, Task
from agentflow.setting_tables import CommandVariable, FileVariable

NONE = "none recorded"
ALONE = "none, you work alone"
PHASE = ".meta/current-phase.md"
OWN_PLAN = "implementation-plan.md"
"""The plan in the folder of a task's documents."""
PLANS = (
    ".meta/plans/active/{id}.md",
    ".meta/plans/{id}.md",
    "docs/plans/{id}.md",
    ".meta/plans/current-plan.md",
    "docs/plans/current-plan.md",
    "docs/plans/implementation-plan.md",
)
"""Where else an implementation plan is looked for, the task's own before the project's."""
COMMAND_FOLDERS = ("commands", "workflows")
"""Folders of command files: `.claude/commands`, `.agent/workflows`."""
MAX_CHANGES = 15
"""Commits that `$RECENT_CHANGES` names."""

_FIELD = re.compile(r"[\s>*_-]*(phase|status)[*_\s]*:[*_\s]*(\S.*)", re.IGNORECASE)


Commands = Mapping[str, CommandVariable]
"""Commands by the name of the variable."""


@record
class Sources:
    """What values are taken from."""

    task: Task
    boundaries: Boundaries
    tree: BaseTree
    others: Callable[[], Sequence[tuple[str, Boundaries | None]]]
    """The other tasks whose runs are alive, each with its boundaries as far as they are known."""
    recent: Callable[[], Sequence[str]]
    """The newest commits of the base, a line for each, the newest first."""
    measure: Callable[[Commands], Mapping[str, str]]
    """What commands print, run in a sandbox on the base."""
    roots: Sequence[str]
    """Of documents: folders with a folder for each task."""


@record
class Filled:
    """Values by the placeholder's name without its signs, and the files that they speak of."""

    values: Mapping[str, str]
    references: tuple[Reference, ...] = ()


def fill(
    names: Collection[str],
    configured: Mapping[str, str | FileVariable | CommandVariable],
    sources: Sources,
) -> Filled:
    """The values of the placeholders that a prompt uses, and of all configured texts and files.

    A command is run only if the prompt uses its placeholder. Raises `UsageError` for a configured
    file that the base does not hold, and what `sources.measure` raises.
    """
    wanted = {name.strip("${}<>") for name in names}
    commands = {
        name: said for name, said in configured.items() if isinstance(said, CommandVariable)
    }
    used = {name: commands[name] for name in sorted(wanted & commands.keys())}
    values = {
        name: _configured(name, said, sources.tree)
        for name, said in configured.items()
        if not isinstance(said, CommandVariable)
    }
    values |= sources.measure(used) if used else {}
    wanted -= values.keys()
    plan = _plan(sources) if "IMPLEMENTATION_PLAN" in wanted else None
    found = {name: SOURCES[name](sources) for name in sorted(wanted & SOURCES.keys())}
    return Filled(values | found, (plan,) if plan else ())


def _configured(name: str, said: str | FileVariable, tree: BaseTree) -> str:
    if isinstance(said, str):
        return said
    text = tree.text(said.path)
    if text is None or len(text) > MAX_TEXT:
        raise UsageError(
            f"[variables] {name}: {said.path} is no text file of the base, is a secret one, or is "
            + f"longer than {MAX_TEXT} characters",
            hint="Commit it, name another one, or give the text itself.",
        )
    return text.strip("\r\n")


def _phase(sources: Sources) -> str:
    """`1 (Foundation), in_progress`, or the first line of text."""
    lines = (sources.tree.text(PHASE) or "").splitlines()
    fields = {found[1].lower(): found[2] for line in lines if (found := _FIELD.fullmatch(line))}
    said = ", ".join(fields[name] for name in ("phase", "status") if name in fields)
    plain = (line for line in lines if line.strip() and not line.startswith(("#", "---")))
    return one_line(said or next(plain, ""), 300) or NONE


def plan_paths(task: Task, roots: Sequence[str], known: Collection[str]) -> list[str]:
    """Where a task's implementation plan may lie: first beside its tasks.md, in whichever root
    that is among the `known` paths."""
    folders = [f"{root}/{task.known_as}" for root in roots]
    folders.sort(key=lambda folder: f"{folder}/tasks.md" not in known)
    own = (f"{folder}/{OWN_PLAN}" for folder in folders)
    return [*own, *(path.format(id=task.known_as) for path in PLANS)]


def find_plan(task: Task, tree: BaseTree, roots: Sequence[str]) -> str | None:
    """The path of a task's implementation plan, or None if there is none."""
    paths = plan_paths(task, roots, tree.paths)
    return next((path for path in paths if tree.text(path) is not None), None)


def _plan(sources: Sources) -> Reference | None:
    found = find_plan(sources.task, sources.tree, sources.roots)
    return Reference(found, 0, "file", found) if found else None


def _plan_value(sources: Sources) -> str:
    plan = _plan(sources)
    return f"`{plan.path}` (its text is at the end)" if plan else NONE


def _lessons(sources: Sources) -> str:
    return relevant_lessons(sources.tree, sources.task, sources.boundaries) or NONE


def _others(sources: Sources) -> str:
    lines = [f"- {task}: {_spelled(boundaries)}" for task, boundaries in sources.others()]
    return "\n".join(lines) or ALONE


def _spelled(boundaries: Boundaries | None) -> str:
    if boundaries is None:
        return "its boundaries are not known"
    return ", ".join(f"`{glob}`" for glob in boundaries.allow) or "any path"


def _recent(sources: Sources) -> str:
    return "\n".join(f"- {one_line(line)}" for line in sources.recent()[:MAX_CHANGES]) or NONE


SOURCES: dict[str, Callable[[Sources], str]] = {
    "CURRENT_PHASE": _phase,
    "IMPLEMENTATION_PLAN": _plan_value,
    "RELEVANT_LESSONS": _lessons,
    "PARALLEL_AGENTS": _others,
    "RECENT_CHANGES": _recent,
}
"""The source of each variable that nobody configured."""


def argument_values(arguments: str | None, body: str, path: Path) -> dict[str, str]:
    """The values of `$ARGUMENTS` and `$1` to `$n` of a command file that is run with n arguments.

    None means none were given: then `$1` is shell, or a price. So is every `$m` beyond n. Words
    are split as a shell splits them. Raises `UsageError` for arguments to a prompt that is no
    command file or has no place for them, and for a quote that is not closed.
    """
    if arguments is None:
        return {}
    if not set(COMMAND_FOLDERS) & set(PurePosixPath(path.parent).parts):
        raise UsageError(
            f"{path} is no command file, so it takes no arguments",
            hint=f"Command files stand in a folder named {' or '.join(COMMAND_FOLDERS)}.",
        )
    try:
        words = shlex.split(arguments)
    except ValueError as error:
        raise UsageError(f"the arguments {arguments!r:.80} cannot be split: {error}") from error
    values = {"$ARGUMENTS": arguments} | {
        f"${number}": word for number, word in enumerate(words, 1)
    }
    if not any(re.search(re.escape(name) + r"(?!\w)", body) for name in values):
        raise UsageError(f"{path} has no $ARGUMENTS and no $1, so it takes no arguments")
    return values
