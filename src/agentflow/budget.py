"""What a run has spent, against what it may spend."""

from collections.abc import Callable

from agentflow.errors import BudgetExceeded
from agentflow.messages import Reply, Usage
from agentflow.records import Limits


class Budget:
    """One count for a whole run: repairs and failed attempts included."""

    def __init__(
        self,
        limits: Limits,
        cost_of: Callable[[Usage], float | None],
        clock: Callable[[], float],
    ) -> None:
        """`clock` returns seconds that never go back."""
        self.limits = limits
        self.turns = 0
        self.usage = Usage()
        self.cost: float | None = 0.0
        """US dollars so far; None as soon as one reply's price is unknown."""
        self._cost_of = cost_of
        self._clock = clock
        self._started = clock()

    @property
    def seconds_left(self) -> float:
        """Until the wall clock's limit."""
        return self.limits.timeout - (self._clock() - self._started)

    def restore(self, usage: Usage, cost: float | None, turns: int, seconds: float) -> None:
        """Count what an earlier process used for the same run."""
        self.usage, self.cost, self.turns = usage, cost, turns
        self._started = self._clock() - seconds

    def charge(self, reply: Reply) -> float | None:
        """Count a reply; return its cost in US dollars, None if the price is unknown."""
        usage = reply.usage + reply.discarded
        costs = [self._cost_of(reply.usage), self._cost_of(reply.discarded)]
        cost = None if None in costs else sum(c for c in costs if c is not None)
        self.turns += 1
        self.usage += usage
        self.cost = None if cost is None or self.cost is None else self.cost + cost
        return cost

    def check(self) -> None:
        """Raise `BudgetExceeded` naming the limit if nothing is left for another turn."""
        limits = self.limits
        if self.turns >= limits.max_turns:
            raise BudgetExceeded(
                f"the limit of {limits.max_turns} turns is reached", "Raise it with --max-turns."
            )
        if limits.max_cost is not None and (self.cost is None or self.cost >= limits.max_cost):
            raise BudgetExceeded(
                f"the limit of ${limits.max_cost:g} is reached", "Raise it with --max-cost."
            )
        if limits.max_tokens is not None and self.usage.total_tokens >= limits.max_tokens:
            raise BudgetExceeded(
                f"the limit of {limits.max_tokens} tokens is reached",
                "Raise max_tokens in your configuration.",
            )
        if self.seconds_left <= 0:
            raise self.out_of_time()

    def out_of_time(self) -> BudgetExceeded:
        """The error that says so."""
        return BudgetExceeded(
            f"the limit of {self.limits.timeout:.0f} seconds is reached", "Raise it with --timeout."
        )
