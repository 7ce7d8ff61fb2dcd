"""Aliases, prices, and what they cost to import."""

import subprocess
import sys

import pytest

from agentflow.errors import UsageError
from agentflow.messages import Usage
from agentflow.models.catalog import (
    ALIASES,
    DATED,
    MODELS,
    RETIRED,
    Band,
    cost,
    find_model,
    resolve,
    takes_effort,
)
from agentflow.records import Effort


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("default", "claude-sonnet-5-5"),
        ("sonnet", "claude-sonnet-5-5"),
        ("Opus", "claude-opus-5-5"),
        ("haiku", "claude-haiku-5-5"),
        ("fable", "claude-fable-5-2"),
        ("claude-opus-4-8", "claude-opus-4-8"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5-20251001"),
        ("Claude Sonnet 5.5", "claude-sonnet-5-5"),
        ("Opus  5", "claude-opus-5"),
        (" sonnet ", "claude-sonnet-5-5"),
    ],
)
def test_names_of_models(name: str, expected: str) -> None:
    assert resolve(name) == expected


def test_an_unknown_model_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="no model 'sonet'; did you mean 'sonnet'"):
        resolve("sonet")
    with pytest.raises(UsageError, match="no model 'claude-opus-6'"):
        resolve("claude-opus-6")


@pytest.mark.parametrize(
    "name",
    [
        "claude-sonnet-4",
        "Claude Sonnet 4",
        "sonnet 4",
        "claude-sonnet-4-0",
        "claude-sonnet-4-20250514",
    ],
)
def test_a_retired_model_is_refused_with_its_date(name: str) -> None:
    with pytest.raises(UsageError, match=f"the model '{name}' was retired on 2026-06-15"):
        resolve(name)
    with pytest.raises(UsageError, match="no model 'claude-sonnet-4-1'"):
        resolve("claude-sonnet-4-1")
    assert resolve("claude-sonnet-4", allow_unknown=True) == "claude-sonnet-4"


def test_no_retired_model_is_offered() -> None:
    assert not {*MODELS, *DATED} & RETIRED.keys()


def test_other_servers_have_models_of_any_name() -> None:
    assert resolve("qwen2.5-coder:7b", allow_unknown=True) == "qwen2.5-coder:7b"
    assert resolve("opus", allow_unknown=True) == "claude-opus-5-5"
    with pytest.raises(UsageError):
        resolve(" ", allow_unknown=True)


@pytest.mark.parametrize(
    "name", ["m\nAgentflow-Task: X", "m x", "m\tx", "m\x1b[2J", "mödel", "m" * 201]
)
def test_a_name_that_could_break_a_line_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        resolve(name, allow_unknown=True)


def test_every_alias_and_dated_name_leads_to_a_known_model() -> None:
    assert {*ALIASES.values(), *DATED.values()} <= MODELS.keys()


def test_each_kind_of_token_has_its_price() -> None:
    million = 1_000_000
    assert cost("claude-sonnet-5-5", Usage(input_tokens=million)) == 2.0
    assert cost("claude-sonnet-5-5", Usage(output_tokens=million)) == 10.0
    assert cost("claude-sonnet-5-5", Usage(cache_read_tokens=million)) == 0.1
    assert cost("claude-sonnet-5-5", Usage(cache_write_tokens=million)) == 2.5
    assert cost("claude-sonnet-5-5", Usage(cache_write_1h_tokens=million)) == 4.0


def test_a_long_prompt_raises_the_price_of_the_whole_request() -> None:
    edge = Usage(input_tokens=40_000, output_tokens=1_000, cache_read_tokens=60_000)
    over = Usage(input_tokens=40_001, output_tokens=1_000, cache_read_tokens=60_000)
    assert cost("claude-haiku-5-5", edge) == pytest.approx(0.004 + 0.0005 + 0.0006)
    assert cost("claude-haiku-5-5", over) == pytest.approx(0.0200005 + 0.0025 + 0.003)


def test_a_cache_read_of_unknown_price_counts_as_input() -> None:
    usage = Usage(input_tokens=1_000, cache_read_tokens=9_000)
    assert cost("claude-fable-5-2", usage) == pytest.approx(0.08)


def test_an_unknown_price_is_unknown_and_never_nothing() -> None:
    assert cost("qwen2.5-coder:7b", Usage(input_tokens=1)) is None
    assert cost("claude-mythos-5-2", Usage()) is None


def test_a_dated_model_costs_what_the_model_costs() -> None:
    usage = Usage(input_tokens=1_000_000)
    assert cost("claude-opus-4-5-20251101", usage) == cost("claude-opus-4-5", usage) == 5.0
    assert find_model("claude-opus-4-5-20251101") == MODELS["claude-opus-4-5"]


def test_the_users_price_wins() -> None:
    prices = {"claude-sonnet-5-5": Band(1.0, 2.0), "qwen": Band(0.0, 0.0)}
    usage = Usage(1_000_000, 1_000_000)
    assert cost("claude-sonnet-5-5", usage, prices) == 3.0
    assert cost("qwen", usage, prices) == 0.0


@pytest.mark.parametrize(
    "module", ["catalog", "endpoint", "retry", "accumulator", "anthropic", "scripted"]
)
def test_importing_a_module_does_not_import_the_sdk(module: str) -> None:
    program = (
        f"import sys, agentflow.models.{module}\n"
        "print(sorted({'anthropic', 'httpx2', 'pydantic'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("model", "levels"),
    [
        ("claude-opus-5-5", 5),
        ("claude-opus-4-7", 5),
        ("claude-sonnet-4-6", 4),
        ("claude-opus-4-5-20251101", 3),
        ("claude-haiku-4-5", 0),
        ("qwen2.5-coder:7b", 0),
    ],
)
def test_which_efforts_a_model_takes(model: str, levels: int) -> None:
    known: tuple[Effort, ...] = ("low", "medium", "high", "max", "xhigh")
    assert [takes_effort(model, each) for each in known] == [n < levels for n in range(5)]
