"""Configuration: every setting and table with its type, its default, and who may set it.

Each field of `Settings` has a rule, which says what a repository may do with it:

- `override`: set it;
- `narrow`: only lower it, or add denials, against what the user or the default says (of
  `sandbox` the limits, each alone);
- `user-only`: nothing; a repository that tries is refused.

What widens an agent's reach (`trust.WIDENING`) is refused as well, until the user has trusted
exactly these words of the repository.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from agentflow.boundaries import check_glob
from agentflow.durations import parse_duration
from agentflow.environment import (
    Environment,
    Hook,
    HookedTool,
    HookEvent,
    Service,
    Setup,
    Variables,
)
from agentflow.errors import UsageError
from agentflow.records import (
    UPLOAD,
    Backend,
    Boundaries,
    BuildCommand,
    Landing,
    Limits,
    ProcessLimits,
    ServerKind,
)
from agentflow.sizes import parse_size

Rule = Literal["override", "narrow", "user-only"]

VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


def as_seconds(value: Any) -> Any:
    """`45m` and `2700` alike."""
    try:
        return parse_duration(value, where="") if isinstance(value, str) else value
    except UsageError as error:
        raise ValueError("not a duration like 45m, 90s or 1h30m") from error


def as_bytes(value: Any) -> Any:
    """`4GiB` and `4294967296` alike."""
    try:
        return parse_size(value, where="") if isinstance(value, str) else value
    except UsageError as error:
        raise ValueError("not a size like 4GiB, 500MB or 1048576") from error


def _as_glob(value: str) -> str:
    """A glob in its normal form: `./src/**` is `src/**`."""
    try:
        return check_glob(value, where="glob")
    except UsageError as error:
        raise ValueError(error.message) from error


Globs = tuple[Annotated[str, AfterValidator(_as_glob)], ...]
"""Relative to the repository's root."""
Seconds = Annotated[float, BeforeValidator(as_seconds), Field(gt=0, allow_inf_nan=False)]
Size = Annotated[int, BeforeValidator(as_bytes), Field(gt=0, le=1 << 60)]
Count = Annotated[int, Field(gt=0, le=1 << 30)]
VariableName = Annotated[str, Field(pattern=VARIABLE)]
Literals = dict[VariableName, str]
AbsolutePath = Annotated[str, Field(pattern="^/")]


def user_folder(environment: Mapping[str, str]) -> Path:
    """Where the user's own files are: `$XDG_CONFIG_HOME/agentflow`."""
    home = environment.get("XDG_CONFIG_HOME") or f"{environment.get('HOME', '/')}/.config"
    return Path(home) / "agentflow"


class Table(BaseModel):
    """A table without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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


def _as_table(value: Any) -> Any:
    """A back end alone is a table with nothing else."""
    return {"backend": value} if isinstance(value, str) else value


class FileVariable(Table):
    """A value of `[variables]` that is the text of a file of the base commit."""

    path: str = Field(min_length=1)


class CommandVariable(Table):
    """A value of `[variables]` that a command prints, in a sandbox on a checkout of the base."""

    command: str = Field(min_length=1)
    timeout: Seconds = 60.0


class Settings(Table):
    """All settings of one invocation. Each annotation's metadata holds the field's rule."""

    prompt: Annotated[str, "override"] = "agent"
    """The prompt of tasks that name none."""
    profile: Annotated[str | None, "override"] = None
    """The profile of prompts that have no `agentflow:` block; None means what their signs say."""
    model: Annotated[str | None, "narrow"] = None
    """None means what the prompt says."""
    gates: Annotated[tuple[GateSetting, ...], "override"] = ()
    """What must pass on the result."""
    max_repairs: Annotated[int, "narrow", Field(ge=0, le=10)] = 2
    """How often a failed verdict goes back to the agent."""
    max_turns: Annotated[int, "narrow", Field(ge=1)] = 100
    """Replies of the model."""
    max_cost: Annotated[float | None, "narrow", Field(ge=0, allow_inf_nan=False)] = None
    """US dollars."""
    max_tokens: Annotated[int | None, "narrow", Field(ge=1)] = None
    """Input and output together."""
    max_input_tokens: Annotated[int | None, "narrow", Field(ge=1)] = None
    """Those that the model reads, cached ones included."""
    max_output_tokens: Annotated[int | None, "narrow", Field(ge=1)] = None
    """Those that the model writes."""
    context_window: Annotated[int | None, "narrow", Field(ge=8_000)] = None
    """Tokens of the model's window that are used; None means all that the catalog knows of."""
    timeout: Annotated[Seconds, "narrow"] = 45 * 60.0
    """Seconds of wall clock for the agent, repairs included."""
    allow: Annotated[tuple[str, ...], "narrow"] = ()
    """Globs of what may be changed; empty means everything but what is protected."""
    deny: Annotated[tuple[str, ...], "narrow"] = ()
    """Globs of what may not be changed; denials win."""
    within: Annotated[tuple[tuple[str, ...], ...], "user-only"] = ()
    """Wider allow lists; a path must match every one of them as well."""
    models: Annotated[tuple[str, ...], "user-only"] = ()
    """Models that a repository may choose; empty means any in the catalog."""
    fallback_model: Annotated[str | None, "narrow"] = None
    """Goes on when the model fails for good by overload, a rate limit or a server's error."""
    base_url: Annotated[str | None, "user-only"] = None
    """Another server of the Messages API."""
    key_variable: Annotated[str | None, "user-only"] = None
    """The environment variable that holds the key for `base_url`."""
    server: Annotated[ServerKind | None, "user-only"] = None
    """What kind of server it is; None means what its address says."""
    sandbox: Annotated[SandboxSetting, "narrow", BeforeValidator(_as_table)] = SandboxSetting()
    readable: Annotated[tuple[AbsolutePath, ...], "user-only"] = ()
    """Further host paths that the sandbox may read."""
    land: Annotated[Landing, "user-only"] = "branch"
    """Where verified commits go."""
    target: Annotated[str | None, "user-only"] = None
    """The branch to land on; None means `agentflow/<TASK>`."""
    state_remote: Annotated[str | None, "user-only"] = None
    """Where workers of a cluster keep checkpoints, which hold files and conversations: the address of
    a repository that is private to them."""
    prices: Annotated[dict[str, Price], "user-only"] = {}
    """By the full name of the model."""
    rate_limits: Annotated[RatesSetting, "user-only"] = RatesSetting()
    environment: Annotated[EnvironmentSetting, "override"] = EnvironmentSetting()
    services: Annotated[dict[str, ServiceSetting], "override"] = {}
    hooks: Annotated[tuple[HookSetting, ...], "user-only"] = ()
    """Commands that are run outside the sandbox when something happens."""
    setup_network: Annotated[Literal["listed", "host"], "user-only"] = "listed"
    """`host` lets setup reach everything that this machine reaches."""
    allow_red_base: Annotated[bool, "user-only"] = False
    """Whether gates may fail on the base, and then on the result in the same way."""
    allow_foreign_head: Annotated[bool, "user-only"] = False
    """Whether a CI job that holds the repository's secrets may work for a foreign pull request."""
    variables: Annotated[dict[str, str | FileVariable | CommandVariable], "override"] = {}
    """Values of a prompt's placeholders, by the name without its sign."""
    commit: Annotated[CommitSetting, "user-only"] = CommitSetting()
    templates: Annotated[bool, "user-only"] = False
    """Whether a repository's prompt that ends in `.md.j2` is rendered as a template."""
    checklist: Annotated[ChecklistSetting, "override"] = ChecklistSetting()
    secrets: Annotated[SecretsSetting, "override"] = SecretsSetting()
    queue: Annotated[QueueSetting, "override"] = QueueSetting()
    documents: Annotated[DocumentsSetting, "override"] = DocumentsSetting()

    @property
    def limits(self) -> Limits:
        """The limits as the record that the run takes."""
        return Limits(
            self.max_turns,
            self.max_cost,
            self.max_tokens,
            self.timeout,
            self.max_repairs,
            self.max_input_tokens,
            self.max_output_tokens,
        )

    @property
    def boundaries(self) -> Boundaries:
        """The boundaries as the record that the run takes."""
        return Boundaries(self.allow, self.deny, self.within)

    @property
    def commands(self) -> tuple[BuildCommand, ...]:
        """The gates as the records that the run takes."""
        return tuple(BuildCommand(**dict(gate)) for gate in self.gates)

    @property
    def hook_commands(self) -> tuple[Hook, ...]:
        """The hooks as the records that the run takes."""
        return tuple(Hook(**dict(hook)) for hook in self.hooks)

    def surroundings(self, environment: Mapping[str, str]) -> Environment:
        """What stands around agent and gates, secrets taken from the user's environment.

        Raises `UsageError` for a variable that is not set there.
        """
        table = self.environment

        def variables(literal: Mapping[str, str], names: tuple[str, ...]) -> Variables:
            missing = [name for name in names if name not in environment]
            if missing:
                raise UsageError(
                    f"the variable {missing[0]}, which env_from passes on, is not set",
                    hint=f"export {missing[0]}=…",
                )
            return Variables(
                {**table.variables, **literal}, {name: environment[name] for name in names}
            )

        return Environment(
            setup=Setup(
                command=table.setup,
                key=table.key,
                provides=table.provides,
                scratch=table.scratch,
                network=table.network,
                host_network=self.setup_network == "host",
                timeout=table.timeout,
                variables=variables({}, table.env_from),
                files=table.files,
            )
            if table.setup
            else None,
            services=tuple(
                Service(name, each.command, each.ready, each.env, each.timeout)
                for name, each in self.services.items()
            ),
            agent=variables(table.agent.variables, table.agent.env_from),
            agent_network=table.agent.network,
            gates=variables(table.gates.variables, table.gates.env_from),
        )


RULES: dict[str, Rule] = {
    name: next(item for item in field.metadata if item in get_args(Rule))
    for name, field in Settings.model_fields.items()
}
"""The rule of every field."""
