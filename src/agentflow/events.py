"""Everything that happens in a run, as a union of frozen records.

The journal stores the durable ones and is the message list; sinks see all of them.
"""

from dataclasses import field
from typing import ClassVar, get_args

from agentflow.frozen import record
from agentflow.messages import EndReason, Usage
from agentflow.records import Candidate, Evidence, Json


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
class SetupStarted:
    """Emitted when the setup command begins, because what it makes is not kept yet."""

    type: ClassVar[str] = "agentflow.setup_started"
    durable: ClassVar[bool] = True
    command: str


@record
class SetupFinished:
    """Emitted when the directories that the setup command makes are there, once for each key."""

    type: ClassVar[str] = "agentflow.setup_finished"
    durable: ClassVar[bool] = True
    seconds: float
    cached: bool
    """Whether they were kept from before, and nothing was run."""
    directories: tuple[str, ...]
    """Relative to the repository's root."""


@record
class ConnectionClosed:
    """Emitted when a connection through the proxy of a sandbox has ended, or was refused."""

    type: ClassVar[str] = "agentflow.connection_closed"
    durable: ClassVar[bool] = True
    place: str
    """Whose sandbox: `agent` or `setup`."""
    host: str
    """As it was asked for; empty where a request named none."""
    port: int
    uploaded: int
    downloaded: int
    """Bytes to the host, and from it."""
    seconds: float
    refused: str = ""
    """Why nothing was carried, or no more."""
    connections: int = 1
    """More where one line tells the sums of several."""


@record
class UserMessage:
    """Emitted when a message is added for the model: the task, tool results, a nudge, a repair."""

    type: ClassVar[str] = "user"
    durable: ClassVar[bool] = True
    message: Json
    kind: str = "task"
    """A `conversation.Kind`: why it was added."""


@record
class AssistantMessage:
    """Emitted when a reply of the model is complete, before any of its calls runs."""

    type: ClassVar[str] = "assistant"
    durable: ClassVar[bool] = True
    message: Json
    stop_reason: str
    usage: Usage
    discarded: Usage
    cost: float | None
    """US dollars of this reply, discarded attempts included; None if the price is unknown."""
    problems: dict[str, str] = field(default_factory=dict[str, str])
    """For each malformed call, by its id, what is wrong with it."""
    model: str = ""
    """The model that answered; empty in journals that had only one."""


@record
class Reference:
    """A line that is sent in the place of a tool's result."""

    message: int
    """Which message of the whole conversation, from 0."""
    block: int
    """Which block of it, from 0."""
    path: str
    """The file in the sandbox that holds the result; empty for none."""
    text: str


@record
class ContextReduced:
    """Emitted before a request, when results of tools are taken out of what is sent from now on."""

    type: ClassVar[str] = "agentflow.context_reduced"
    durable: ClassVar[bool] = True
    before: int
    after: int
    """Tokens of the next request, about, without this and with it."""
    references: tuple[Reference, ...]


@record
class ContextSummarized:
    """Emitted before a request, when the model has summed up what is not sent from now on."""

    type: ClassVar[str] = "agentflow.context_summarized"
    durable: ClassVar[bool] = True
    before: int
    after: int
    """As in `ContextReduced`."""
    kept_from: int
    """Which message of the whole conversation, from 0, is the first that is sent after the task
    and the summary."""
    summary: str
    usage: Usage
    discarded: Usage
    cost: float | None
    model: str = ""
    """All four of the summary, as in `AssistantMessage`."""


@record
class TextDelta:
    """Emitted for each piece of text that the model streams."""

    type: ClassVar[str] = "agentflow.text_delta"
    durable: ClassVar[bool] = False
    text: str


@record
class RetryScheduled:
    """Emitted when a call of the model failed and will be repeated; text shown so far is void."""

    type: ClassVar[str] = "agentflow.retry_scheduled"
    durable: ClassVar[bool] = True
    attempt: int
    """The attempt that failed, from 1."""
    reason: str
    delay: float
    """Seconds until the next attempt."""


@record
class ReplyFailed:
    """Emitted when a call of the model failed for good: the run goes on with another, or ends."""

    type: ClassVar[str] = "agentflow.reply_failed"
    durable: ClassVar[bool] = True
    model: str
    reason: str
    usage: Usage
    """By all attempts, as far as it is known."""
    cost: float | None
    """US dollars; None if the price is unknown."""


@record
class FallbackStarted:
    """Emitted when another model goes on with the run, from this call to the run's end."""

    type: ClassVar[str] = "agentflow.fallback_started"
    durable: ClassVar[bool] = True
    model: str
    instead_of: str
    reason: str
    messages: int
    """How many there were in the conversation."""


@record
class LimitNear:
    """Emitted when 80 % of a limit are spent, once for each limit."""

    type: ClassVar[str] = "agentflow.limit_near"
    durable: ClassVar[bool] = True
    limit: str
    """Its name in the configuration: `max_cost`, `timeout`, …"""
    spent: float
    of: float
    text: str
    """The same in words."""


@record
class ToolStarted:
    """Emitted when a tool call begins."""

    type: ClassVar[str] = "agentflow.tool_started"
    durable: ClassVar[bool] = False
    id: str
    name: str
    target: str
    """What it works on, in a few words: a path, a pattern, a command."""


@record
class ToolFinished:
    """Emitted when a tool call ended, before its result becomes part of a message."""

    type: ClassVar[str] = "agentflow.tool_finished"
    durable: ClassVar[bool] = True
    id: str
    name: str
    is_error: bool
    seconds: float
    summary: str
    """The result's first line."""
    read_only: bool = False
    signals: tuple[tuple[str, str], ...] = ()
    """Name and text of each marker file that the call wrote."""


@record
class AgentEnded:
    """Emitted when the agent says that it is finished, signals it, or falls silent."""

    type: ClassVar[str] = "agentflow.agent_ended"
    durable: ClassVar[bool] = True
    reason: EndReason
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
class PackagesChanged:
    """Emitted after `Collected` if the candidate's manifests ask for other packages."""

    type: ClassVar[str] = "agentflow.packages_changed"
    durable: ClassVar[bool] = True
    difference: Json
    """As `dependencies.Difference.as_json` says."""


@record
class PromisesCompared:
    """Emitted after `Collected` if there are promises that the report may claim."""

    type: ClassVar[str] = "agentflow.promises_compared"
    durable: ClassVar[bool] = True
    promises: Json
    """As `gates.promises.compare_promises` says."""


@record
class ReplyMeasured:
    """Emitted after verification of a handoff's work: what whoever handed it over can consume."""

    type: ClassVar[str] = "agentflow.reply_measured"
    durable: ClassVar[bool] = True
    reply: Json
    """As `replies.measure_reply` says."""


@record
class BaseCheckStarted:
    """Emitted when a gate's command begins on the base, before any spend."""

    type: ClassVar[str] = "agentflow.base_check_started"
    durable: ClassVar[bool] = False
    gate: str


@record
class BaseCheckFinished:
    """Emitted when it is known how a gate's command ends on the base."""

    type: ClassVar[str] = "agentflow.base_check_finished"
    durable: ClassVar[bool] = True
    evidence: Evidence
    cached: bool
    """Whether an earlier run measured it."""
    must_fail: bool = False
    """Whether the gate is to fail before the change."""


@record
class GateStarted:
    """Emitted when a gate begins."""

    type: ClassVar[str] = "agentflow.gate_started"
    durable: ClassVar[bool] = False
    gate: str


@record
class GateFinished:
    """Emitted when a gate has measured."""

    type: ClassVar[str] = "agentflow.gate_finished"
    durable: ClassVar[bool] = True
    evidence: Evidence


@record
class RepairStarted:
    """Emitted when a failed verdict goes back to the agent."""

    type: ClassVar[str] = "agentflow.repair_started"
    durable: ClassVar[bool] = True
    attempt: int
    """From 1."""
    of: int


@record
class Verified:
    """Emitted when the commits that are to land are there, signed and written down."""

    type: ClassVar[str] = "agentflow.verified"
    durable: ClassVar[bool] = True
    base: str
    tip: str


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


Event = (
    RunStarted
    | RunResumed
    | CheckpointMade
    | Verified
    | Notice
    | SetupStarted
    | SetupFinished
    | ConnectionClosed
    | UserMessage
    | AssistantMessage
    | ContextReduced
    | ContextSummarized
    | TextDelta
    | RetryScheduled
    | ReplyFailed
    | FallbackStarted
    | LimitNear
    | ToolStarted
    | ToolFinished
    | AgentEnded
    | Collected
    | PackagesChanged
    | PromisesCompared
    | ReplyMeasured
    | Recorded
    | Signed
    | BaseCheckStarted
    | BaseCheckFinished
    | GateStarted
    | GateFinished
    | RepairStarted
    | LandingDone
    | RunFinished
)

EVENTS: dict[str, type[Event]] = {kind.type: kind for kind in get_args(Event)}
"""Each event by its name in the journal."""
