"""Cases: what is done to the product under an id of the catalogue."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from tests.attacks.place import Place

Attack = Callable[[Place], Awaitable[None]]
"""Attacks the product and asserts that it held."""
Input = TypeVar("Input")

ALONE = "grep -qaE 'agentflow/toolbox|--unshare-pid' /proc/1/cmdline || exit 97; "
"""The start of a command that kills: it goes on only in a PID namespace of the sandbox's own."""


@dataclass(frozen=True, slots=True)
class Case:
    """One entry; the catalogue says in words what must hold."""

    attack: Attack
    module: str
    """Where it is written."""


CASES: dict[str, Case] = {}
"""By id. Filled by importing the modules of `cases`; see `index`."""


def case(name: str) -> Callable[[Attack], Attack]:
    """Register a function as the attack of an id."""

    def register(attack: Attack) -> Attack:
        _add(name, Case(attack, attack.__module__))
        return attack

    return register


def cases(
    inputs: Mapping[str, Input],
) -> Callable[
    [Callable[[Place, Input], Awaitable[None]]], Callable[[Place, Input], Awaitable[None]]
]:
    """Register a function as the attack of several ids, each with its input."""

    def register(
        attack: Callable[[Place, Input], Awaitable[None]],
    ) -> Callable[[Place, Input], Awaitable[None]]:
        for name, value in inputs.items():
            _add(name, Case(partial(_with, attack, value), attack.__module__))
        return attack

    return register


async def _with(
    attack: Callable[[Place, Input], Awaitable[None]], value: Input, place: Place
) -> None:
    await attack(place, value)


def _add(name: str, added: Case) -> None:
    assert name not in CASES, f"{name} has two attacks"
    CASES[name] = added
