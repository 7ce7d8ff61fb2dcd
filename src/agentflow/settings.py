"""Settings: all sources merged for one task, and which of them said what.

Sources, first wins: flags, the task, environment (`AGENTFLOW_*`), the user's `config.toml`, the
repository's `.orchestrator/config.toml` as of the base commit, defaults. Task files belong to the
repository. What the repository may do with a field is the field's rule (`configuration.RULES`).

A table (`environment`, `services`, `variables`, …) is one value: the user's own replaces the
repository's as a whole, so that what a user grants in general, such as a token, is never joined to
a command that a repository chose. `gates` are joined by name, `sandbox` key by key; `deny`,
`readable` and `hooks` add up.
"""

import os
import types
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import ValidationError

from agentflow.configuration import RULES, Rule, Settings, user_folder
from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.globs import check_glob
from agentflow.nearest import nearest
from agentflow.records import Task
from agentflow.setting_tables import GateSetting, SandboxSetting
from agentflow.strict_toml import parse_toml
from agentflow.trust import NOTHING, WIDENING, Trust, widening
from agentflow.words import word
from agentflow.wrong_values import what_is_wrong

if TYPE_CHECKING:
    from agentflow.workspace.repository import Repository

CONFIG = ".orchestrator/config.toml"
"""The repository's configuration, read as of the base commit."""

CHOICES = frozenset({"model", "fallback_model"})
"""Fields of the rule `narrow` that are choices and not limits."""

Said = dict[str, tuple[Any, tuple[str, ...]]]
"""Values of fields, each with the sources that said it."""


@record
class Resolved:
    """Settings, and where they come from."""

    settings: Settings
    sources: Mapping[str, tuple[str, ...]]
    """By field, and by `gates.<name>`; a field that nobody set has its default and is not here.

    A source is `flags`, `task <ID>`, a variable's name, the path of the user's file, or `CONFIG`.
    """


def user_file(environment: Mapping[str, str]) -> Path:
    """Where the user's configuration is: `$XDG_CONFIG_HOME/agentflow/config.toml`."""
    return user_folder(environment) / "config.toml"


def how_to_commit(root: Path, directory: Path) -> str:
    """The command that commits the configuration of the repository at `root`, given in `directory`."""
    folder = os.path.relpath(root.resolve() / CONFIG, directory.resolve()).rpartition("/")[0]
    return f"git add {word(folder)} && git commit -m 'chore: agentflow'"


def load_settings(
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
    repository: str | None,
    task: Task,
    trust: Trust = NOTHING,
) -> Settings:
    """The settings of `resolve_settings`, without their sources."""
    return resolve_settings(flags, environment, repository, task, trust).settings


def resolve_settings(
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
    repository: str | None,
    task: Task,
    trust: Trust = NOTHING,
) -> Resolved:
    """Merge all sources for one task.

    `flags` holds only what was given. `repository` is the text of the repository's configuration
    at the base commit, or None; `trust` is what the user granted it. Raises `UsageError` naming
    the source and key of a bad value, or what of the repository's was not granted.
    """
    path = user_file(environment)
    written = _said(_read_toml(_read(path), str(path)), str(path))
    own = _over(written, _from_environment(environment))
    table = shared_table(repository, environment)
    trust.check(widening(table), CONFIG)
    shared = _said(table, CONFIG)
    for name in CHOICES & own.keys():
        shared.pop(name, None)  # the user's comes first
    wishes = _said(_task_wishes(task), f"task {task.id}")
    given = _said(flags, "flags")
    merged = _narrowed(_with_rule("override", shared) | own, shared)
    merged = _narrowed(merged | _with_rule("override", wishes), wishes)
    if "allow" in given:
        merged.pop("within", None)
    gates = {
        gate.name: (gate, layer["gates"][1])
        for layer in (shared, wishes, own, given)
        if "gates" in layer
        for gate in layer["gates"][0]
    }
    final: Said = {
        **_over(merged, given),
        "gates": (
            tuple(gate for gate, _ in gates.values()),
            tuple(dict.fromkeys(source for _, by in gates.values() for source in by)),
        ),
        "deny": _added("deny", merged, given),
        "readable": _added("readable", shared, own, given),
        "hooks": _added("hooks", own, shared),
    }
    return Resolved(
        Settings.model_validate({name: value for name, (value, _) in final.items()}),
        {name: by for name, (_, by) in final.items() if by}
        | {f"gates.{name}": by for name, (_, by) in gates.items()},
    )


def shared_table(repository: str | None, environment: Mapping[str, str]) -> dict[str, Any]:
    """The repository's configuration, as its text says it; None is an empty one.

    Raises `UsageError` naming a bad value, or one that a repository may not set at all.
    """
    table = _read_toml(repository or "", CONFIG)
    for name in _checked(table, CONFIG):
        own = RULES[name] == "user-only" and name not in WIDENING
        key = "sandbox.backend" if name == "sandbox" and _names_backend(table[name]) else name
        if own or key != name:
            raise UsageError(
                f"{CONFIG}: {key} may not be set by a repository",
                hint=f"Set it in {user_file(environment)}, or give the flag.",
            )
    return table


def _names_backend(sandbox: Any) -> bool:
    return isinstance(sandbox, str) or "backend" in sandbox


def _task_wishes(task: Task) -> dict[str, Any]:
    wishes: dict[str, Any] = {
        "prompt": task.prompt,
        "profile": task.profile,
        "model": task.model,
        "max_turns": task.max_turns,
        "max_cost": task.max_cost,
        "timeout": task.timeout,
        "allow": task.boundaries.allow or None,
        "deny": task.boundaries.deny or None,
        "gates": tuple(GateSetting(**asdict(gate)) for gate in task.gates),
    }
    return {name: value for name, value in wishes.items() if value is not None}


def _with_rule(rule: Rule, said: Said) -> Said:
    return {name: each for name, each in said.items() if RULES[name] == rule}


def _over(lower: Said, upper: Said) -> Said:
    """Both, and where both say something the upper; of the sandbox's values each alone."""
    joined = lower | upper
    if "sandbox" in lower and "sandbox" in upper:
        joined["sandbox"] = _joined(lower["sandbox"], upper["sandbox"])
    return joined


def _joined(
    lower: tuple[SandboxSetting, tuple[str, ...]], upper: tuple[SandboxSetting, tuple[str, ...]]
) -> tuple[SandboxSetting, tuple[str, ...]]:
    values = [each.model_dump(exclude_unset=True) for each, _ in (lower, upper)]
    sources = tuple(dict.fromkeys((*lower[1], *upper[1])))
    return SandboxSetting.model_validate(values[0] | values[1]), sources


def _lowered(
    present: tuple[SandboxSetting, tuple[str, ...]], wanted: tuple[SandboxSetting, tuple[str, ...]]
) -> tuple[SandboxSetting, tuple[str, ...]]:
    """What is set, with those of the wanted limits that are below it."""
    said = wanted[0].model_dump(exclude_unset=True)
    lower = {name: value for name, value in said.items() if value < getattr(present[0], name)}
    return _joined(present, (SandboxSetting.model_validate(lower), wanted[1] if lower else ()))


def _narrowed(upper: Said, said: Said) -> Said:
    """Narrow `upper` by a repository's wishes: numbers are lowered, denials are added, and of
    several allow lists a path must match every one."""
    merged = dict(upper)
    for name, (wanted, source) in _with_rule("narrow", said).items():
        present, by = upper.get(name, (Settings.model_fields[name].default, ()))
        if name == "deny":
            merged[name] = _added(name, upper, said)
        elif name == "sandbox":
            merged[name] = _lowered((present, by), (wanted, source))
        elif name == "allow":
            if wanted and present:
                within, whose = upper.get("within", ((), ()))
                merged["within"] = ((*within, present), tuple(dict.fromkeys((*whose, *by))))
            if wanted:
                merged[name] = (wanted, source)
        elif name in CHOICES or present is None or wanted < present:
            merged[name] = (wanted, source)
    return merged


def _added(name: str, *layers: Said) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """The items of all layers, each once, and who said any."""
    said = [layer[name] for layer in layers if name in layer]
    items = dict.fromkeys(item for value, _ in said for item in value)
    return tuple(items), tuple(dict.fromkeys(source for _, by in said for source in by))


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
        return parse_toml(text)
    except ValueError as error:
        raise UsageError(f"{where}: not valid TOML: {error}") from error


def _from_environment(environment: Mapping[str, str]) -> Said:
    """`AGENTFLOW_<FIELD>` for every field that is not a list or a table."""
    found: Said = {}
    for name, field in Settings.model_fields.items():
        variable = f"AGENTFLOW_{name.upper()}"
        value = environment.get(variable)
        kinds = get_args(field.annotation) if _is_union(field.annotation) else (field.annotation,)
        if value and not any(get_origin(kind) in {tuple, dict} for kind in kinds):
            found |= _said({name: value}, variable)
    return found


def _is_union(annotation: Any) -> bool:
    return isinstance(annotation, types.UnionType)


def _said(values: Mapping[str, Any], source: str) -> Said:
    return {name: (value, (source,)) for name, value in _checked(values, source).items()}


def _checked(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Validated values of the known fields, without defaults."""
    unknown = [name for name in values if name not in RULES]
    if unknown:
        raise UsageError(f"{where}: there is no setting {unknown[0]!r}{nearest(unknown[0], RULES)}")
    try:
        valid = Settings.model_validate(values)
    except ValidationError as error:
        field, told = what_is_wrong(error, Settings, values)
        raise UsageError(f"{where}: {field}: {told}") from error
    _check_distinct(valid, where)
    return {name: _globs_checked(name, getattr(valid, name), where) for name in values}


def _check_distinct(settings: Settings, where: str) -> None:
    """Refuse a gate that another one of the same source would replace."""
    names = [gate.name for gate in settings.gates]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(
            f"{where}: two gates have the name {twice!r}", hint="Give each a name of its own."
        )


def _globs_checked(name: str, value: Any, where: str) -> Any:
    if name not in {"allow", "deny"}:
        return value
    return tuple(check_glob(glob, where=f"{where}: {name}") for glob in value)


def settings_at(repository: "Repository", commit: str, environment: Mapping[str, str]) -> Settings:
    """The settings of a commit, for what runs nothing, so nothing needs the user's trust.

    Raises `UsageError`.
    """
    text = repository.read(commit, CONFIG)
    trust = Trust(widening(shared_table(text, environment)))
    return load_settings({}, environment, text, Task("", "", ""), trust)
