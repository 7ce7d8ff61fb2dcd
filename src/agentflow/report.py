"""The report of a run: its events, summed up as one JSON object.

A superset of the `result` object that the field's tools print last (`type`, `subtype`,
`is_error`, `num_turns`, `duration_ms`, `total_cost_usd`, `usage`, `session_id`, `result`,
`structured_output`).
"""

import dataclasses
import platform
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from agentflow.commands import again, enough_in
from agentflow.errors import AgentflowError
from agentflow.events import (
    AgentEnded,
    AssistantMessage,
    Collected,
    Combined,
    ConnectionClosed,
    ContextSummarized,
    Event,
    FallbackStarted,
    GateFinished,
    LandingDone,
    Notice,
    PackagesChanged,
    PromisesCompared,
    Recorded,
    RepairStarted,
    ReplyFailed,
    ReplyMeasured,
    RunFinished,
    RunResumed,
    RunStarted,
    Signed,
)
from agentflow.history import Line, decode, read_history
from agentflow.journal import load
from agentflow.records import Json
from agentflow.results import LEFT_TO_CI
from agentflow.runs import FOLDER, JOURNAL, MAX_JOURNAL, is_running, last_line, list_runs
from agentflow.spending import Spending, usage_json

SUBTYPES = {
    "done": "success",
    "budget": "error_max_budget_usd",
}
"""The field's name for an outcome; every other one is `error_during_execution`."""

_SO_FAR = (
    "title",
    "model",
    "replay",
    "models",
    "num_turns",
    "duration_ms",
    "total_cost_usd",
    "usage",
)


class Summary:
    """A sink that sums up the events of one run."""

    def __init__(self, now: Callable[[], datetime], earlier: float = 0.0) -> None:
        """`earlier`: seconds that other processes were at work on the run."""
        self._now = now
        self._earlier = earlier
        self._started = now()
        self._last: dict[str, Json] = {}
        self._models: dict[str, Spending] = {}
        self._evidence: list[Json] = []
        self._notices: list[str] = []
        self._network: list[Json] = []
        self._packages: Json = {}
        self._answer: Json | None = None

    def __call__(self, event: Event, /) -> None:
        """Take one event into account."""
        match event:
            case AssistantMessage() | ContextSummarized() | ReplyFailed():
                self._spend(event)
            case GateFinished():
                evidence = dataclasses.asdict(event.evidence)
                self._answer = evidence.pop("answer") or self._answer
                lists = {name: list(evidence[name]) for name in ("notices", "criteria", "faults")}
                self._evidence.append({**evidence, **lists})
            case Notice() | ConnectionClosed():
                self._note(event)
            case Signed():
                self._last[Collected.type] |= dataclasses.asdict(event)
            case PackagesChanged():
                self._packages = event.difference
            case (
                RunStarted()
                | RunResumed()
                | AgentEnded()
                | RepairStarted()
                | FallbackStarted()
                | Recorded()
                | PromisesCompared()
                | ReplyMeasured()
                | LandingDone()
                | RunFinished()
            ):
                self._last[event.type] = dataclasses.asdict(event)
            case Collected() | Combined():
                self._begin(event)
            case _:
                pass

    @property
    def turns(self) -> int:
        """How often the model answered."""
        return self._spent.turns

    def as_json(self) -> Json:
        """Return the report."""
        started, finished = self._of(RunStarted), self._of(RunFinished)
        collected, landed = self._of(Collected), self._of(LandingDone)
        recorded, spent = self._of(Recorded), self._spent
        resumed, enough = self._of(RunResumed), enough_in(finished)
        outcome = finished.get("outcome", "unfinished")
        seconds = (self._now() - self._started).total_seconds() + self._earlier
        return {
            "type": "result",
            "subtype": self._subtype(outcome, finished.get("reason", "")),
            "is_error": outcome != "done",
            "num_turns": spent.turns,
            "duration_ms": round(seconds * 1000),
            "total_cost_usd": None if spent.cost is None else round(spent.cost, 6),
            "usage": usage_json(spent.usage),
            "models": {name: each.as_json() for name, each in self._models.items()},
            "session_id": started.get("run"),
            "result": self._of(AgentEnded).get("text", ""),
            "structured_output": self._answer,
            "outcome": outcome,
            "exit_code": finished.get("exit_code"),
            "reason": finished.get("reason", ""),
            "hint": finished.get("hint", ""),
            "enough": enough,
            "again": again(
                {**started.get("order", {}), **resumed.get("asked", {})},
                {**enough, "retry": outcome == "failed"},
                f"the command that began {started.get('run')}",
            ),
            **{
                name: started.get(name)
                for name in ("task", "task_sha256", "title", "run", "base", "branch")
            },
            "landed": landed or None,
            "combined": self._of(Combined) or None,
            "commits": [
                {"sha": name, "subject": subject} for name, subject in collected.get("commits", ())
            ],
            "bookkeeping": {**recorded, "paths": list(recorded["paths"])} if recorded else None,
            "claimed_commits": collected.get("claimed", {}),
            "changes": {
                name: collected.get(name, 0)
                for name in ("files_changed", "insertions", "deletions")
            }
            | {"files": list(collected.get("stat", ()))},
            "dependencies": {
                name: self._packages.get(name, []) for name in ("added", "removed", "changed")
            },
            "promises": {
                name: self._of(PromisesCompared).get("promises", {}).get(name, [])
                for name in ("known", "claimed", "unknown", "unmentioned")
            },
            "reply": self._of(ReplyMeasured).get("reply"),
            "verification": {
                "passed": outcome == "done",
                "repairs": self._of(RepairStarted).get("attempt", 0),
                "gates": self._evidence,
                "left_to_ci": [e["gate"] for e in self._evidence if e["summary"] == LEFT_TO_CI],
            },
            "model": started.get("model"),
            "replay": started.get("replay", False),
            "fallback": self._of(FallbackStarted) or None,
            "prompt": {"name": started.get("prompt"), "sha256": started.get("prompt_sha256")},
            "effort": started.get("effort"),
            "skills": list(started.get("skills", ())),
            "sandbox": started.get("sandbox"),
            "limits": resumed.get("limits") or started.get("limits", {}),
            "boundaries": [
                {"glob": glob, "enforced_by": label}
                for glob, label in started.get("boundaries", ())
            ],
            "network": self._network,
            "notices": self._notices,
            "started_at": self._started.isoformat(timespec="milliseconds"),
            "versions": {
                "agentflow": started.get("version"),
                "python": platform.python_version(),
                "platform": sys.platform,
            },
        }

    def _begin(self, event: Collected | Combined) -> None:
        """Something else is judged now."""
        self._last[event.type] = dataclasses.asdict(event)
        self._evidence.clear()
        if isinstance(event, Collected):
            self._packages = {}
            self._answer = None

    @property
    def _spent(self) -> Spending:
        return sum(self._models.values(), Spending())

    def _note(self, event: Notice | ConnectionClosed) -> None:
        if isinstance(event, Notice):
            self._notices.append(event.text)
        else:
            self._network.append(dataclasses.asdict(event))

    def _spend(self, event: AssistantMessage | ContextSummarized | ReplyFailed) -> None:
        amount = Spending(0, event.usage, event.cost)
        if not isinstance(event, ReplyFailed):
            amount = Spending(1, event.usage + event.discarded, event.cost)
        name = event.model or self._of(RunStarted).get("model", "")
        self._models[name] = self._models.get(name, Spending()) + amount

    def _of(self, kind: type[Event]) -> Json:
        """The last event of a kind, as fields; empty if there was none."""
        return self._last.get(kind.type, {})

    @staticmethod
    def _subtype(outcome: str, reason: str) -> str:
        if outcome == "budget" and "turns" in reason:
            return "error_max_turns"
        return SUBTYPES.get(outcome, "error_during_execution")


def known_runs(root: Path, task: str | None = None, *, but: str | None = None) -> list[Json]:
    """What is known of the runs in a work tree but one, oldest first; of one that has no report,
    because it runs now or was killed, what its journal says that was spent."""
    return [
        {**report, **_so_far(root / FOLDER / report["run"])}
        if report["outcome"] == "unfinished"
        else report
        for report in list_runs(root, task)
        if report["run"] != but
    ]


def runs_here(root: Path, locks: Path, now: datetime, task: str | None = None) -> list[Json]:
    """The same; of a task that is at work (its lock in `locks` is held) the run whose journal was
    written last is `running`, with its time until now."""
    found = known_runs(root, task)
    for name in {report["task"] for report in found}:
        if is_running(locks, name):
            latest = max(
                (report for report in found if report["task"] == name),
                key=lambda report: last_line(root / FOLDER / report["run"]),
            )
            since = now.timestamp() - last_line(root / FOLDER / latest["run"])
            latest["outcome"] = "running"
            latest["duration_ms"] = (latest.get("duration_ms") or 0) + round(max(since, 0) * 1000)
    return found


MADE_UP = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What comes of events that no run of ours has written: a repository may bring a journal."""


def _so_far(folder: Path) -> Json:
    """What a journal says that was spent, and on what; empty if nobody can tell."""
    path = folder / JOURNAL
    try:
        if path.stat().st_size > MAX_JOURNAL:
            return {}
        return _spent_by(decode(load(path)))
    except (AgentflowError, OSError, *MADE_UP):
        return {}


def _spent_by(lines: list[Line]) -> Json:
    history = read_history(lines, len(lines))
    if history.started is None:
        return {}
    at = lines[0].at
    summary = Summary(lambda: at, history.spent.seconds)
    for line in history.paid:
        summary(line.event)
    whole = summary.as_json()
    return {name: whole[name] for name in _SO_FAR}
