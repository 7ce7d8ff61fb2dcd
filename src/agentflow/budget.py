"""What runs have spent, against what they may spend; asked before each call of the model.

An account counts. A budget is one run's own account and its clock, and perhaps an account that it
shares with the other runs of one invocation.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

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
    hint: str
    amount: Callable[[Spending], float]

    def of(self, limits: Limits) -> float | None:
        """The limit that is set, if one is."""
        return getattr(limits, self.name)

    def show(self, amount: float) -> str:
        """An amount in words."""
        if self.unit != "$":
            return f"{amount:.0f} {self.unit}"
        return f"${amount:.2f}" if amount >= 0.1 or not amount else f"${amount:.4f}"


_CONFIGURED = "Raise {} in your configuration."
LIMITS = (
    Limit("max_turns", "turns", "Raise it with --max-turns.", lambda s: s.turns),
    Limit(
        "max_cost",
        "$",
        "Raise it with --max-cost.",
        lambda s: math.inf if s.cost is None else s.cost,
    ),
    Limit(
        "max_tokens",
        "tokens",
        _CONFIGURED.format("max_tokens"),
        lambda s: s.usage.total_tokens,
    ),
    Limit(
        "max_input_tokens",
        "input tokens",
        _CONFIGURED.format("max_input_tokens"),
        lambda s: s.usage.prompt_tokens,
    ),
    Limit(
        "max_output_tokens",
        "output tokens",
        _CONFIGURED.format("max_output_tokens"),
        lambda s: s.usage.output_tokens,
    ),
)
"""All but the wall clock."""


@dataclass(slots=True)
class Account:
    """A count of what one run or several spend."""

    limits: Limits
    owner: str = "this run"
    """Whose limits these are, in words: `all runs together`, …"""
    spent: Spending = field(default_factory=Spending)
    _in_flight: dict[object, Spending] = field(default_factory=dict[object, Spending])
    _warned: set[str] = field(default_factory=set[str])

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
            if most is None or limit.name in self._warned or not WARN_AT * most <= spent < math.inf:
                continue
            self._warned.add(limit.name)
            shown, of = limit.show(spent), limit.show(most)
            yield LimitNear(limit.name, spent, most, f"{shown} of {of} are spent by {self.owner}")

    def _exceeded(self, limit: Limit, most: float, worst: float) -> BudgetExceeded:
        spent, of = limit.amount(self.spent), limit.show(most)
        whose = "" if self.owner == "this run" else f" for {self.owner}"
        if spent >= most:
            return BudgetExceeded(f"the limit of {of}{whose} is reached", limit.hint)
        if not math.isfinite(worst):
            return BudgetExceeded(
                f"the price of the next call is unknown, so the limit of {of}{whose} cannot hold",
                "Add [prices] for its model to your config.toml.",
            )
        return BudgetExceeded(
            f"the next call could exceed the limit of {of}{whose}: {limit.show(spent)} are "
            f"spent, and it may take {limit.show(worst)}",
            limit.hint,
        )


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
        self.limits = limits
        self._own = Account(limits)
        self._accounts = (self._own, *((shared,) if shared else ()))
        self._cost_of = cost_of
        self._clock = clock
        self._started = clock()
        self._warned_of_time = False

    @property
    def spent(self) -> Spending:
        """By this run so far."""
        return self._own.spent

    @property
    def seconds_left(self) -> float:
        """Until the wall clock's limit."""
        return self.limits.timeout - (self._clock() - self._started)

    def restore(self, usage: Usage, cost: float | None, turns: int, seconds: float) -> None:
        """Take over what an earlier part of this run spent. A shared account is not told: it
        counts one invocation."""
        self._own.spent = Spending(turns, usage, cost)
        self._started = self._clock() - seconds

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
        most, spent = self.limits.timeout, self.limits.timeout - self.seconds_left
        if spent >= WARN_AT * most and not self._warned_of_time:
            self._warned_of_time = True
            yield LimitNear("timeout", spent, most, f"{spent:.0f} of {most:.0f} seconds are over")

    def out_of_time(self) -> BudgetExceeded:
        """The error that says so."""
        return BudgetExceeded(
            f"the limit of {self.limits.timeout:.0f} seconds is reached", "Raise it with --timeout."
        )

    def _worst(self, call: Call, output: int) -> Spending:
        """The call with so much output, at the dearest of the ways in which its prompt is billed."""
        written = Usage(0, output, 0, call.prompt - call.fixed, call.fixed)
        plain = Usage(call.prompt, output)
        costs = [self._cost_of(call.model, usage) for usage in (written, plain)]
        known = [cost for cost in costs if cost is not None]
        return Spending(1, plain, max(known) if len(known) == len(costs) else None)
