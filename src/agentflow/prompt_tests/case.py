"""One case of a prompt's suite: the form of its file.

about: one line for people       # optional
id: TASK-1                       # optional
task: |                          # a task file, with or without a header
  # Say hello
files: {app/main.py: "…"}        # the repository at the base
config: {gates: […]}             # its .orchestrator/config.toml; default: one gate that passes
flags: {allow: [app/**]}         # as on the command line
conversation: […]                # turns of the scripted model
expect: {outcome: done, …}
"""

from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, model_validator

from agentflow.models.scripted.script import Turn
from agentflow.records import Json, Landing
from agentflow.setting_tables import Table
from agentflow.setting_types import Globs, Seconds


def _as_tuple(value: Any) -> Any:
    """One text is a list of one."""
    return (value,) if isinstance(value, str) else value


def _as_words(value: Any) -> Any:
    """A text, or a list of them, must be contained."""
    if isinstance(value, str | list):
        return {"contains": cast(object, value)}
    return value


Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_as_tuple)]


class Words(Table):
    """What a text must contain and what it must lack."""

    contains: Texts = ()
    lacks: Texts = ()


Count = Annotated[int, Field(ge=0)]
GateStatus = Literal["passed", "failed", "skipped", "absent"]
Said = Annotated[Words, BeforeValidator(_as_words)]


class FileExpectation(Words):
    """A file of the result: of the commit that landed, else of the base."""

    exact: str | None = None
    absent: bool = False

    @model_validator(mode="after")
    def _check(self) -> "FileExpectation":
        if self.absent == bool(self.contains or self.lacks or self.exact is not None):
            raise ValueError("give `exact`, `contains` or `lacks`, or `absent: true` alone")
        return self


class CommitExpectation(Table):
    """The commits that landed."""

    count: Count | None = None
    subjects: Texts = ()
    """Each must be contained in a subject of one of them."""


class Expectation(Table):
    """What must hold after the run. What is not given is not looked at."""

    outcome: Literal[
        "done", "failed", "blocked", "budget", "environment", "provider", "conflict", "usage"
    ]
    exit_code: int | None = None
    reason: Said = Words()
    """Why it ended: the question, the reason to give up, what was refused."""
    files: dict[str, FileExpectation] = Field(default_factory=dict[str, FileExpectation])
    commits: CommitExpectation = CommitExpectation()
    marker: Literal["done", "failed", "blocked", "none"] | None = None
    gates: dict[str, GateStatus] = Field(default_factory=dict[str, GateStatus])
    """Of the last verdict, by name, as `commit` or `build:test`."""
    repairs: Count | None = None
    requests: Count | None = None
    """To the model, retries included."""
    system_prompt: Said = Words()
    first_message: Said = Words()
    told: Said = Words()
    """What the model was told after the first message: results of tools, reminders, repairs."""
    tools: Texts | None = None
    """Names of exactly the tools that were offered, in any order."""


class Flags(Table):
    """Flags of `agentflow run` that a suite may give: none that touches the user's machine."""

    allow: Annotated[Globs, BeforeValidator(_as_tuple)] = ()
    deny: Annotated[Globs, BeforeValidator(_as_tuple)] = ()
    max_turns: Annotated[int, Field(ge=1)] | None = None
    max_cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_repairs: Annotated[int, Field(ge=0, le=10)] | None = None
    timeout: Seconds = 120.0
    model: str | None = None
    land: Landing | None = None
    target: str | None = None
    arguments: str | None = None
    """For a prompt that is a command file."""

    @property
    def settings(self) -> Json:
        """What was given, as settings."""
        given = {name: value for name, value in dict(self).items() if value not in (None, ())}
        given.pop("arguments", None)
        return given


class Fields(Table):
    """A case's file."""

    about: str = ""
    id: str = "TASK-1"
    task: str
    files: dict[str, str] = Field(default_factory=dict[str, str])
    config: dict[str, Any] = Field(default_factory=dict[str, Any])
    flags: Flags = Flags()
    conversation: list[Any] = Field(default_factory=list[Any])
    """Turns as in a script; none where nothing may be asked."""
    expect: Expectation


class Case(Table):
    """A case that can be run."""

    name: str
    """Its file's name."""
    id: str
    """The task's."""
    task: str
    files: dict[str, str]
    config: str
    """Text of the repository's configuration."""
    flags: Flags
    turns: tuple[Turn, ...]
    expect: Expectation
