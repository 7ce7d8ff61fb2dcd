"""How a series of runs ended, as one report of all of them."""

from collections.abc import Mapping
from dataclasses import field

from agentflow.errors import AgentflowError
from agentflow.frozen import record
from agentflow.records import Json
from agentflow.spending import Spending


@record
class Ending:
    """How all runs together ended."""

    outcome: str = "done"
    exit_code: int = 0
    reason: str = ""
    hint: str = ""
    enough: Mapping[str, float] = field(default_factory=dict[str, float])
    """After a limit: those with which all of it could go on, by the names of their settings."""

    @classmethod
    def of(cls, error: AgentflowError) -> "Ending":
        """As an error ends them."""
        return cls(error.outcome, error.exit_code, error.message, error.hint, error.enough)

    def report(self, kind: str, task: str, spent: Spending) -> Json:
        """The report: the type, the task, this ending, and what was spent in this call."""
        return {
            "type": kind,
            "task": task,
            "outcome": self.outcome,
            "exit_code": self.exit_code,
            "reason": self.reason,
            "hint": self.hint,
            "enough": dict(self.enough),
            "num_turns": spent.turns,
            "total_cost_usd": None if spent.cost is None else round(spent.cost, 6),
        }
