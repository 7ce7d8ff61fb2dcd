"""The exception tree. Each class carries the exit code that the command line ends with.

AgentflowError
├── UsageError         2   a flag, a file or a name that the caller can correct
│   └── UsageErrors     2   several of them
├── AgentFailed        1   the agent gave up, or the loop stopped it
├── Blocked            3   an answer by a person is needed
├── BudgetExceeded     4   turns, cost, tokens or time ran out
│   └── ContextExceeded 4  the conversation does not fit the model's context window
├── EnvironmentFailure 5   no sandbox, no git, a tool or service is missing
│   └── ServiceFailure 5   a service did not start
├── ProviderFailure    6   the model API refused or failed for good
│   └── CallFailed     6   one call did (in `messages`: it says what that used)
├── Conflict           7   the target moved or cannot take the result
│   ├── Fenced         7   another worker went on with the run
│   └── Held           7   another process is at work on the task or file
└── Interrupted  130/143   SIGINT or SIGTERM

ToolFailure stands apart: the model reads it and goes on.
"""

import signal
from collections.abc import Mapping
from typing import ClassVar

ANEW = "Begin the task anew: agentflow run TASK --fresh"
"""The next step where a run cannot go on, for those who do not know its task: `runs.anew` names it."""


class AgentflowError(Exception):
    """What went wrong, in one sentence, and what to do next."""

    exit_code: ClassVar[int] = 1
    outcome: ClassVar[str] = "failed"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.enough: Mapping[str, float] = {}
        """After a limit: those with which it could go on, by the names of their settings."""


class UsageError(AgentflowError):
    """A flag, a file or a name that the caller can correct."""

    exit_code = 2
    outcome = "usage"


class UsageErrors(UsageError):
    """Several things that the caller can correct; `each` says of one what is wrong and what to do."""

    def __init__(self, message: str, each: "tuple[UsageError, ...]") -> None:
        lines = [line for one in each for line in (one.message, one.hint and f"  {one.hint}")]
        super().__init__(message, hint="\n".join(filter(None, lines)))
        self.each = each


class AgentFailed(AgentflowError):
    """The agent gave up, or was stopped because it made no progress."""


class Blocked(AgentflowError):
    """The agent needs an answer that only a person can give; the message holds the question."""

    exit_code = 3
    outcome = "blocked"


class BudgetExceeded(AgentflowError):
    """A limit on turns, cost, tokens or time was reached."""

    exit_code = 4
    outcome = "budget"

    def __init__(
        self, message: str, hint: str = "", enough: Mapping[str, float] | None = None
    ) -> None:
        super().__init__(message, hint)
        self.enough = enough or {}


class ContextExceeded(BudgetExceeded):
    """The conversation does not fit the model's context window."""


class EnvironmentFailure(AgentflowError):
    """Something that agentflow needs from this machine is missing or broken."""

    exit_code = 5
    outcome = "environment"


class ServiceFailure(EnvironmentFailure):
    """A service did not start. Where it runs code of the change, the change may be why."""


class ProviderFailure(AgentflowError):
    """The model API refused, or failed for good after the allowed retries."""

    exit_code = 6
    outcome = "provider"


class Conflict(AgentflowError):
    """Somebody else's work is in the way; what was verified is kept on its ref."""

    exit_code = 7
    outcome = "conflict"


class Fenced(Conflict):
    """Another process went on with the run: this one has no say any more."""

    def __init__(self, run: str) -> None:
        super().__init__(f"another worker went on with {run}")


class Held(Conflict):
    """Another process is at work on the same task or file."""


class Interrupted(AgentflowError):
    """The run was told to stop by a signal."""

    outcome = "interrupted"

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signum

    @classmethod
    def of(cls, cancelled: BaseException) -> "Interrupted":
        """The interruption that a cancellation carries: `task.cancel(signum)`."""
        given = next(iter(cancelled.args), None)
        return cls(given if isinstance(given, int) else signal.SIGTERM)

    @property
    def exit_code(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride, reportImplicitOverride]
        """128 plus the signal's number, as shells report it."""
        return 128 + self.signum


class ToolFailure(Exception):
    """A tool call failed in a way that the model reads and can correct."""
