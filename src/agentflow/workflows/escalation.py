"""Escalation: a batch that could not be verified is marked so, and nothing of it lands."""

from datetime import datetime

from agentflow.errors import UsageError
from agentflow.markers import write_atomically
from agentflow.neutral import one_line
from agentflow.plan import Plan
from agentflow.records import Json
from agentflow.tasks.document import Batch
from agentflow.tasks.tasks_edit import Change, apply
from agentflow.tasks.tasks_md import parse_tasks_md
from agentflow.workflows.ledger import Kept, with_failure
from agentflow.workspace.bookkeeping import bookkeeping_commit
from agentflow.workspace.current import swap
from agentflow.workspace.land import branch_tip
from agentflow.workspace.recreate import Authorship, trailers_for
from agentflow.workspace.repository import Repository


def escalate(plan: Plan, repository: Repository, kept: Kept, batch: Batch, report: Json) -> None:
    """Mark the batch FAILED, with one dated line that says why: in a commit of agentflow's own on
    the branch, or in the user's file if git does not have the document.

    Raises `Conflict` if the branch moved meanwhile, `EnvironmentFailure` if it cannot be signed.
    """
    date = str(report["started_at"])[:10]
    why = one_line(report["reason"], 200)
    text = _marked(kept, batch, f"{date}: FAILED, run {report['run']}: {why}")
    if not kept.tracked:
        write_atomically(repository.root / kept.path, text)
        return
    task = kept.document.task_id
    made = bookkeeping_commit(
        repository.git,
        plan.base,
        {kept.path: text.encode()},
        f"docs({task}): batch {batch.id} failed",
        _authorship(plan, report),
    )
    if made:
        old = branch_tip(repository, plan.branch) or "0" * len(made.sha)
        swap(repository, f"refs/heads/{plan.branch}", made.sha, old, report["run"])


def _marked(kept: Kept, batch: Batch, line: str) -> str:
    document = kept.document
    try:
        text = apply(document, Change(batch.id, "FAILED"))
    except UsageError:  # it has no place for a status: the line says it
        text = document.text
    return with_failure(parse_tasks_md(text, folder=document.task_id), batch.id, line)


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
