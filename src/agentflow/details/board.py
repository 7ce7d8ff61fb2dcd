"""What a dashboard shows: runs as rows, agents at work, tasks in their plan, what was spent."""

from collections.abc import Sequence
from datetime import datetime

from agentflow.frozen import record
from agentflow.progress import Progress
from agentflow.records import Json
from agentflow.spending import Spending


@record
class RunRow:
    """A run in a list."""

    run: str
    task: str
    title: str
    outcome: str
    """As `runs.OUTCOMES` has it."""
    reason: str
    """Why it ended so; of a blocked run, what it asks."""
    hint: str
    began: datetime | None
    """None for a name that holds no time."""
    seconds: float | None
    spent: Spending
    prompt: str
    model: str
    report: Json
    """The fields of its report by which `spending` sums up."""


@record
class AtWork:
    """A run that a process works on."""

    row: RunRow
    progress: Progress
    writes: tuple[str, ...]
    """Globs of what it may write, denials with a leading `!`; none means any path."""
    network: tuple[str, ...]
    """Hosts that the agent may reach."""
    process: int | None = None
    """The process, if it proves to be of this machine and user; it may work on other runs too."""
    worker: str = ""
    """Who has it, if it was submitted; then `progress`, `writes` and `network` are not known."""


@record
class TaskCard:
    """A task in the plan."""

    id: str
    title: str
    state: str
    """`ready`, `waiting`, `running`, `stopped`, or a marker: `done`, `failed`, `blocked`."""
    wave: int | None = None
    """Counted from 1, of those that can be run now."""
    writes: tuple[str, ...] = ()
    after: tuple[tuple[str, str], ...] = ()
    """Tasks that it waits for, and why."""
    note: str = ""
    """Why it is not ready."""
    run: str | None = None
    """Its newest run."""


@record
class Plan:
    """The tasks of a repository in the order in which they would be run."""

    cards: tuple[TaskCard, ...] = ()
    problem: str = ""
    """Why no order can be told: one sentence."""


@record
class Board:
    """Everything at one moment."""

    at: datetime
    rows: tuple[RunRow, ...]
    """All runs, oldest first."""
    at_work: tuple[AtWork, ...]
    problem: str = ""
    """What of this may be old: one sentence."""
    settled: frozenset[str] = frozenset()
    """Tasks that are done though a newer run of them asks something: no answer is taken there."""


def newest_of(rows: Sequence[RunRow]) -> dict[str, RunRow]:
    """The newest run of each task; `rows` are ordered, oldest first."""
    return {row.task: row for row in rows}
