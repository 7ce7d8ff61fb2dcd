"""The guard against blow-up is one: it passes what is in proportion, and nothing else."""

import re
from collections.abc import Callable

import pytest

from tests.growth import check_growth, repeated

BACKTRACKING = re.compile(r"(a+)+b")


def in_proportion(text: str) -> object:
    return sorted(text.split("a")), [sign.upper() for sign in text]


def no_time(text: str) -> object:
    return len(text)


def quadratic_in_python(text: str) -> object:
    return sum(1 for end in range(len(text) // 8) for _ in range(end))


def quadratic_in_c(text: str) -> object:
    return re.findall(r"a+b", text)


def exponential(text: str) -> object:
    try:
        return BACKTRACKING.match(text)
    except Exception:  # noqa: BLE001
        return None


@pytest.mark.parametrize("work", [in_proportion, no_time])
def test_what_is_in_proportion_passes(work: Callable[[str], object]) -> None:
    check_growth(work, repeated("a"), 80_000)


@pytest.mark.parametrize("work", [quadratic_in_python, quadratic_in_c])
def test_what_is_quadratic_fails(work: Callable[[str], object]) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"from size 3000 to 24000 its time grows"):
        check_growth(work, repeated("a"), 24_000)


def test_what_never_ends_fails() -> None:
    with pytest.raises(pytest.fail.Exception, match="does not end at size 100"):
        check_growth(exponential, repeated("a"), 800, patience=0.1)
    with pytest.raises(pytest.fail.Exception, match=r"grows from [\d.]+ s to inf s"):
        check_growth(exponential, repeated("a"), 80)
