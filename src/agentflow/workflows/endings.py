"""How a series of runs ended, as one report of all of them."""

from collections.abc import Sequence

from agentflow.errors import AgentflowError
from agentflow.frozen import record
from agentflow.records import Json


@record
class Ending:
    """How all runs together ended."""

    outcome: str = "done"
    exit_code: int = 0
    reason: str = ""
    hint: str = ""

    @classmethod
    def of(cls, error: AgentflowError) -> "Ending":
        """As an error ends them."""
        return cls(error.outcome, error.exit_code, error.message, error.hint)

    def report(self, kind: str, task: str, runs: Sequence[Json]) -> Json:
        """The report: the type, the task, this ending, and the sums of the runs' reports."""
        costs = [each.get("total_cost_usd") for each in runs]
        return {
            "type": kind,
            "task": task,
            "outcome": self.outcome,
            "exit_code": self.exit_code,
            "reason": self.reason,
            "hint": self.hint,
            "num_turns": sum(each.get("num_turns", 0) for each in runs),
            "total_cost_usd": None if None in costs else round(sum(filter(None, costs)), 6),
        }
