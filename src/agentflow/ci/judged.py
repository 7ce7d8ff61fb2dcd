"""What all forms show: how each task ended, whatever command reported it."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from agentflow.frozen import record
from agentflow.records import Json
from agentflow.results import Evidence
from agentflow.run_reports import read_report
from agentflow.runs import FOLDER, started_at
from agentflow.shown_reports import evidence_of, shown


@record
class Judged:
    """One task and how it ended."""

    name: str
    """The task's id, or the revision that was judged."""
    outcome: str
    """`done` if and only if all is well."""
    exit_code: int
    evidence: tuple[Evidence, ...] = ()
    title: str = ""
    run: str = ""
    reason: str = ""
    hint: str = ""
    seconds: float = 0.0
    began: datetime | None = None
    report: Json | None = None
    """All of the run's report that is shown, as `runs.shown` gives it."""

    @property
    def passed(self) -> bool:
        """Whether it is done."""
        return self.outcome == "done"

    @property
    def skipped(self) -> bool:
        """Whether it was not begun: there is nothing wrong with it, and nothing right."""
        return self.outcome == "skipped"


def judged_of(report: Json, root: Path) -> tuple[Judged, ...]:
    """Every task that a command's final report speaks of; `root` is the work tree with its runs.

    Takes the report of a run, of several (`runs`, `batches`, `tasks`), or of `agentflow verify`. What ended
    otherwise than its parts say is one more entry.
    """
    if report.get("type") == "verification":
        return (_verified(report),)
    parts = tuple(_parts(report, root))
    if not parts:
        return (_run(report),)
    told = _run(report)
    is_told = told.passed or any(not (part.passed or part.skipped) for part in parts)
    return parts if is_told else (*parts, told)


def _parts(report: Json, root: Path) -> Iterator[Judged]:
    for each in _objects(report.get("runs")):
        yield from judged_of(each, root)
    for each in _objects(report.get("tasks")):
        if _objects(each.get("batches")):
            yield from judged_of(each, root)
        else:
            yield _part(each, root)
    for each in _objects(report.get("batches")):
        yield _part(each, root)


def _part(each: Json, root: Path) -> Judged:
    run = str(each.get("run") or "")
    found = read_report(root / FOLDER / run) if run and "/" not in run else each
    return _run({**found, "outcome": each.get("outcome")})


def _objects(value: object) -> list[Json]:
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("Json", each) for each in items if isinstance(each, dict)]


def _run(report: Json) -> Judged:
    fields = shown(report)
    code = report.get("exit_code")
    return Judged(
        name=fields["task"] or "-",
        outcome=fields["outcome"] or "unfinished",
        exit_code=code if isinstance(code, int) else 0 if fields["outcome"] == "done" else 1,
        evidence=evidence_of(fields),
        title=fields["title"],
        run=fields["run"],
        reason=fields["reason"],
        hint=fields["hint"],
        seconds=(fields["duration_ms"] or 0) / 1000,
        began=started_at(fields["run"]),
        report=fields,
    )


def _verified(report: Json) -> Judged:
    gates = [_listed(gate) for gate in _objects(report["gates"])]
    evidence = evidence_of(shown({"verification": {"gates": gates}}))
    return Judged(
        name=str(report["task"] or report["what"]),
        outcome="done" if report["passed"] else "failed",
        exit_code=int(report["exit_code"]),
        evidence=evidence,
        title=f"{report['base'][:12]}..{report['tip'][:12]}",
        reason=str(report["reason"]),
        seconds=sum(each.seconds for each in evidence),
    )


def _listed(gate: Json) -> Json:
    """Evidence as a file of JSON would hold it."""
    listed: Json = json.loads(json.dumps(gate))
    return listed
