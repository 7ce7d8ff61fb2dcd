"""TOML of hostile authors."""

import pytest

from agentflow.strict_toml import MAX_NAMES, parse_toml
from tests.growth import check_growth, repeated


def test_ordinary_toml_is_read() -> None:
    assert parse_toml('a."b c".\'d\' = "1.2.3"\n[x.y]\nz = 1.5') == {
        "a": {"b c": {"d": "1.2.3"}},
        "x": {"y": {"z": 1.5}},
    }
    assert parse_toml(".".join(["a"] * MAX_NAMES) + " = 1")


@pytest.mark.parametrize("name", ["a", '"a"', "'a'", "a ", '"\\""'])
@pytest.mark.parametrize("form", ["{} = 1", "[{}]", "x = {{ {} = 1 }}"])
def test_a_long_key_is_refused_at_once(name: str, form: str) -> None:
    def refuse(text: str) -> None:
        with pytest.raises(ValueError, match="names"):
            parse_toml(text)

    check_growth(refuse, lambda size: form.format(".".join([name] * size)), 20_000)


@pytest.mark.parametrize(
    "piece", ["a", '"', "'", '"a', "a.", '"".', "a ", "\\", ".", "[", "{", "-"]
)
def test_time_grows_with_the_length_only(piece: str) -> None:
    def refuse(text: str) -> None:
        with pytest.raises(ValueError):  # noqa: PT011
            parse_toml(text)

    check_growth(refuse, repeated(piece), 64 * 1024)
