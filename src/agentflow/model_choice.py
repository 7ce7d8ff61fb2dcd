"""Which model works, on which kind of server, and which one goes on when it fails for good."""

import json
from collections.abc import Mapping
from typing import Any

from agentflow.configuration import Settings
from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.messages import Usage
from agentflow.metered import Fallback
from agentflow.models import catalog
from agentflow.models.endpoint import ANTHROPIC_URL
from agentflow.models.kinds import Kind, find_kind
from agentflow.records import Effort, Prompt

_CATALOGUED = frozenset({"anthropic", "google-cloud"})
"""Kinds of servers whose models are those of the catalog; others have any names."""


@record
class ModelChoice:
    """What is known about the model before the run."""

    model: str
    effort: Effort | None
    fallback: Fallback | None
    server: Kind
    base_url: str | None
    """None for a cloud, whose client knows it."""
    notices: tuple[str, ...]


def choose_model(settings: Settings, prompt: Prompt, flags: Mapping[str, Any]) -> ModelChoice:
    """The model that the settings name, else the prompt. Raises `UsageError`."""
    url = settings.base_url or ANTHROPIC_URL
    server = find_kind(url, settings.server)
    name = settings.model or prompt.model or catalog.DEFAULT
    model = _allowed(name, "model", server, settings, flags)
    effort = _effort(prompt, model)
    notices = [_unknown_effort(prompt, model)] if effort != prompt.effort else []
    fallback = None
    if settings.fallback_model is not None:
        other = _allowed(settings.fallback_model, "fallback_model", server, settings, flags)
        if other == model:
            raise UsageError(
                f"the model to fall back on is {model}, which is the first one already",
                hint="Name another one with --fallback-model, or none.",
            )
        fallback = Fallback(other, _effort(prompt, other))
    base_url = settings.base_url if server.cloud else url
    return ModelChoice(model, effort, fallback, server, base_url, tuple(notices))


def _allowed(
    name: str, setting: str, server: Kind, settings: Settings, flags: Mapping[str, Any]
) -> str:
    foreign = server.name not in _CATALOGUED
    model = catalog.resolve(name, allow_unknown=foreign)
    allowed = {catalog.resolve(each, allow_unknown=foreign) for each in settings.models}
    if allowed and model not in allowed and setting not in flags:
        raise UsageError(
            f"the model {name!r} is not among those that your configuration allows: "
            + ", ".join(settings.models),
            hint=f"Give --{setting.replace('_', '-')} to decide it for this run.",
        )
    unpriced = catalog.cost(model, Usage(input_tokens=1), settings.prices) is None
    if settings.max_cost is not None and unpriced:
        raise UsageError(
            f"the price of {model} is unknown, so a limit of ${settings.max_cost:.2f} cannot hold",
            hint=_how_to_price(model, flags),
        )
    return model


def _how_to_price(model: str, flags: Mapping[str, Any]) -> str:
    """How a model gets a price, or a run no limit of costs: no flag takes one away."""
    drop = (
        "leave out --max-cost"
        if "max_cost" in flags
        else "take max_cost away where it is set, which `agentflow config show` names"
    )
    return (
        f"Add [prices.{json.dumps(model)}] with `input` and `output`, US dollars per million tokens "
        f"(0 where nothing is paid), to your config.toml; or {drop}, and limit turns or tokens instead."
    )


def _effort(prompt: Prompt, model: str) -> Effort | None:
    """The effort that the prompt wishes, if the model is known to take it."""
    taken = prompt.effort is not None and catalog.takes_effort(model, prompt.effort)
    return prompt.effort if taken else None


def _unknown_effort(prompt: Prompt, model: str) -> str:
    return (
        f"{prompt.name}: {model} is not known to take the effort {prompt.effort!r}: "
        "none is asked for"
    )
