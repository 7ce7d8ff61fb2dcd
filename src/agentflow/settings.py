"""Settings: every value that can be configured, where it comes from, and who may set it.

Sources, first wins: flags, the task, environment (`AGENTFLOW_*`), the user's `config.toml`, the
repository's `.orchestrator/config.toml` as of the base commit, defaults. Task files belong to the
repository. Each field's rule says what the repository may do with it:

- `override`: set it;
- `narrow`: only lower it, or add denials, against what the user or the default says;
- `user-only`: nothing; a repository that tries is refused.

What widens an agent's reach within a table (`WIDENING`) counts as user-only until the user has
trusted exactly these words of the repository.
"""

import tomllib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentflow.boundaries import check_glob
from agentflow.configuration import (
    ChecklistSetting,
    CommitSetting,
    EnvironmentSetting,
    GateSetting,
    Price,
    Seconds,
    SecretsSetting,
    ServiceSetting,
)
from agentflow.environment import Environment, Service, Setup, Variables
from agentflow.errors import UsageError
from agentflow.nearest import nearest
from agentflow.records import Backend, Boundaries, BuildCommand, Landing, Limits, Task

CONFIG = ".orchestrator/config.toml"
"""The repository's configuration, read as of the base commit."""

Rule = Literal["override", "narrow", "user-only"]


class Settings(BaseModel):
    """All settings of one invocation. Each annotation's metadata holds the field's rule."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: Annotated[str, "override"] = "agent"
    """The prompt of tasks that name none."""
    model: Annotated[str | None, "narrow"] = None
    """None means what the prompt says."""
    gates: Annotated[tuple[GateSetting, ...], "override"] = ()
    max_repairs: Annotated[int, "narrow", Field(ge=0, le=10)] = 2
    max_turns: Annotated[int, "narrow", Field(ge=1)] = 100
    max_cost: Annotated[float | None, "narrow", Field(ge=0, allow_inf_nan=False)] = None
    """US dollars."""
    max_tokens: Annotated[int | None, "narrow", Field(ge=1)] = None
    """Input and output together."""
    timeout: Annotated[Seconds, "narrow"] = 45 * 60.0
    """Seconds of wall clock for the agent, repairs included."""
    allow: Annotated[tuple[str, ...], "narrow"] = ()
    deny: Annotated[tuple[str, ...], "narrow"] = ()
    within: Annotated[tuple[tuple[str, ...], ...], "user-only"] = ()
    """Wider allow lists; a path must match every one of them as well."""
    models: Annotated[tuple[str, ...], "user-only"] = ()
    """Models that a repository may choose; empty means any in the catalog."""
    base_url: Annotated[str | None, "user-only"] = None
    key_variable: Annotated[str | None, "user-only"] = None
    """The environment variable that holds the key for `base_url`."""
    sandbox: Annotated[Backend, "user-only"] = "auto"
    readable: Annotated[tuple[str, ...], "user-only"] = ()
    """Further host paths that the sandbox may read."""
    land: Annotated[Landing, "user-only"] = "branch"
    target: Annotated[str | None, "user-only"] = None
    """The branch to land on; None means `agentflow/<TASK>`."""
    prices: Annotated[dict[str, Price], "user-only"] = {}
    environment: Annotated[EnvironmentSetting, "override"] = EnvironmentSetting()
    services: Annotated[dict[str, ServiceSetting], "override"] = {}
    setup_network: Annotated[Literal["listed", "host"], "user-only"] = "listed"
    """`host` lets setup reach everything that this machine reaches."""
    allow_red_base: Annotated[bool, "user-only"] = False
    """Whether gates may fail on the base, and then on the result in the same way."""
    variables: Annotated[dict[str, str], "override"] = {}
    """Values of a prompt's placeholders, by the name without its sign."""
    commit: Annotated[CommitSetting, "user-only"] = CommitSetting()
    checklist: Annotated[ChecklistSetting, "override"] = ChecklistSetting()
    secrets: Annotated[SecretsSetting, "override"] = SecretsSetting()

    @property
    def limits(self) -> Limits:
        """The limits as the record that the run takes."""
        return Limits(
            self.max_turns, self.max_cost, self.max_tokens, self.timeout, self.max_repairs
        )

    @property
    def boundaries(self) -> Boundaries:
        """The boundaries as the record that the run takes."""
        return Boundaries(self.allow, self.deny, self.within)

    @property
    def commands(self) -> tuple[BuildCommand, ...]:
        """The gates as the records that the run takes."""
        return tuple(BuildCommand(**dict(gate)) for gate in self.gates)

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
            gates=variables(table.gates.variables, table.gates.env_from),
        )


RULES: dict[str, Rule] = {
    name: next(item for item in field.metadata if item in get_args(Rule))
    for name, field in Settings.model_fields.items()
}
"""The rule of every field."""
WIDENING = (
    "environment.network",
    "environment.env_from",
    "environment.files",
    "environment.agent.env_from",
    "environment.gates.env_from",
    "services",
)
"""What a repository may say only if the user trusted it."""


def user_file(environment: Mapping[str, str]) -> Path:
    """Where the user's configuration is: `$XDG_CONFIG_HOME/agentflow/config.toml`."""
    home = environment.get("XDG_CONFIG_HOME") or f"{environment.get('HOME', '/')}/.config"
    return Path(home) / "agentflow" / "config.toml"


def load_settings(
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
    repository: str | None,
    task: Task,
) -> Settings:
    """Merge all sources for one task.

    `flags` holds only what was given. `repository` is the text of the repository's configuration
    at the base commit, or None. Raises `UsageError` naming the source and key of a bad value.
    """
    path = user_file(environment)
    own = {
        **_checked(_read_toml(_read(path), str(path)), str(path)),
        **_from_environment(environment),
    }
    shared = _checked(_read_toml(repository or "", CONFIG), CONFIG)
    for name in shared:
        if RULES[name] == "user-only":
            raise UsageError(
                f"{CONFIG}: {name} may not be set by a repository",
                hint=f"Set it in {path}, or give the flag.",
            )
    if "model" in own:
        shared.pop("model", None)  # a choice and not a limit: the user's comes first
    merged = _merge({**_overriding(shared), **own}, _narrowing(shared))
    wishes = _checked(_task_wishes(task), f"task {task.id}")
    merged = _merge({**merged, **_overriding(wishes)}, _narrowing(wishes))
    given = _checked(flags, "flags")
    gates = {g.name: g for layer in (shared, wishes, own, given) for g in layer.get("gates", ())}
    if "allow" in given:
        merged["within"] = ()
    return Settings.model_validate({
        **merged,
        **given,
        "gates": tuple(gates.values()),
        "deny": tuple(dict.fromkeys((*merged.get("deny", ()), *given.get("deny", ())))),
    })


def _task_wishes(task: Task) -> dict[str, Any]:
    wishes: dict[str, Any] = {
        "prompt": task.prompt,
        "model": task.model,
        "max_turns": task.max_turns,
        "max_cost": task.max_cost,
        "timeout": task.timeout,
        "allow": task.boundaries.allow or None,
        "deny": task.boundaries.deny or None,
        "gates": tuple(
            GateSetting(name=g.name, command=g.command, timeout=g.timeout) for g in task.gates
        ),
    }
    return {name: value for name, value in wishes.items() if value is not None}


def _overriding(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if RULES[name] == "override"}


def _narrowing(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if RULES[name] == "narrow"}


def _merge(upper: dict[str, Any], wishes: dict[str, Any]) -> dict[str, Any]:
    """Narrow `upper` by a repository's wishes: numbers are lowered, denials are added, and of
    several allow lists a path must match every one."""
    merged = dict(upper)
    ceiling = Settings.model_validate(upper)
    for name, wanted in wishes.items():
        present = getattr(ceiling, name)
        if name == "allow" and wanted:
            merged["within"] = (*ceiling.within, present) if present else ceiling.within
            merged["allow"] = wanted
        elif name == "deny":
            merged["deny"] = (*present, *wanted)
        elif name == "model":
            merged["model"] = wanted
        elif name != "allow":
            merged[name] = wanted if present is None else min(present, wanted)
    return merged


def _read(path: Path) -> str:
    """The text of the user's configuration; empty if there is none."""
    try:
        return path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start})") from error


def _read_toml(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise UsageError(f"{where}: not valid TOML: it nests too deeply") from error
    except ValueError as error:
        raise UsageError(f"{where}: not valid TOML: {error}") from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """`AGENTFLOW_<FIELD>` for every field that is not a list or a table."""
    found: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        variable = f"AGENTFLOW_{name.upper()}"
        value = environment.get(variable)
        kinds = get_args(field.annotation) if _is_union(field.annotation) else (field.annotation,)
        if value and not any(get_origin(kind) in {tuple, dict} for kind in kinds):
            found |= _checked({name: value}, variable)
    return found


def _is_union(annotation: Any) -> bool:
    return isinstance(annotation, types.UnionType)


def _checked(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Validated values of the known fields, without defaults."""
    unknown = [name for name in values if name not in RULES]
    if unknown:
        raise UsageError(f"{where}: there is no setting {unknown[0]!r}{nearest(unknown[0], RULES)}")
    try:
        valid = Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"{where}: {field}: {first['msg']} (given: {first['input']!r:.80})"
        ) from error
    return {name: _globs_checked(name, getattr(valid, name), where) for name in values}


def _globs_checked(name: str, value: Any, where: str) -> Any:
    if name not in {"allow", "deny"}:
        return value
    return tuple(check_glob(glob, where=f"{where}: {name}") for glob in value)
