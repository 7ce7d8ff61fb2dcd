"""Reading a run: its report and journal in the work tree, its commits and checkpoints in git."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agentflow.details.diff import parse_patch
from agentflow.details.records import Details, FileDiff, Point
from agentflow.details.timeline import read_timeline
from agentflow.durations import format_duration
from agentflow.errors import AgentflowError
from agentflow.events import Collected, RunStarted
from agentflow.history import Line, decode
from agentflow.journal import load
from agentflow.records import Json
from agentflow.redaction import Redact
from agentflow.resuming import checkpoints_of, state_of
from agentflow.runs import FOLDER, JOURNAL
from agentflow.shown_reports import evidence_of, shown
from agentflow.workspace.checkpoint import Checkpoint
from agentflow.workspace.git import Git, GitError
from agentflow.workspace.repository import Repository

_NAME = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
"""A commit's name; what a report says may be anything."""


def read_details(repository: Repository, cache: Path, report: Json, redact: Redact) -> Details:
    """All that can be shown of a run. `redact` takes secrets out of what git holds; journal and
    report have none.

    Raises `EnvironmentFailure` for a journal that is damaged.
    """
    run = str(report["run"])
    path = repository.root / FOLDER / run / JOURNAL
    lines = decode(load(path)) if path.exists() else []
    begun = [line.event for line in lines if isinstance(line.event, RunStarted)]
    state, kept = _kept(repository, cache, run)
    started = begun[-1] if begun else None
    files, problem = _changes(repository, state, report, lines, kept, redact)
    named = {**_named(started), **{k: v for k, v in report.items() if v is not None}}
    fields = shown(named)
    limit: Any = (started.limits if started else {}).get("max_cost")
    return Details(
        fields,
        evidence_of(fields),
        read_timeline(lines),
        files,
        problem,
        tuple(Point(each.turn, each.commit) for each in kept),
        started.system if started else "",
        started.first_message if started else "",
        tuple(_environment(named, started)),
        limit if isinstance(limit, int | float) and not isinstance(limit, bool) else None,
    )


def _named(started: RunStarted | None) -> Json:
    """What the journal's first line says of a run that has no report yet."""
    names = ("task", "run", "title", "base", "model", "sandbox", "effort")
    return {name: getattr(started, name) for name in names} if started else {}


def _kept(repository: Repository, cache: Path, run: str) -> tuple[Git | None, list[Checkpoint]]:
    state = None
    try:
        state = state_of(repository, cache, run)
        return state, checkpoints_of(repository, state, run)
    except AgentflowError:
        return state, []


def _changes(
    repository: Repository,
    state: Git | None,
    report: Json,
    lines: list[Line],
    kept: list[Checkpoint],
    redact: Redact,
) -> tuple[tuple[FileDiff, ...], str]:
    """The files that a run changed, or why they cannot be told."""
    base = str(report.get("base") or next(iter(_bases(lines)), ""))
    tips = list(_tips(report, lines))
    wanted = [(tip, git) for tip in tips for git in (state, repository.git) if git is not None]
    if state is not None and kept:
        wanted.append((kept[-1].tree, state))
    for tip, git in wanted:
        if _NAME.fullmatch(base) and _NAME.fullmatch(tip):
            try:
                return parse_patch(redact(_patch(git, base, tip))), ""
            except GitError:
                continue
    return (), "the commits are gone" if tips else ""


def _patch(git: Git, base: str, tip: str) -> str:
    form = ("--patch", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")
    raw = git.run("-c", "core.quotePath=false", "diff-tree", "-r", *form, base, tip)
    return raw.decode("utf-8", "replace")


def _bases(lines: list[Line]) -> Iterator[str]:
    yield from (line.event.base for line in lines if isinstance(line.event, RunStarted))


def _tips(report: Json, lines: list[Line]) -> Iterator[str]:
    landed: Any = report.get("landed")
    if isinstance(landed, dict):
        yield str(landed.get("tip"))  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    collected = [line.event for line in lines if isinstance(line.event, Collected)]
    yield from (event.tip for event in reversed(collected[-1:]))


def _environment(report: Json, started: RunStarted | None) -> Iterator[tuple[str, str]]:
    for name in ("model", "effort", "sandbox", "started_at"):
        if isinstance(report.get(name), str):
            yield name.replace("_", " "), str(report[name])
    if started is None:
        return
    yield "prompt", f"{started.prompt} ({started.prompt_sha256[:12]})"
    yield "tools", ", ".join(started.tools)
    yield "network of the agent", ", ".join(started.network) or "none"
    yield "branch", started.branch
    yield "base", started.base
    yield "agentflow", started.version
    versions: Any = report.get("versions")
    if isinstance(versions, dict):
        yield "python", str(versions.get("python"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    for name, value in started.limits.items():
        if value is not None:
            is_time = name == "timeout" and isinstance(value, int | float)
            yield name.replace("_", " "), format_duration(value) if is_time else f"{value}"
