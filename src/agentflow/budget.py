"""What runs have spent, against what they may spend; asked before each call of the model.

An account counts, time included. A budget is one run's own account, and perhaps one that it shares
with the other runs of one invocation.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, Context
from typing import Any

from agentflow.errors import BudgetExceeded
from agentflow.events import LimitNear
from agentflow.frozen import record
from agentflow.messages import Usage
from agentflow.records import Limits
from agentflow.spending import Spending

SMALLEST_REPLY = 4096
"""Output tokens: a reply is not asked to be shorter than this to stay within a limit."""
WARN_AT = 0.8
"""The share of a limit that is worth a warning."""

CostOf = Callable[[str, Usage], float | None]
"""US dollars for one request, by the model's identifier; None if the price is unknown."""


@record
class Call:
    """The next call of the model at its worst: nothing is read from the cache."""

    model: str
    fixed: int
    """Tokens of system prompt and tools, at most."""
    prompt: int
    """Tokens of the whole prompt, at most, those included."""
    output: int
    """Output tokens that are wished for."""


@record
class Admission:
    """What the budget allows for a call."""

    output: int
    """Output tokens."""
    attempts: int | None
    """How many attempts at their worst are affordable; None means any number."""


@record
class Limit:
    """One kind of limit."""

    name: str
    """In `Limits` and in the configuration."""
    unit: str
    """`$`, or what follows the number."""
    amount: Callable[[Spending], float]

    def of(self, limits: Limits) -> float | None:
        """The limit that is set, if one is."""
        return getattr(limits, self.name)

    def show(self, amount: float) -> str:
        """An amount in words."""
        if self.unit != "$":
            return _amount(amount, self.unit)
        return f"${amount:.2f}" if amount >= 0.1 or not amount else f"${amount:.4f}"


def _amount(number: float, unit: str) -> str:
    """`1 turn`, `2 turns`."""
    shown = f"{number:.0f}"
    return f"{shown} {unit.removesuffix('s') if shown == '1' else unit}"


LIMITS = (
    Limit("max_turns", "turns", lambda s: s.turns),
    Limit("max_cost", "$", lambda s: math.inf if s.cost is None else s.cost),
    Limit("max_tokens", "tokens", lambda s: s.usage.total_tokens),
    Limit("max_input_tokens", "input tokens", lambda s: s.usage.prompt_tokens),
    Limit("max_output_tokens", "output tokens", lambda s: s.usage.output_tokens),
)
"""All but the wall clock."""

TIMEOUT = "timeout"
"""The wall clock's limit, in `Limits` and among flags."""
UNLIMITED = Limits(max_turns=10**9, timeout=math.inf)
"""As many turns as nobody takes."""


@dataclass(slots=True)
class Account:
    """A count of what one run or several spend, from the moment it is made."""

    limits: Limits
    clock: Callable[[], float]
    """Seconds that never go back."""
    owner: str = "this run"
    """Whose limits these are, in words: `all runs together`, …"""
    spent: Spending = field(default_factory=Spending)
    _in_flight: dict[object, Spending] = field(default_factory=dict[object, Spending])
    _warned: set[str] = field(default_factory=set[str])
    _started: float = field(init=False)

    def __post_init__(self) -> None:
        self._started = self.clock()

    @property
    def seconds_left(self) -> float:
        """Until the wall clock's limit."""
        return self.limits.timeout - (self.clock() - self._started)

    def restore(self, spent: Spending, seconds: float) -> None:
        """Take over what was spent before, and for how long."""
        self.spent = spent
        self._started = self.clock() - seconds

    def admit(self, who: object, empty: Spending, full: Spending, output: int) -> Admission:
        """Allow a call whose worst is `empty` without output and `full` with `output` tokens.

        Calls of others count at their worst until they are charged. Raises `BudgetExceeded` naming
        the limit that the call could exceed.
        """
        others = (worst for key, worst in self._in_flight.items() if key is not who)
        taken = sum(others, self.spent)
        least = min(SMALLEST_REPLY, output)
        allowed, attempts = output, math.inf
        for limit in LIMITS:
            most = limit.of(self.limits)
            if most is None:
                continue
            left = most - limit.amount(taken)
            prompt, whole = limit.amount(empty), limit.amount(full)
            each = (whole - prompt) / output
            if left <= 0 or not left - prompt >= each * least:  # an unknown price is NaN here
                raise self._exceeded(limit, most, prompt + each * least)
            if each:
                allowed = min(allowed, math.floor((left - prompt) / each))
            if limit.amount(replace(full, turns=0)):
                attempts = min(attempts, left / (prompt + each * allowed))
        return Admission(allowed, None if attempts == math.inf else max(1, int(attempts)))

    def reserve(self, who: object, worst: Spending) -> None:
        """Count a call of one budget at its worst, until `release`."""
        self._in_flight[who] = worst

    def release(self, who: object) -> None:
        """The call is over, and charged if it used anything."""
        self._in_flight.pop(who, None)

    def charge(self, amount: Spending) -> None:
        """Count what was spent."""
        self.spent += amount

    def warnings(self) -> Iterator[LimitNear]:
        """Limits of which most is spent, each told once."""
        for limit in LIMITS:
            most, spent = limit.of(self.limits), limit.amount(self.spent)
            if most is not None and self._is_near(limit.name, spent, most):
                shown, of = limit.show(spent), limit.show(most)
                told = f"{shown} of {of} are spent by {self.owner}"
                yield LimitNear(limit.name, spent, most, told)
        most, spent = self.limits.timeout, self.limits.timeout - self.seconds_left
        if most < math.inf and self._is_near(TIMEOUT, spent, most):
            told = f"{spent:.0f} of {_amount(most, 'seconds')}{self._whose} are over"
            yield LimitNear(TIMEOUT, spent, most, told)

    def out_of_time(self) -> BudgetExceeded:
        """The error that says so."""
        return BudgetExceeded(
            f"the limit of {_amount(self.limits.timeout, 'seconds')}{self._whose} is reached",
            enough={TIMEOUT: float(math.ceil(2 * self.limits.timeout))},
        )

    def _is_near(self, name: str, spent: float, most: float) -> bool:
        """Whether most is spent, for the first time."""
        if name in self._warned or not WARN_AT * most <= spent < math.inf:
            return False
        self._warned.add(name)
        return True

    @property
    def _whose(self) -> str:
        return "" if self.owner == "this run" else f" for {self.owner}"

    def _exceeded(self, limit: Limit, most: float, worst: float) -> BudgetExceeded:
        spent, of, whose = limit.amount(self.spent), limit.show(most), self._whose
        if not (math.isfinite(spent) and math.isfinite(worst)):
            what = "the price of the next call" if math.isfinite(spent) else "what was spent"
            return BudgetExceeded(
                f"{what} is unknown, so the limit of {of}{whose} cannot hold",
                "Add [prices] for its model to your config.toml.",
            )
        told = f"the limit of {of}{whose} is reached"
        if spent < most:
            told = (
                f"the next call could exceed the limit of {of}{whose}: {limit.show(spent)} are "
                f"spent, and it may take {limit.show(worst)}"
            )
        return BudgetExceeded(told, enough={limit.name: _enough(limit, most, spent + 2 * worst)})


def _enough(limit: Limit, most: float, wanted: float) -> float:
    """A limit that lets a run go on which one of `most` stopped: twice that one, or what is wanted
    if that is more, in two digits."""
    wanted = max(2 * most, wanted, 0.01)
    if limit.unit != "$" and wanted < 100:
        return math.ceil(wanted)
    two_digits = Context(prec=2, rounding=ROUND_CEILING)
    enough = two_digits.create_decimal(f"{wanted:.9g}")
    return float(enough) if limit.unit == "$" else int(enough)


def shared_account(flags: Mapping[str, Any], owner: str, clock: Callable[[], float]) -> Account:
    """One count for all runs of an invocation, with the limits that were given to it as flags."""
    names = (*(limit.name for limit in LIMITS), TIMEOUT)
    given = {name: flags[name] for name in names if name in flags}
    return Account(replace(UNLIMITED, **given), clock, owner)


class Budget:
    """One count for a whole run: repairs and failed attempts included."""

    def __init__(
        self,
        limits: Limits,
        cost_of: CostOf,
        clock: Callable[[], float],
        shared: Account | None = None,
    ) -> None:
        """`clock` returns seconds that never go back. `shared` is charged as well, and its limits
        hold as well."""
        self._own = Account(limits, clock)
        self._accounts = (self._own, *((shared,) if shared else ()))
        self._cost_of = cost_of

    @property
    def spent(self) -> Spending:
        """By this run so far."""
        return self._own.spent

    @property
    def seconds_left(self) -> float:
        """Until the first wall clock's limit."""
        return min(account.seconds_left for account in self._accounts)

    def restore(self, usage: Usage, cost: float | None, turns: int, seconds: float) -> None:
        """Take over what an earlier part of this run spent. A shared account is not told: it
        counts one invocation."""
        self._own.restore(Spending(turns, usage, cost), seconds)

    def admit(self, call: Call) -> Admission:
        """Allow the next call, at most as long as fits; call `charge` or `release` after it.

        Raises `BudgetExceeded` naming the limit that it could exceed.
        """
        if self.seconds_left <= 0:
            raise self.out_of_time()
        empty, full = (self._worst(call, output) for output in (0, call.output))
        found = [a.admit(self, empty, full, call.output) for a in self._accounts]
        output = min(each.output for each in found)
        counted = [each.attempts for each in found if each.attempts is not None]
        for account in self._accounts:
            account.reserve(self, self._worst(call, output))
        return Admission(output, min(counted, default=None))

    def charge(self, model: str, usage: Usage, *, turns: int = 1) -> float | None:
        """Count what a call used; return its cost in US dollars, None if the price is unknown."""
        cost = self._cost_of(model, usage)
        for account in self._accounts:
            account.charge(Spending(turns, usage, cost))
        self.release()
        return cost

    def release(self) -> None:
        """No call is in flight."""
        for account in self._accounts:
            account.release(self)

    def warnings(self) -> Iterator[LimitNear]:
        """Limits of which most is spent, each told once."""
        for account in self._accounts:
            yield from account.warnings()

    def out_of_time(self) -> BudgetExceeded:
        """The error that says whose time is over."""
        return min(self._accounts, key=lambda account: account.seconds_left).out_of_time()

    def _worst(self, call: Call, output: int) -> Spending:
        """The call with so much output, at the dearest of the ways in which its prompt is billed."""
        written = Usage(0, output, 0, call.prompt - call.fixed, call.fixed)
        plain = Usage(call.prompt, output)
        costs = [self._cost_of(call.model, usage) for usage in (written, plain)]
        known = [cost for cost in costs if cost is not None]
        return Spending(1, plain, max(known) if len(known) == len(costs) else None)
