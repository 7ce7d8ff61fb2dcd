"""The seams: what two packages exchange, as Protocols."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from agentflow.events import Event
from agentflow.messages import Reply, Request, ToolCall, ToolResult
from agentflow.records import Json
from agentflow.results import Candidate, Evidence


class Emit(Protocol):
    """Tells the world about an event. Must not block for long and must not raise."""

    def __call__(self, event: Event, /) -> None: ...


class Model(Protocol):
    """A language model behind the Messages API."""

    async def reply(self, request: Request, emit: Emit) -> Reply:
        """Return one finished reply, after retries of its own.

        Emits `TextDelta` while streaming and `RetryScheduled` before each further attempt.
        Raises `CallFailed` when the API refused or failed for good.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class Sandbox(Protocol):
    """A toolbox at work in a place that it cannot leave."""

    @property
    def name(self) -> str:
        """The back end: `bubblewrap`, `landlock` or `none`."""
        ...

    async def call(self, tool: str, arguments: Mapping[str, object]) -> Json:
        """Run one tool body and return its raw result.

        Raises `ToolFailure` for what the model can correct, `EnvironmentFailure` if the
        sandbox is gone.
        """
        ...


class Toolkit(Protocol):
    """The tools that a prompt was granted, bound to a sandbox."""

    @property
    def schemas(self) -> list[Json]:
        """The tools as the request names them."""
        ...

    def is_read_only(self, call: ToolCall) -> bool:
        """Whether the call may run beside others."""
        ...

    def target(self, call: ToolCall) -> str:
        """What the call works on, in a few words."""
        ...

    async def run(self, call: ToolCall) -> ToolResult:
        """Run a call. What the model can correct is an error result and does not raise."""
        ...

    async def keep(self, name: str, text: str) -> str:
        """Write a text to a file that Read can page; its path inside, empty if that cannot be."""
        ...


class Keeper(Protocol):
    """Keeps what an agent has done, so that another process can go on from there."""

    def begin(self, *, changed: bool) -> None:
        """Begin to keep the conversation as it is now, and the files if they may have `changed`.

        The model may be asked meanwhile; nothing may write before it is `settled`.
        """
        ...

    async def settled(self) -> None:
        """Wait until what was begun is kept. A run goes on without, but not on a full disk: raises
        `EnvironmentFailure`."""
        ...


class Gate(Protocol):
    """One check made by agentflow on a candidate."""

    @property
    def name(self) -> str:
        """What the verdict calls it."""
        ...

    async def measure(self, candidate: Candidate) -> Evidence:
        """Measure and return evidence. A gate that cannot measure fails."""
        ...


class Audit(Protocol):
    """One comparison of what was claimed with what was measured, after all gates."""

    @property
    def name(self) -> str:
        """What the verdict calls it."""
        ...

    async def compare(self, candidate: Candidate, measured: Sequence[Evidence]) -> Evidence:
        """Compare and return evidence. `measured` is what all gates found."""
        ...
