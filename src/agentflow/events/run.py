"""The beginning, the stations and the end of a run."""

from collections.abc import Mapping
from dataclasses import field
from typing import ClassVar

from agentflow.errors import AgentflowError
from agentflow.frozen import record
from agentflow.records import Json
from agentflow.results import Candidate, FileStat


@record
class RunStarted:
    """Emitted once, first, after the task's lock is held and the base is pinned."""

    type: ClassVar[str] = "agentflow.run_started"
    durable: ClassVar[bool] = True
    run: str
    task: str
    task_sha256: str
    title: str
    prompt: str
    prompt_sha256: str
    model: str
    base: str
    sandbox: str
    branch: str
    tools: tuple[str, ...]
    system: str
    version: str
    effort: str | None = None
    """None leaves it to the model."""
    skills: tuple[Json, ...] = ()
    """Name, path for the agent and SHA-256 of each skill that the agent was told of."""
    first_message: str = ""
    order: Json = field(default_factory=dict[str, object])
    """What the caller asked for, so that the run can go on: `order.as_json`."""
    replaceable: str | None = None
    """A tip of the branch that landing may replace."""
    network: tuple[str, ...] = ()
    """Hosts that the agent may reach."""
    limits: Json = field(default_factory=dict[str, object])
    """What the run may spend: the fields of `records.Limits`."""
    boundaries: tuple[tuple[str, str], ...] = ()
    """Each glob, denials with a leading `!`, and who enforces it: `boundaries.Label`."""
    replay: bool = False
    """Whether the replies are those of a recording."""
    instead_of: str | None = None
    """Of a fork: the run that had done the task when it was made. Only of that one it is another try."""


@record
class HandoffAsked:
    """Emitted when a handoff leaves something open, before its run begins."""

    type: ClassVar[str] = "agentflow.handoff_asked"
    durable: ClassVar[bool] = True
    run: str
    task: str
    text: str
    """The block."""
    questions: tuple[Json, ...]
    """Each with id, question, why and line: what is open."""
    answers: dict[str, str]
    """What was answered so far, by the ids of questions."""


@record
class RunResumed:
    """Emitted when another process goes on with a run, or a person has set it back."""

    type: ClassVar[str] = "agentflow.run_resumed"
    durable: ClassVar[bool] = True
    kept: int
    """Lines of the journal that count; those between them and this one do not any more."""
    run: str
    turn: int
    """How many replies of the model count."""
    model: str
    """The one that goes on."""
    limits: Json = field(default_factory=dict[str, object])
    """As in `RunStarted`; from now on."""
    tokens: int = 0
    cost: float | None = 0.0
    seconds: float = 0.0
    """What was spent before, lines that do not count any more included."""
    asked: Json = field(default_factory=dict[str, object])
    """What the caller asks for from now on, as far as it replaces parts of `RunStarted.order`."""


@record
class CheckpointMade:
    """Emitted when the agent's files and the conversation so far are kept."""

    type: ClassVar[str] = "agentflow.checkpoint_made"
    durable: ClassVar[bool] = False
    turn: int
    commit: str


@record
class Notice:
    """Emitted for what the user should know and no gate decides."""

    type: ClassVar[str] = "agentflow.notice"
    durable: ClassVar[bool] = True
    text: str


@record
class Collected:
    """Emitted when the agent's work is in our repository as re-created commits."""

    type: ClassVar[str] = "agentflow.collected"
    durable: ClassVar[bool] = True
    tip: str
    commits: tuple[tuple[str, str], ...]
    """Name and subject of each re-created commit, oldest first."""
    claimed: dict[str, str]
    """The agent's commit names, each with the name it was re-created under."""
    files_changed: int
    insertions: int
    deletions: int
    stat: tuple[FileStat, ...] = ()
    """File by file; the first ones only if there are very many."""

    @classmethod
    def of(cls, candidate: Candidate) -> "Collected":
        """The event for a candidate."""
        return cls(
            candidate.tip,
            tuple((commit.sha, commit.subject) for commit in candidate.commits),
            candidate.claimed,
            candidate.files_changed,
            candidate.insertions,
            candidate.deletions,
            candidate.stat,
        )


@record
class Signed:
    """Emitted when the verified commits have their signatures, and so other names."""

    type: ClassVar[str] = "agentflow.signed"
    durable: ClassVar[bool] = True
    tip: str
    commits: tuple[tuple[str, str], ...]
    claimed: dict[str, str]
    """All three as in `Collected`."""


@record
class Recorded:
    """Emitted when verified commits are written down in a commit of agentflow's own."""

    type: ClassVar[str] = "agentflow.recorded"
    durable: ClassVar[bool] = True
    tip: str
    """The commit's name."""
    paths: tuple[str, ...]
    """The documents that it changes."""


@record
class Combined:
    """Emitted when verified commits were merged with a target that moved, before that is judged."""

    type: ClassVar[str] = "agentflow.combined"
    durable: ClassVar[bool] = True
    base: str
    """Where the target had moved to."""
    tip: str
    """The merge."""


@record
class Clashed:
    """Emitted when verified commits cannot be joined with what landed meanwhile."""

    type: ClassVar[str] = "agentflow.clashed"
    durable: ClassVar[bool] = True
    onto: str
    """Where the target had moved to."""
    paths: tuple[str, ...]
    """Files with conflicts; none if gates failed on the merge."""
    detail: str
    """Both sides, or what the gates found, for whoever joins them."""


@record
class LandingDone:
    """Emitted when the target ref holds the verified commits."""

    type: ClassVar[str] = "agentflow.landed"
    durable: ClassVar[bool] = True
    ref: str | None
    tip: str
    replaced: str | None


@record
class RunFinished:
    """Emitted once, last, in every ending that agentflow itself survives."""

    type: ClassVar[str] = "agentflow.run_finished"
    durable: ClassVar[bool] = True
    outcome: str
    exit_code: int
    reason: str
    """One sentence; empty for `done`."""
    hint: str
    """The next step, if there is one."""
    enough: Mapping[str, float] = field(default_factory=dict[str, float])
    """After a limit: those with which the run could go on, by the names of their settings."""

    @classmethod
    def of(cls, error: AgentflowError) -> "RunFinished":
        """The end that an error is."""
        return cls(error.outcome, error.exit_code, error.message, error.hint, error.enough)
