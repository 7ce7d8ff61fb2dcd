"""TOML of hostile authors."""

import time

import pytest

from agentflow.strict_toml import MAX_NAMES, parse_toml
from tests.slowness import slowness


def test_ordinary_toml_is_read() -> None:
    assert parse_toml('a."b c".\'d\' = "1.2.3"\n[x.y]\nz = 1.5') == {
        "a": {"b c": {"d": "1.2.3"}},
        "x": {"y": {"z": 1.5}},
    }
    assert parse_toml(".".join(["a"] * MAX_NAMES) + " = 1")


@pytest.mark.parametrize("name", ["a", '"a"', "'a'", "a ", '"\\""'])
@pytest.mark.parametrize("form", ["{} = 1", "[{}]", "x = {{ {} = 1 }}"])
def test_a_long_key_is_refused_at_once(name: str, form: str) -> None:
    started = time.monotonic()
    with pytest.raises(ValueError, match="names"):
        parse_toml(form.format(".".join([name] * 200_000)))
    assert time.monotonic() - started < 2 * slowness()


@pytest.mark.parametrize(
    "piece", ["a", '"', "'", '"a', "a.", '"".', "a ", "\\", ".", "[", "{", "-"]
)
def test_no_text_takes_long(piece: str) -> None:
    started = time.monotonic()
    with pytest.raises(ValueError):  # noqa: PT011
        parse_toml(piece * 500_000)
    assert time.monotonic() - started < 3 * slowness()
