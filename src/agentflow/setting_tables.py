"""The tables that settings are made of: each key with its type and its default."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from agentflow.environment import (
    HookedTool,
    HookEvent,
)
from agentflow.records import UPLOAD, Backend, ProcessLimits
from agentflow.setting_types import NAME, Count, Globs, Literals, Seconds, Size, VariableName


class Table(BaseModel):
    """A table without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth(cls, value: Any, info: ValidationInfo) -> Any:
        """`true` would pass for the number 1."""
        kind = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and bool not in {kind, *get_args(kind)}:
            raise ValueError("neither true nor false can stand here")
        return value


class Price(Table):
    """US dollars per million tokens."""

    input: float = Field(ge=0)
    """What is read anew."""
    output: float = Field(ge=0)
    """What the model writes."""
    cache_read: float | None = Field(None, ge=0)
    """None means as input."""
    cache_write: float | None = Field(None, ge=0)
    """For five minutes; None means 1.25 times the input."""
    cache_write_1h: float | None = Field(None, ge=0)
    """None means 2 times the input."""


class GateTable(Table):
    """A command that must exit with 0 on a checkout of the result."""

    command: str = Field(min_length=1)
    """A line for bash."""
    timeout: Seconds = 900.0
    """One try; what takes longer fails."""
    paths: Globs = ()
    """The gate runs only if the change touched one of them. Empty means always."""
    cwd: str = ""
    """The folder of the repository where it runs."""
    retries: Annotated[int, Field(ge=0, le=5)] = 0
    """How often it may fail before it counts; a pass on a later try is reported as flaky."""
    where: Literal["here", "ci"] = "here"
    """`ci` leaves the gate to a CI job: it is listed and not run."""
    must_fail_on_base: bool = False
    """Whether it must fail before the change: it shows what the task is about."""
    fix: bool = False
    """Whether its changes to allowed files (a formatter's) are taken into the result."""
    report: str = ""
    """The JUnit XML that it writes, from `cwd` or absolute. It must be new, hold a test that passed
    and none that failed."""
    tests: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Tests that must stand in the report as passed."""


class GateSetting(GateTable):
    """One `[[gates]]` table."""

    name: str = Field(pattern=NAME)
    """The gate is `build:` and this name; the same name replaces."""


class VariablesSetting(Table):
    """Variables of one place."""

    variables: Literals = {}
    """Names and values."""
    env_from: tuple[VariableName, ...] = ()
    """Names of the user's environment whose values are passed on, and redacted everywhere."""


class AgentSetting(VariablesSetting):
    """`[environment.agent]`: variables, and what the agent may reach."""

    network: tuple[str, ...] = ()
    """Hosts, as those of setup."""


class EnvironmentSetting(Table):
    """`[environment]`: what a checkout needs to work. `env_from` and `files` reach setup only."""

    setup: str | None = None
    """Installs what a checkout needs: a line for bash, run once on a clean checkout of the base."""
    key: Globs = ()
    """Files that setup depends on; it runs again when one changes."""
    provides: Globs = ()
    """What setup makes: kept, and shown read-only at the same path."""
    scratch: Globs = ()
    """Private and writable in every sandbox."""
    network: tuple[str, ...] = ()
    """Hosts that setup may reach: `name`, `*.name`, with `:port` where it is neither 80 nor 443."""
    timeout: Seconds = 1800.0
    """Of setup."""
    variables: Literals = {}
    """For setup, agent and gates."""
    env_from: tuple[VariableName, ...] = ()
    """Names of the user's environment that setup gets, redacted everywhere."""
    files: tuple[str, ...] = ()
    """Relative to the user's home folder."""
    agent: AgentSetting = AgentSetting()
    """For the agent alone."""
    gates: VariablesSetting = VariablesSetting()
    """For the gates alone."""


class ServiceSetting(Table):
    """`[services.<name>]`: a program started beside the agent and beside each gate."""

    command: str = Field(min_length=1)
    """A line for bash; its data belong in `$AGENTFLOW_SERVICE_DATA`."""
    ready: str = Field(min_length=1)
    """Is tried until it ends with 0."""
    env: Literals = {}
    """Variables that agent and gates get."""
    timeout: Seconds = 60.0
    """Until it must be ready."""


class HookSetting(Table):
    """One `[[hooks]]` table."""

    on: Annotated[tuple[HookEvent, ...], Field(min_length=1)]
    """What must happen."""
    command: str = Field(min_length=1)
    """A line for bash, with JSON on standard input; 2 refuses."""
    tools: tuple[HookedTool, ...] = ()
    """Of `tool.before` and `tool.after`: only for these. Empty means all."""
    timeout: Annotated[Seconds, Field(le=600)] = 60.0
    """At most 10 minutes."""
    advisory: bool = False
    """Whether its end decides nothing."""


class CommitSetting(Table):
    """`[commit]`: how re-created commits look."""

    name: str | None = None
    """Whose they are; None means the user of git."""
    email: str | None = None
    """The same."""
    sign: bool | None = None
    """None means what git's `commit.gpgSign` says."""
    sign_off: bool = False
    """Whether there is a `Signed-off-by` trailer."""
    assisted_by: str = "agentflow:{model}"
    """Empty means no such trailer."""


class ChecklistSetting(Table):
    """`[checklist]`: how the boxes of task and prompt are judged."""

    strict: bool = False
    """Whether a box that nobody addressed fails."""
    gates: dict[str, str] = {}
    """Words of a box, and the gate that measures it."""


class SecretsSetting(Table):
    """`[secrets]`: findings that are none, and files that are secret."""

    allow: tuple[str, ...] = ()
    """Fingerprints, as the gate prints them."""
    files: Globs = ()
    """Further files that are never read into a prompt nor copied; tracked ones are named."""


class RatesSetting(Table):
    """`[rate_limits]`: what all tasks of a call may ask of the model in a minute."""

    requests: Annotated[int, Field(ge=1)] | None = None
    """None means no limit."""
    input_tokens: Annotated[int, Field(ge=1)] | None = None
    """Those read from the cache do not count."""
    output_tokens: Annotated[int, Field(ge=1)] | None = None
    """What the model writes."""


class QueueSetting(Table):
    """`[queue]`: what the fields of a task in `task_queue.md` mean."""

    categories: dict[str, str] = {}
    """Categories, and the prompt for each."""
    complexities: dict[str, str] = {"easy": "haiku", "normal": "sonnet", "complex": "opus"}
    """Complexities, and the model for each."""


class DocumentsSetting(Table):
    """`[documents]`: where documents of tasks lie, and what their writers call this workspace."""

    roots: Annotated[Globs, Field(min_length=1)] = (
        "task-tracking",
        ".claude/specs",
        ".ptah/specs",
    )
    """Folders with a folder for each task; the first that has a task's wins."""
    prefixes: tuple[str, ...] = ()
    """Absolute paths, also of Windows, under which the workspace lies for those who wrote them."""


_LIMITS = ProcessLimits()


class SandboxSetting(Table):
    """`[sandbox]`: where agents and gates run, and what the processes of one sandbox may use.

    `sandbox = "none"` is short for its `backend`.
    """

    backend: Backend = "auto"
    """A repository may not set it."""
    memory: Size = _LIMITS.memory
    """Of all processes together."""
    processes: Annotated[Count, Field(ge=16)] = _LIMITS.processes
    """And threads."""
    cpu: Annotated[Seconds, Field(ge=1, le=1 << 30)] = _LIMITS.cpu
    """Processor time of one process of a command."""
    file_size: Size = _LIMITS.file_size
    """Of one file."""
    open_files: Annotated[Count, Field(ge=16)] = _LIMITS.open_files
    """Of one process."""
    disk: Size = _LIMITS.disk
    """What a sandbox may add to the disks."""
    inodes: Count = _LIMITS.inodes
    """Files that it may make."""
    upload: Size = UPLOAD
    """Bytes that a whole run may send through its proxies."""

    @property
    def limits(self) -> ProcessLimits:
        """The limits as the record that a sandbox takes."""
        values = self.model_dump(exclude={"backend", "upload"})
        return ProcessLimits(**{**values, "cpu": int(self.cpu)})


def as_table(value: Any) -> Any:
    """A back end alone is a table with nothing else."""
    return {"backend": value} if isinstance(value, str) else value


class FileVariable(Table):
    """A value of `[variables]` that is the text of a file of the base commit."""

    path: str = Field(min_length=1)


class CommandVariable(Table):
    """A value of `[variables]` that a command prints, in a sandbox on a checkout of the base."""

    command: str = Field(min_length=1)
    timeout: Seconds = 60.0
