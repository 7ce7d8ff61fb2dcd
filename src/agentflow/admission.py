"""Admission: may this task be run now, given what earlier runs of it left?"""

from dataclasses import replace
from pathlib import Path

from agentflow.awaited import done_elsewhere, done_on
from agentflow.commands import again
from agentflow.done_runs import done_run, is_another_try
from agentflow.errors import Conflict, EnvironmentFailure, UsageError
from agentflow.markers import marker_path, read_marker
from agentflow.plan import Plan
from agentflow.records import Json
from agentflow.resuming import Resumption, among_others, checkpoints_of, state_of
from agentflow.run_reports import KEPT
from agentflow.runs import (
    FOLDER,
    is_begun,
    is_here,
    landed_by,
    landed_on,
    list_runs,
    unfinished_run,
)
from agentflow.spending import is_replay
from agentflow.words import word
from agentflow.workspace.land import IN_THE_WAY, branch_tip, check_target, target_tip
from agentflow.workspace.signing import check_signing


class Unfinished(UsageError):
    """An earlier run of the task was left unfinished, and nobody said what to do about it."""

    def __init__(self, run: str, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.run = run


def finished_before(plan: Plan) -> Json | None:
    """The report of the run that did this task, or None if there is something to do.

    Raises `Unfinished` naming the run that was, `UsageError` for a marker that is not ours.
    """
    root, task = plan.repository.root, plan.task.id
    resumed = plan.order.resume
    if plan.order.fresh or (resumed and is_another_try(root, task, resumed)):
        return None
    if read_marker(root, task) == "done":
        _check_ours(plan)
        done = done_run(root, task)
        if done and resumed and _is_gone(plan, done):
            return None
        if done:
            _check_still_true(plan, done)
            _check_there(plan, done)
        return {
            **({**done, **_kept(plan, done)} if done else _by_marker(plan)),
            "outcome": "done",
            "exit_code": 0,
            "already_done": True,
        }
    left = unfinished_run(root, task)
    if left and resumed is None:
        raise Unfinished(
            left,
            f"the run {left} of {task} was left unfinished",
            hint=f"Go on with: agentflow resume {word(task)}\nOr start anew: {_anew(plan)}",
        )
    return None


def _anew(plan: Plan) -> str:
    """The command that runs the plan's task again, whatever was done before."""
    resumed = plan.order.resume
    command = f"the command that began {resumed}" if resumed else "the same command"
    return again(plan.order.as_json, {"fresh": True}, command)


def refuse_other(plan: Plan, cache: Path, done: Json) -> None:
    """Refuse a person's answer to a run of a task that is done, as nobody would hear it, and to go on
    with another run than the one that did it."""
    task, run, other = plan.task.id, plan.order.resume, done["run"]
    hint = f"Look at the result: {_looking(plan, done)}"
    if plan.order.answer is not None:
        raise UsageError(
            f"{task} is done, and the run {run} asks nothing any more",
            hint=f"{hint}\nOr begin anew: {_anew(plan)}",
        )
    if run is None or other in {None, run}:
        return
    begun = is_begun(plan.repository.root / FOLDER / run)
    if not among_others(plan, done):
        state = state_of(plan.repository, cache, run)
        turn = checkpoints_of(plan.repository, state, run)[-1].turn
        hint += f"\nAnother try from where {run} is: agentflow runs fork {word(run)} --at {turn}"
    raise UsageError(
        f"{task} was done by {other}, and the run {run} "
        + ("does not go on" if begun else "has not begun"),
        hint=hint,
    )


def _looking(plan: Plan, done: Json) -> str:
    """Where what did a task is seen, also if its run was pruned."""
    run, landed = done["run"], done.get("landed") or Json()
    if run is None or is_here(plan.repository.root, run):
        return f"agentflow runs show {word(run or plan.task.id)}"
    base, tip = str(done.get("base") or ""), str(landed.get("tip") or "")
    kept = f"its report is kept in {KEPT}/{plan.task.id}.json"
    if not tip:
        return f"its run was pruned; {kept}"
    command = f"git log -p {word(f'{base}..{tip}' if base else tip)}"
    return f"{command} (its run was pruned; {kept})"


def with_question(plan: Plan) -> Plan:
    """The plan of a run that begins, with a notice if the task's newest run waits for an answer: it
    was paid for, and would go on. Whoever gives `--fresh` has said that it does not count."""
    order, root = plan.order, plan.repository.root
    asking = None if order.fresh or plan.replay else _asking_run(root, plan.task.id)
    if asking is None or asking == order.named:
        return plan
    told = (
        f"the run {asking} waits for an answer, and this one begins anew; to go on with that one: "
    )
    command = f"agentflow answer {word(asking)} 'your answer'"
    return replace(plan, notices=(*plan.notices, told + command))


def _asking_run(root: Path, task: str) -> str | None:
    """The newest run of a task, if it waits for an answer."""
    name, outcome = _newest(root, task)
    return name if outcome == "blocked" else None


def _newest(root: Path, task: str) -> tuple[str, str]:
    """The name of a task's newest run, and how it ended; empty without one."""
    runs = [report for report in list_runs(root, task) if not is_replay(report)]
    return (str(runs[-1]["run"]), str(runs[-1]["outcome"])) if runs else ("", "")


def _by_marker(plan: Plan) -> Json:
    """What is said of a task that only its marker calls done: of what another program ran, or whose
    reports somebody removed."""
    task = plan.task.id
    path = marker_path(plan.repository.root, task, "done").relative_to(plan.repository.root)
    said = f"{path} says so, and no report of it is here"
    return {"type": "result", "task": task, "run": None, "reason": said}


def _kept(plan: Plan, report: Json) -> Json:
    """`kept`: the run's own ref, if nothing else keeps its commits; else nothing."""
    landed: Json = report.get("landed") or {}
    if not landed or landed.get("ref") or plan.repository.holds(str(landed["tip"])):
        return {}
    ref = f"refs/agentflow/verified/{report['run']}"
    there = plan.repository.git.succeeds("rev-parse", "--verify", "--quiet", ref)
    return {"kept": ref} if there else {}


def _check_ours(plan: Plan) -> None:
    """Refuse a marker that may have come with the repository, and not from a run of ours: one
    that git tracks, or that stands behind a link or in a repository of its own."""
    root = plan.repository.root
    marker = marker_path(root, plan.task.id, "done")
    path = str(marker.relative_to(root))
    if marker.resolve() != root.resolve() / path:
        raise UsageError(
            f"{path} is behind a link, so it does not say that {plan.task.id} is done",
            hint="Remove the link from the repository.",
        )
    if plan.repository.tracks(path) or (marker.parent / ".git").exists():
        raise UsageError(
            f"{path} is committed to git, so it does not say that {plan.task.id} is done",
            hint=f"Remove it: git rm --cached {word(path)}\nOr begin anew: {_anew(plan)}",
        )


def _check_still_true(plan: Plan, report: Json) -> None:
    """Refuse to call a task done that is another one now, or whose commits are gone."""
    hint = f"To run it again: {_anew(plan)}"
    if report.get("task_sha256") not in {None, plan.task.sha256}:
        raise UsageError(f"{plan.task.id} was done, but its text changed since", hint=hint)
    if _is_gone(plan, report):
        raise UsageError(
            f"{plan.task.id} was done, but its commit {report['landed']['tip'][:12]} is on no branch",
            hint=hint,
        )


def _check_there(plan: Plan, report: Json) -> None:
    """Refuse to call a task done on a branch that was named and does not hold it."""
    repository, task = plan.repository, plan.task.id
    if not plan.joins or plan.order.resume or not landed_on(report):
        return
    there = target_tip(repository, plan.settings.land, plan.branch)
    landed = str(report["landed"]["tip"])
    if there and repository.git.succeeds("merge-base", "--is-ancestor", landed, there):
        return
    if there and task in repository.landed_tasks(there):  # rebased, or picked
        return
    branch = done_on(repository, task) or landed[:12]
    raise done_elsewhere(repository, task, branch, plan.settings.target or "", _anew(plan))


def _is_gone(plan: Plan, report: Json) -> bool:
    """Whether no branch holds what a run landed on one."""
    return bool(landed_on(report)) and not plan.repository.holds(report["landed"]["tip"])


def admit(plan: Plan, past: Resumption | None = None) -> str | None:
    """Refuse what landing would refuse; return the branch's tip if it may be replaced.

    Only a branch that still stands where a run of ours left it may be. A run that goes on is held
    to what was found when it began, and once it is verified, landing decides. Raises `Conflict`, and
    `EnvironmentFailure` where no sandbox works or commits cannot be signed.
    """
    if plan.sandbox.problem:
        raise EnvironmentFailure(
            plan.sandbox.problem, hint=plan.sandbox.remedy or "`agentflow doctor` says more."
        )
    if plan.signing:
        check_signing(plan.signing, *plan.identity)
    repository = plan.repository
    tip = branch_tip(repository, plan.branch)
    if past:
        replaceable = past.started.replaceable
        if past.history.verified:
            return replaceable
    else:
        ours = plan.order.fresh and tip and landed_by(repository.root, plan.task.id, tip)
        replaceable = tip if ours and _is_alone(plan, tip) else None
    if plan.order.shared_target or (past and _goes_on_joining(plan, past)):
        _check_shared(plan)
        return None
    try:
        check_target(
            repository,
            plan.settings.land,
            plan.branch,
            plan.base,
            replaceable=replaceable,
            hint=_in_the_way(past),
        )
    except Conflict as error:
        earlier = "" if past or plan.order.fresh else _earlier(repository.root, plan.task.id)
        error.hint = f"{earlier}{error.hint}"
        raise
    return replaceable


def _goes_on_joining(plan: Plan, past: Resumption) -> bool:
    """Whether a run that was admitted here goes on to a branch that others may have moved since."""
    begun = is_begun(plan.repository.root / FOLDER / past.run)
    return plan.joins and begun and past.started.replaceable in {None, plan.base}


def _earlier(root: Path, task: str) -> str:
    """What a hint about a branch in the way begins with, if the task's newest run can go on: it may be
    that run's, or have been in its way too."""
    name, outcome = _newest(root, task)
    if outcome == "blocked":
        return f"The run {name} waits for an answer: agentflow answer {word(name)} 'your answer'\n"
    if outcome == "conflict":
        return f"The run {name} is verified; to land that: agentflow resume {word(name)}\n"
    return ""


def _is_alone(plan: Plan, tip: str | None) -> bool:
    """Whether nothing of others is lost with a branch: below what the task landed on one that somebody
    named may be what others did."""
    own = plan.branch == f"agentflow/{plan.task.id}"
    return own or plan.repository.is_only_of(plan.task.id, plan.base, str(tip))


def _in_the_way(past: Resumption | None) -> str:
    """What to do about a branch that would have to be replaced; of a run that goes on base and target
    stand."""
    if past is None:
        return IN_THE_WAY
    rid = "Rename it (git branch -m {0} NAME) or remove it (git branch -D {0})"
    return f"{rid}, then go on: agentflow resume {word(past.run)}"


def _check_shared(plan: Plan) -> None:
    """Refuse a target that others move only for what moving does not explain."""
    repository, land, branch = plan.repository, plan.settings.land, plan.branch
    tip = target_tip(repository, land, branch)
    while True:
        try:
            check_target(repository, land, branch, tip or plan.base, replaceable=None)
        except Conflict:
            before, tip = tip, target_tip(repository, land, branch)
            if tip == before:
                raise
        else:
            return
