"""The records. Texts are as the journal has them: who shows them makes them harmless."""

from typing import Literal

from agentflow.frozen import record
from agentflow.messages import Usage
from agentflow.records import Json
from agentflow.results import Evidence

Sign = Literal[" ", "+", "-"]


@record
class Call:
    """One tool call and its result."""

    name: str
    target: str
    """What it works on, in a few words."""
    arguments: str
    """As JSON, or the command of a Bash call."""
    result: str
    is_error: bool
    seconds: float | None
    """None if it did not end."""


@record
class Turn:
    """One reply of the model with the results of its calls."""

    number: int
    at: str
    """ISO 8601, UTC."""
    model: str
    text: str
    calls: tuple[Call, ...]
    usage: Usage
    cost: float | None
    """US dollars; None if the price is unknown."""
    counts: bool = True
    """False for a turn that was paid, and done again after a crash or a rewind."""


@record
class Moment:
    """Something that happened between two turns."""

    at: str
    kind: str
    """One word: `note`, `gate`, `repair`, …"""
    text: str
    detail: str = ""


@record
class DiffLine:
    """One line of a hunk, with its number in the old and in the new file."""

    sign: Sign
    old: int | None
    new: int | None
    text: str


@record
class Hunk:
    """A part of a file in which lines changed."""

    header: str
    lines: tuple[DiffLine, ...]


@record
class FileDiff:
    """What changed in one file."""

    path: str
    status: str
    """`added`, `changed`, `deleted`."""
    insertions: int
    deletions: int
    hunks: tuple[Hunk, ...]
    left_out: int = 0
    """Lines that are not told."""
    binary: bool = False


@record
class Point:
    """A checkpoint."""

    turn: int
    commit: str


@record
class Details:
    """A run."""

    report: Json
    """As `runs.shown` has it."""
    evidence: tuple[Evidence, ...]
    timeline: tuple[Turn | Moment, ...]
    files: tuple[FileDiff, ...]
    diff_problem: str
    """Why there are no `files`, if there should be some."""
    checkpoints: tuple[Point, ...]
    system: str
    first_message: str
    environment: tuple[tuple[str, str], ...]
    max_cost: float | None = None

    @property
    def turns(self) -> tuple[Turn, ...]:
        """All turns, oldest first."""
        return tuple(each for each in self.timeline if isinstance(each, Turn))
