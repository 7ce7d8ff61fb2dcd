"""Settings in words: every value and where it comes from, without secrets."""

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from agentflow.configuration import Settings
from agentflow.durations import write_duration
from agentflow.models import catalog
from agentflow.neutral import one_line
from agentflow.records import Json
from agentflow.redaction import MARK, Redact, redactor
from agentflow.settings import CONFIG, Resolved
from agentflow.sizes import write_size
from agentflow.trust import leaves

DURATIONS = frozenset({"timeout", "cpu"})
"""Keys whose numbers are seconds."""
SIZES = frozenset({"memory", "disk", "file_size", "upload"})
"""Keys whose numbers are bytes."""

_SECRET = re.compile(r"TOKEN|SECRET|PASSW|KEY|CREDENTIAL|AUTH(?!OR)", re.IGNORECASE)
"""Names of variables whose literal values may hold a password."""
_USER = re.compile(r"://[^/\s]*@")
"""User and password in a URL."""


def settings_json(resolved: Resolved, base: str, environment: Mapping[str, str]) -> Json:
    """Every setting by name, as `{"value": …, "sources": […]}`.

    Secrets are left out: the values of the variables that `env_from` names, users and passwords in
    URLs, and literal variables whose name suggests a secret.
    """
    redact = _redactor(resolved.settings, environment)
    return {
        name: {
            "value": _masked(name, value, redact),
            "sources": _sources(resolved.sources.get(name, ()), base),
        }
        for name, value in resolved.settings.model_dump(mode="json").items()
    }


def settings_rows(
    resolved: Resolved, base: str, environment: Mapping[str, str]
) -> list[tuple[str, str, str]]:
    """Every setting: name, value, source; tables and gates one by one."""
    return [
        (
            one_line(name, 200),
            one_line(_written(name, value), 500),
            one_line(", ".join(_sources(sources, base)), 500),
        )
        for name, value, sources in _rows(resolved, _redactor(resolved.settings, environment))
    ]


def _rows(resolved: Resolved, redact: Redact) -> list[tuple[str, Any, tuple[str, ...]]]:
    """Name, value and sources of every setting, every value of a table, and every gate."""
    rows: list[tuple[str, Any, tuple[str, ...]]] = []
    said = resolved.settings.model_dump(mode="json", exclude_unset=True)
    for name, value in resolved.settings.model_dump(mode="json").items():
        sources = resolved.sources.get(name, ())
        masked = _masked(name, value, redact)
        if name == "gates" and masked:
            for gate in said[name]:
                key = f"gates.{gate['name']}"
                shown = {each: gate[each] for each in gate if each != "name"}
                rows.append((key, _masked(key, shown, redact), resolved.sources[key]))
        elif isinstance(value, dict) and value:
            told = {key for key, _ in leaves(name, said.get(name, {}))}
            rows += [
                (key, each, sources if key in told else ()) for key, each in leaves(name, masked)
            ]
        else:
            rows.append((name, masked, sources))
    return rows


def _written(name: str, value: Any) -> str:
    if name == "model" and value is None:
        return f"the prompt's, else {catalog.DEFAULT}"
    shown = _as_given(name.rpartition(".")[2], value)
    return "none" if shown is None else json.dumps(shown, ensure_ascii=False)


def _as_given(key: str, value: Any) -> Any:
    """The value with durations and sizes as people write them."""
    if isinstance(value, dict):
        fields = cast("Json", value)
        return {name: _as_given(name, each) for name, each in fields.items()}
    if isinstance(value, list):
        return [_as_given(key, each) for each in cast("list[Any]", value)]
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value
    if key in DURATIONS:
        return write_duration(value)
    return write_size(int(value)) if key in SIZES else value


def _sources(sources: tuple[str, ...], base: str) -> list[str]:
    named = [f"{CONFIG} at {base[:12]}" if each == CONFIG else each for each in sources]
    return named or ["default"]


def _redactor(settings: Settings, environment: Mapping[str, str]) -> Redact:
    table = settings.environment
    names = (*table.env_from, *table.agent.env_from, *table.gates.env_from)
    redact = redactor(environment[name] for name in names if name in environment)
    return lambda text: _USER.sub(f"://{MARK}@", redact(text))


def _masked(key: str, value: Any, redact: Redact, *, literal: bool = False) -> Any:
    """The value without secrets; `literal` says that it is a variable's."""
    if isinstance(value, dict):
        inside = key in {"variables", "env"}
        fields = cast("Json", value)
        return {name: _masked(name, each, redact, literal=inside) for name, each in fields.items()}
    if isinstance(value, list):
        return [_masked(key, each, redact) for each in cast("list[Any]", value)]
    if literal and _SECRET.search(key):
        return MARK
    return redact(value) if isinstance(value, str) else value
