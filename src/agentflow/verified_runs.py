"""What a run verified: its report and its commit, as far as git confirms them.

The folder of a run lies in the work tree, so a repository can bring one. It cannot bring the ref by
which a run keeps its base.
"""

from pathlib import Path

from agentflow.done_runs import done_run
from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.records import Json
from agentflow.run_reports import REPORT
from agentflow.runs import FOLDER, find_report, is_begun, list_runs
from agentflow.spending import is_replay
from agentflow.words import ended, word
from agentflow.workspace.git import GitError
from agentflow.workspace.land import base_ref
from agentflow.workspace.repository import Repository

VERIFIED = frozenset({"done", "conflict"})
"""Outcomes of runs whose commits passed every gate."""


@record
class VerifiedRun:
    """A run whose commits passed every gate here."""

    run: str
    task: str
    base: str
    tip: str
    branch: str
    """Where it landed, or would land by default."""
    report: Json


def verified_run(repository: Repository, wanted: str) -> VerifiedRun:
    """The run of this name, or of a task that which did it, else its newest that has begun and is no
    replay. Raises `UsageError` if it verified no commit here, and for a replay: what is handed on says
    which model wrote it."""
    root = repository.root
    report = find_report(root, wanted, lambda each: is_replay(each) or not _is_begun(root, each))
    done = done_run(root, wanted) if report["task"] == wanted else None
    report = done if done and not is_replay(done) else report
    run, task, outcome = str(report["run"]), str(report["task"]), report["outcome"]
    if is_replay(report):
        raise UsageError(
            f"the run {run} repeats a recording: no model was asked, and it is not handed on",
            hint="Give the run that was recorded, or push the branch yourself.",
        )
    if outcome not in VERIFIED:
        earlier = [
            str(each["run"]) for each in list_runs(root, task) if each["outcome"] in VERIFIED
        ]
        raise UsageError(
            f"the run {run} {ended(outcome)}, so there is no verified commit",
            hint=f"Look at it: agentflow runs show {word(run)}"
            + (f". Or give the one that did: {earlier[-1]}" if earlier else ""),
        )
    file = f"{FOLDER}/{run}/{REPORT}"
    base = _commit(repository, base_ref(run))
    if base is None or report.get("base") != base or repository.tracks(file):
        raise UsageError(
            f"nothing in this repository confirms what {file} says",
            hint="Only a run that was made here, and was not pruned, can be used.",
        )
    landed: Json = report.get("landed") or {}
    tip = _commit(repository, str(landed.get("tip") or f"refs/agentflow/verified/{run}"))
    if tip is None:
        raise UsageError(f"the commits of the run {run} are gone")
    if tip == base:
        raise UsageError(f"the run {run} changed nothing, so there is no commit")
    if not names_run(repository, tip, run):
        raise UsageError(f"{tip[:12]} is no commit of the run {run}")
    ref = landed.get("ref")
    branch = str(ref).removeprefix("refs/heads/") if ref else f"agentflow/{task}"
    return VerifiedRun(run, task, base, tip, branch, report)


def _is_begun(root: Path, report: Json) -> bool:
    return report["outcome"] != "unfinished" or is_begun(root / FOLDER / str(report["run"]))


def _commit(repository: Repository, name: str) -> str | None:
    try:
        return repository.git.text(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
        )
    except GitError:
        return None


def names_run(repository: Repository, tip: str, run: str) -> bool:
    """Whether a commit's trailers name the run."""
    form = "--format=%(trailers:key=Agentflow-Run,valueonly,unfold)"
    log = repository.git.text("log", "-1", "--no-show-signature", form, tip)
    return run in {line.strip() for line in log.splitlines()}
