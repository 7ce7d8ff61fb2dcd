"""Escalation: a batch that could not be verified is marked so, and nothing of it lands."""

from datetime import datetime
from pathlib import Path

from agentflow.errors import Conflict, UsageError
from agentflow.kept_documents import Kept
from agentflow.neutral import one_line
from agentflow.plan import Plan
from agentflow.records import Json
from agentflow.task_documents import rewrite
from agentflow.tasks.document import Batch, Document
from agentflow.tasks.tasks_edit import Change, apply
from agentflow.tasks.tasks_md import parse_tasks_md
from agentflow.words import word
from agentflow.workflows.ledger import with_failure
from agentflow.workspace.bookkeeping import bookkeeping_commit
from agentflow.workspace.current import swap
from agentflow.workspace.land import branch_tip
from agentflow.workspace.recreate import Authorship, trailers_for
from agentflow.workspace.repository import Repository


def escalation(kept: Kept, batch: Batch, report: Json, commit: str | None, again: str) -> Json:
    """What a person needs to decide about a batch that failed: what was measured, what the agent made
    of it, where both lie, and what can be done next. `commit` marks the batch FAILED."""
    run, last = report["run"], report["verification"]
    return {
        "batch": {"id": batch.id, "name": batch.name, "tasks": [task.id for task in batch.tasks]},
        "document": kept.path,
        "line": batch.line,
        "marked": commit,
        "run": run,
        "reason": report["reason"],
        "repairs": last["repairs"],
        "evidence": [
            {name: gate[name] for name in ("gate", "summary", "detail", "notices")}
            for gate in last["gates"]
            if gate["status"] == "failed"
        ],
        "passed": [gate["gate"] for gate in last["gates"] if gate["status"] == "passed"],
        "changes": report["changes"],
        "answer": report["result"],
        "work_tree": report["work_tree"],
        "next": [
            {"why": "see what the agent did", "command": f"agentflow runs show {word(run)}"},
            {"why": "see what it changed", "command": f"agentflow runs diff {word(run)}"},
            {"why": "go back to an earlier turn of it",
             "command": f"agentflow runs rewind {word(run)} --to TURN"},
            {"why": "try the batch again, once task or plan are mended", "command": f"{again} --retry"},
        ],
    }  # fmt: skip


def escalate(
    plan: Plan, repository: Repository, kept: Kept, batch: Batch, report: Json, locks: Path
) -> str | None:
    """Mark the batch FAILED, with one dated line that says why: in a commit of agentflow's own on
    the branch, which is returned, or in the user's file if git does not have the document.

    Raises `Conflict` if the branch moved or somebody changed the batch's status meanwhile,
    `EnvironmentFailure` if the commit cannot be signed.
    """
    date, why = str(report["started_at"])[:10], one_line(report["reason"], 200)
    line = f"{date}: FAILED, run {report['run']}: {why}"
    change = Change(batch.id, "FAILED")
    if not kept.tracked:
        file = repository.root / kept.path
        rewrite(file, kept.document, [change], locks, lambda now: _marked(now, change, line))
        return None
    text = _marked(kept.document, change, line)
    task = kept.document.task_id
    made = bookkeeping_commit(
        repository.git,
        plan.base,
        {kept.path: text.encode()},
        f"docs({task}): batch {batch.id} failed",
        _authorship(plan, report),
    )
    if made:
        old = branch_tip(repository, plan.branch)
        if old and not repository.git.succeeds("merge-base", "--is-ancestor", old, plan.base):
            raise Conflict(
                f"the branch {plan.branch} moved while batch {batch.id} was worked on, so it is not "
                "marked FAILED there",
                hint=f"Go on from what it holds now: agentflow phase-6 {word(task)}",
            )
        old = old or "0" * len(made.sha)
        swap(repository, f"refs/heads/{plan.branch}", made.sha, old, report["run"])
    return made.sha if made else None


def _marked(document: Document, change: Change, line: str) -> str:
    try:
        text = apply(document, change)
    except UsageError:  # it has no place for a status: the line says it
        text = document.text
    return with_failure(parse_tasks_md(text, folder=document.task_id), change.batch, line)


def _authorship(plan: Plan, report: Json) -> Authorship:
    (name, email), commit = plan.identity, plan.settings.commit
    return Authorship(
        name=name,
        email=email,
        seconds=int(datetime.fromisoformat(report["started_at"]).timestamp()),
        trailers=trailers_for(
            plan.task.id, report["run"], plan.model, "", plan.identity if commit.sign_off else None
        ),
        rest_message="",
        signing=plan.signing,
    )
