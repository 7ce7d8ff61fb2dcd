"""A submitted run, as the database knows it."""

from datetime import datetime
from typing import Literal

from agentflow.errors import EnvironmentFailure
from agentflow.frozen import record
from agentflow.records import Json
from agentflow.strict_json import parse_object

State = Literal["waiting", "running", "ended", "cancelled", "broken"]
STATES: dict[str, State] = {
    "ENQUEUED": "waiting",
    "DELAYED": "waiting",
    "PENDING": "running",
    "SUCCESS": "ended",
    "CANCELLED": "cancelled",
    "ERROR": "broken",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "broken",
}
"""By what DBOS calls them."""
_CODES = {"cancelled": 143, "broken": 5}


@record
class Entry:
    """One submitted run."""

    run: str
    task: str
    state: State
    facts: Json
    """What the submitter and the workers wrote down."""
    worker: str | None
    priority: int
    submitted: datetime

    @property
    def outcome(self) -> str:
        """How it ended, or where it stands."""
        said = str(self.facts.get("outcome") or "")
        if self.state in {"waiting", "running"}:
            return self.state
        return "interrupted" if self.state == "cancelled" else said or "environment"

    @property
    def report(self) -> Json:
        """The run's report, or what there is of one."""
        report = _kept(self.facts.get("report") or self.facts.get("summary"))
        told = self.facts.get("reason") or report.get("reason")
        if self.state == "cancelled":  # its worker only tells that it was stopped
            told = self.facts.get("cancelled") or told
        code = _CODES.get(self.state, self.facts.get("exit_code"))
        if self.state == "ended" and code is None:
            code = EnvironmentFailure.exit_code
        return {
            "type": "result",
            **report,
            "task": self.task,
            "run": self.run,
            "outcome": self.outcome,
            "exit_code": code,
            "title": report.get("title") or self.facts.get("title", ""),
            "reason": str(told or ""),
            "cluster": self.as_json,
        }

    @property
    def as_json(self) -> Json:
        """What the cluster knows of it."""
        known = ("repository", "base", "worker", "starts")
        return {
            "run": self.run,
            "task": self.task,
            "state": self.state,
            **{name: self.facts.get(name) for name in known},
            "outcome": self.outcome,
            "priority": self.priority,
            "submitted": self.submitted.isoformat(timespec="seconds"),
        }


def _kept(text: object) -> Json:
    try:
        return parse_object(str(text or "{}"))
    except ValueError:
        return {}
