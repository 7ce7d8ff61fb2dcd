"""The end of a run: its report and, last of all, its marker."""

import asyncio
import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from agentflow.commands import again
from agentflow.disk import FREE, write_atomically
from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.events import Notice, RunFinished
from agentflow.followups import needs_elsewhere, write_followups
from agentflow.markers import Kind, marker_path, own_folder, write_marker
from agentflow.records import Json
from agentflow.redacted import redacted_event
from agentflow.report import known_runs
from agentflow.run_reports import KEPT, REPORT
from agentflow.spending import total
from agentflow.stage import Stage
from agentflow.threads import to_the_end
from agentflow.what_next import with_next_step
from agentflow.words import word

MARKED: dict[str, Kind] = {"done": "done", "failed": "failed", "blocked": "blocked"}
"""Outcomes that leave a marker. The others may be continued or tried again."""


async def close(stage: Stage, finished: RunFinished) -> Json:
    """Write the report and, last of all, the marker; return the report, whose hint is what the run
    says itself: what goes on is another command where it is one of several.

    Whoever is told to stop meanwhile stops after that. Raises `Fenced` if another process has the
    run, `EnvironmentFailure` if the disk does not take the end.
    """
    try:
        return await _close(stage, replace(finished, hint=_next_step(finished.hint, stage)))
    except EnvironmentFailure as error:
        error.hint = _next_step(error.hint, stage)
        raise


def _next_step(hint: str, stage: Stage) -> str:
    """The hint; where the disk is why, it also says how the run goes on after that."""
    if hint != FREE:
        return hint
    go_on = f"go on: agentflow resume {word(stage.run)}"
    anew = f"begin again: {again(stage.plan.order.as_json)}"
    return f"{FREE} Then {go_on if stage.summary.turns else anew}"


async def _close(stage: Stage, finished: RunFinished) -> Json:
    if finished != stage.history.finished:
        stage.emit(finished)
    if stage.bench.is_ready:
        with suppress(EnvironmentFailure):  # what was pushed before is enough to go on from
            await to_the_end(stage.claim)
    report = await to_the_end(_record, stage, finished)
    if stage.hooks.has("run.finished") or stage.hooks.has("run.blocked"):
        from agentflow.hooked import tell_end

        def tell(text: str) -> None:
            """Tell sinks alone: journal and report are closed."""
            for sink in stage.sinks:
                sink(redacted_event(Notice(text), stage.redact))

        with suppress(asyncio.CancelledError):
            await tell_end(stage.hooks, with_next_step(report), str(_report(stage)), tell)
    if finished.outcome == "done" or not stage.summary.turns:
        with suppress(asyncio.CancelledError):
            await stage.bench.remove(whole=not stage.summary.turns)
    return report


def _asked_elsewhere(stage: Stage, report: Json) -> Json:
    """What the agent said must change elsewhere, however its run ended, and the tasks that propose
    it. On another machine than the user's nothing is written."""
    plan = stage.plan
    needs = needs_elsewhere(report, plan.settings.boundaries)
    ids: list[str] = []
    if stage.relay is None:
        with suppress(UsageError, EnvironmentFailure, OSError):  # the words are in the report
            is_done = report["outcome"] == "done"
            root = plan.repository.root
            ids = write_followups(root, plan.task, stage.run, needs, is_done=is_done)
    return {"needed_elsewhere": [need.text for need in needs], "follow_ups": ids}


def _report(stage: Stage) -> Path:
    return stage.journal.path.parent / REPORT


def _record(stage: Stage, finished: RunFinished) -> Json:
    root, task = stage.plan.repository.root, stage.plan.task.id
    kind = MARKED.get(finished.outcome)
    marker = str(marker_path(root, task, kind).relative_to(root)) if kind else None
    worked = finished.outcome != "done" and stage.summary.turns
    kept = stage.bench.tree if worked and stage.bench.tree.exists() else None
    report: Json = {
        **stage.summary.as_json(),
        "marker": marker,
        "work_tree": str(kept) if kept else None,
    }
    report |= _asked_elsewhere(stage, report)
    others = known_runs(root, task, but=stage.run)
    report["task_total"] = total([*others, report]).as_json()
    text = json.dumps(with_next_step(report), indent=2, ensure_ascii=False) + "\n"
    write_atomically(_report(stage), text, alone=True)
    with suppress(EnvironmentFailure):  # a copy under a fixed name; the run has its own
        write_atomically(own_folder(root, KEPT) / f"{task}.json", text, alone=True)
    stage.journal.close()
    if kind:
        write_marker(root, task, kind)
    return report
