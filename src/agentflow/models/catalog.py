"""Known models, their aliases and prices, as of 2026-11-20.

Sources: the model identifiers of `anthropic` 2.11.0 (`types/model.py`); context windows, output
limits and prices from the model pages of platform.claude.com, read on 2026-11-20, except for
Fable 5.2, whose input and output prices stand on a reseller's page only. That a model takes an
effort stands on the same pages, which levels in other clients' notes on its release. The API itself
knows no aliases and no prices. What is not stated there is None here, and costs are then unknown:
never $0.
"""

import re
from collections.abc import Mapping
from typing import Protocol, get_args

from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.messages import Usage
from agentflow.nearest import nearest
from agentflow.records import Effort

_LONGEST_NAME = 200
_WRITE_FACTOR = 1.25
"""A cache write for five minutes, against the price of input; two times for an hour."""
_WRITE_1H_FACTOR = 2.0


class Price(Protocol):
    """US dollars per million tokens. `cache_read` None counts as input: never too little."""

    @property
    def input(self) -> float: ...
    @property
    def output(self) -> float: ...
    @property
    def cache_read(self) -> float | None: ...
    @property
    def cache_write(self) -> float | None: ...
    @property
    def cache_write_1h(self) -> float | None: ...


@record
class Band:
    """A price for prompts up to a length. US dollars per million tokens."""

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None
    """For five minutes; None: 1.25 times the input."""
    up_to: int | None = None
    """Prompt tokens, cached ones included; None means any length."""
    cache_write_1h: float | None = None
    """None: 2 times the input."""


@record
class Model:
    """One model of the API."""

    id: str
    name: str
    """As people write it."""
    context_window: int | None = None
    """Tokens."""
    max_output: int | None = None
    """Tokens."""
    bands: tuple[Band, ...] = ()
    """Shortest first; a request is billed as a whole by the first that holds its prompt."""
    efforts: tuple[Effort, ...] = get_args(Effort)
    """Levels of effort that it takes."""


_UNTIL_OPUS_4_5: tuple[Effort, ...] = ("low", "medium", "high")
_UNTIL_4_6: tuple[Effort, ...] = (*_UNTIL_OPUS_4_5, "max")

MODELS: dict[str, Model] = {
    model.id: model
    for model in (
        Model("claude-fable-5-2", "Claude Fable 5.2", None, None, (Band(8.0, 40.0),)),
        Model(
            "claude-fable-5-1", "Claude Fable 5.1", 1_000_000, 128_000, (Band(10.0, 50.0, 0.25),)
        ),
        Model("claude-fable-5", "Claude Fable 5", None, None, (Band(10.0, 50.0, 1.0),)),
        Model("claude-opus-5-5", "Claude Opus 5.5", 1_000_000, 128_000, (Band(4.0, 20.0, 0.2),)),
        Model("claude-opus-5", "Claude Opus 5", 1_000_000, 128_000, (Band(5.0, 25.0, 0.5),)),
        Model("claude-opus-4-8", "Claude Opus 4.8", None, None, (Band(5.0, 25.0, 0.5),)),
        Model("claude-opus-4-7", "Claude Opus 4.7", None, None, (Band(5.0, 25.0, 0.5),)),
        Model(
            "claude-opus-4-6", "Claude Opus 4.6", None, None, (Band(5.0, 25.0, 0.5),), _UNTIL_4_6
        ),
        Model(
            "claude-opus-4-5",
            "Claude Opus 4.5",
            None,
            None,
            (Band(5.0, 25.0, 0.5),),
            _UNTIL_OPUS_4_5,
        ),
        Model(
            "claude-sonnet-5-5", "Claude Sonnet 5.5", 1_000_000, 128_000, (Band(2.0, 10.0, 0.1),)
        ),
        Model("claude-sonnet-5", "Claude Sonnet 5", 1_000_000, 128_000, (Band(2.0, 10.0, 0.2),)),
        Model("claude-sonnet-4-6", "Claude Sonnet 4.6", efforts=_UNTIL_4_6),
        Model("claude-sonnet-4-5", "Claude Sonnet 4.5", efforts=()),
        Model(
            "claude-haiku-5-5",
            "Claude Haiku 5.5",
            1_000_000,
            128_000,
            (Band(0.1, 0.5, 0.01, up_to=100_000), Band(0.5, 2.5, 0.05)),
        ),
        Model("claude-haiku-4-5", "Claude Haiku 4.5", 200_000, 64_000, (Band(1.0, 5.0),), ()),
        Model("claude-mythos-5-2", "Claude Mythos 5.2"),
        Model("claude-mythos-5-1", "Claude Mythos 5.1", None, None, (Band(10.0, 50.0, 0.25),)),
        Model("claude-mythos-5", "Claude Mythos 5", None, None, (Band(10.0, 50.0, 1.0),)),
    )
}
"""Every known model by its identifier."""

DATED: dict[str, str] = {
    "claude-haiku-4-5-20251001": "claude-haiku-4-5",
    "claude-opus-4-5-20251101": "claude-opus-4-5",
    "claude-sonnet-4-5-20250929": "claude-sonnet-4-5",
}
"""Identifiers with a date, each with the model that it is a version of."""

RETIRED: dict[str, str] = {
    "claude-opus-4": "2026-06-15",
    "claude-sonnet-4": "2026-06-15",
    "claude-mythos-preview": "2026-06-30",
    "claude-3-7-sonnet": "2026-02-19",
    "claude-3-5-haiku": "2026-02-19",
    "claude-3-opus": "2026-01-05",
    "claude-3-sonnet": "2025-07-21",
}
"""Models that the API no longer answers for, and since when: `DEPRECATED_MODELS` of `anthropic`
2.11.0 (`resources/messages/messages.py`), by the name without its date, `-0` or `-latest`."""
_VERSION = re.compile(r"-(?:0|latest|\d{8})$")

DEFAULT = "sonnet"
"""The model where nobody names one."""

ALIASES: dict[str, str] = {
    "default": "claude-sonnet-5-5",
    "sonnet": "claude-sonnet-5-5",
    "opus": "claude-opus-5-5",
    "haiku": "claude-haiku-5-5",
    "fable": "claude-fable-5-2",
}


def resolve(name: str, *, allow_unknown: bool = False) -> str:
    """The identifier for an alias, an identifier or a display name such as `Claude Sonnet 5.5`.

    `allow_unknown` is for servers that are not Anthropic's, whose models have any name. Raises
    `UsageError` naming the nearest known name, or if the name could break a line or a header.
    """
    wanted = name.strip()
    folded = "-".join(wanted.lower().split())
    displayed = {"-".join(model.name.lower().split()): model.id for model in MODELS.values()}
    if folded in ALIASES:
        return ALIASES[folded]
    if wanted in MODELS or wanted in DATED:
        return wanted
    if folded in displayed or f"claude-{folded}" in displayed:
        return displayed.get(folded) or displayed[f"claude-{folded}"]
    if len(wanted) > _LONGEST_NAME or not (wanted.isascii() and wanted.isprintable()):
        raise UsageError(
            f"the name of the model, {wanted[:60]!a}, is too long or has odd characters",
            hint=f"Use at most {_LONGEST_NAME} ASCII characters without blanks.",
        )
    if allow_unknown and wanted and " " not in wanted:
        return wanted
    known = _VERSION.sub("", folded)
    if retired := RETIRED.get(known) or RETIRED.get(f"claude-{known}"):
        raise UsageError(
            f"the model {name!r} was retired on {retired}",
            hint=f"Name another one, in the prompt or by --model: {', '.join(ALIASES)}.",
        )
    raise UsageError(
        f"there is no model {name!r}{nearest(wanted, [*ALIASES, *MODELS])}",
        hint=f"Known models: {', '.join([*ALIASES, *MODELS])}.",
    )


def find_model(model_id: str) -> Model | None:
    """What is known about a model, by an identifier with or without a date."""
    return MODELS.get(DATED.get(model_id, model_id))


def window(model_id: str, most: int | None = None) -> int | None:
    """Tokens of a model's context window, at most `most`; None if neither is known."""
    model = find_model(model_id)
    known = [n for n in (model.context_window if model else None, most) if n is not None]
    return min(known, default=None)


def takes_effort(model_id: str, effort: Effort) -> bool:
    """Whether a model is known to take a level of effort. Servers refuse what a model does not."""
    model = find_model(model_id)
    return model is not None and effort in model.efforts


def cost(model_id: str, usage: Usage, prices: Mapping[str, Price] | None = None) -> float | None:
    """US dollars for the usage of one request; None if the price is unknown.

    `prices`, the user's own by identifier, win over the table. Sums over several requests must
    be priced one by one: a band depends on the prompt of each.
    """
    price = (prices or {}).get(model_id) or _band(model_id, usage.prompt_tokens)
    if price is None:
        return None
    read = price.input if price.cache_read is None else price.cache_read
    write = price.input * _WRITE_FACTOR if price.cache_write is None else price.cache_write
    hour = price.input * _WRITE_1H_FACTOR if price.cache_write_1h is None else price.cache_write_1h
    millionths = (
        usage.input_tokens * price.input
        + usage.output_tokens * price.output
        + usage.cache_read_tokens * read
        + usage.cache_write_tokens * write
        + usage.cache_write_1h_tokens * hour
    )
    return millionths / 1_000_000


def _band(model_id: str, prompt_tokens: int) -> Band | None:
    model = find_model(model_id)
    bands = model.bands if model else ()
    return next((b for b in bands if b.up_to is None or prompt_tokens <= b.up_to), None)
