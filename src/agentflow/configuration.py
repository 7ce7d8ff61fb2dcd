"""The tables of a configuration file, each checked on its own."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from agentflow.durations import parse_duration
from agentflow.errors import UsageError

VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


def as_seconds(value: Any) -> Any:
    """`45m` and `2700` alike."""
    try:
        return parse_duration(value, where="") if isinstance(value, str) else value
    except UsageError as error:
        raise ValueError("not a duration like 45m, 90s or 1h30m") from error


Seconds = Annotated[float, BeforeValidator(as_seconds), Field(gt=0, allow_inf_nan=False)]
VariableName = Annotated[str, Field(pattern=VARIABLE)]
Literals = dict[VariableName, str]


class Table(BaseModel):
    """A table without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Price(Table):
    """US dollars per million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cache_read: float | None = Field(None, ge=0)
    cache_write: float | None = Field(None, ge=0)


class GateSetting(Table):
    """One `[[gates]]` table: a command that must exit with 0 on a checkout of the result."""

    name: str = Field(pattern=NAME)
    command: str = Field(min_length=1)
    timeout: Seconds = 900.0
    paths: tuple[str, ...] = ()
    """Globs: the gate runs only if the change touched one of them. Empty means always."""
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


class VariablesSetting(Table):
    """Variables of one place."""

    variables: Literals = {}
    env_from: tuple[VariableName, ...] = ()
    """Names of the user's environment whose values are passed on, and redacted everywhere."""


class EnvironmentSetting(Table):
    """`[environment]`: what a checkout needs to work. `env_from` and `files` reach setup only."""

    setup: str | None = None
    key: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    scratch: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    timeout: Seconds = 1800.0
    variables: Literals = {}
    """For setup, agent and gates."""
    env_from: tuple[VariableName, ...] = ()
    files: tuple[str, ...] = ()
    """Relative to the user's home folder."""
    agent: VariablesSetting = VariablesSetting()
    gates: VariablesSetting = VariablesSetting()


class ServiceSetting(Table):
    """`[services.<name>]`: a program started beside the agent and beside each gate."""

    command: str = Field(min_length=1)
    ready: str = Field(min_length=1)
    env: Literals = {}
    timeout: Seconds = 60.0


class CommitSetting(Table):
    """`[commit]`: how re-created commits look."""

    name: str | None = None
    email: str | None = None
    """Whose they are; None means the user of git."""
    sign: bool | None = None
    """None means what git's `commit.gpgSign` says."""
    sign_off: bool = False
    assisted_by: str = "agentflow:{model}"
    """Empty means no such trailer."""


class ChecklistSetting(Table):
    """`[checklist]`: how the boxes of task and prompt are judged."""

    strict: bool = False
    """Whether a box that nobody addressed fails."""
    gates: dict[str, str] = {}
    """Words of a box, and the gate that measures it."""


class SecretsSetting(Table):
    """`[secrets]`: findings that are none."""

    allow: tuple[str, ...] = ()
    """Fingerprints, as the gate prints them."""
