"""Admission: may this task be run now, given what earlier runs of it left?"""

from agentflow.errors import UsageError
from agentflow.markers import read_marker
from agentflow.plan import Plan
from agentflow.records import Json
from agentflow.runs import landed_by, list_runs, unfinished_run
from agentflow.workspace.land import branch_tip, check_target


class Unfinished(UsageError):
    """An earlier run of the task was left unfinished, and nobody said what to do about it."""


def finished_before(plan: Plan) -> Json | None:
    """The report of the run that did this task, or None if there is something to do.

    Raises `Unfinished` naming the run that was.
    """
    root, task = plan.repository.root, plan.task.id
    if plan.fresh:
        return None
    if read_marker(root, task) == "done":
        done = [report for report in list_runs(root, task) if report["outcome"] == "done"]
        return {
            **(done[-1] if done else {"task": task, "run": None}),
            "outcome": "done",
            "exit_code": 0,
            "already_done": True,
        }
    left = unfinished_run(root, task)
    if left:
        raise Unfinished(
            f"the run {left} of {task} was left unfinished",
            hint="Give --fresh to start anew. Continuing it is not possible yet.",
        )
    return None


def admit(plan: Plan) -> str | None:
    """Refuse what landing would refuse; return the branch's tip if it may be replaced.

    Only a branch that still stands where a run of ours left it may be. Raises `Conflict`.
    """
    repository = plan.repository
    tip = branch_tip(repository, plan.branch)
    ours = bool(plan.fresh and tip and landed_by(repository.root, plan.task.id, tip))
    replaceable = tip if ours else None
    check_target(repository, plan.settings.land, plan.branch, plan.base, replaceable=replaceable)
    return replaceable
