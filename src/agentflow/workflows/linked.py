"""Linked runs: a handoff whose work lies in several repositories lands in all of them, or in none.

Each part is a run of its own that lands nothing. When all are verified, that is written down, and
then one branch after the other is moved, in the order of the parts. A call that finds it written
down spends nothing and goes on with what has not landed.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import Any

from agentflow.budget import Account, shared_account
from agentflow.commands import handoff_command
from agentflow.disk import write_atomically
from agentflow.errors import AgentflowError, Conflict, UsageError
from agentflow.events import Event
from agentflow.frozen import record
from agentflow.handoff_parts import Part, Prepared
from agentflow.interfaces import Emit
from agentflow.markers import own_folder, read_marker
from agentflow.order import Order
from agentflow.plan import Plan, make_plan
from agentflow.prompts.context import Measure
from agentflow.records import Json
from agentflow.results import Candidate
from agentflow.resuming import earlier_order
from agentflow.run import Connect, run_task
from agentflow.run_reports import KEPT, REPORT, read_report
from agentflow.runs import FOLDER, task_lock
from agentflow.strict_json import parse_object
from agentflow.what_next import command_after, told_after
from agentflow.workflows.endings import Ending
from agentflow.workflows.together import verify_together
from agentflow.workspace.joint import Joined
from agentflow.workspace.land import check_name, check_target, forget_verified, land
from agentflow.workspace.repository import open_repository
from agentflow.world import World


@record
class Link:
    """A verified part, and where it is to land."""

    directory: Path
    task: str
    run: str
    base: str
    tip: str
    branch: str
    sha256: str
    """Of the task's text."""


@record
class Linked:
    """What the caller asked for."""

    prepared: Prepared
    fresh: bool = False
    flags: Mapping[str, Any] = field(default_factory=dict[str, Any])


async def plan_part(wanted: Linked, part: Part, world: World, measure: Measure) -> Plan:
    """The plan of the run for one part: it lands nothing by itself. It goes on with the part's run
    if that was cut off. Raises as `make_plan` does."""
    there = replace(world, directory=part.directory)
    order = Order(fresh=wanted.fresh, flags=_flags(wanted), made=part.task)
    plan = await make_plan(order, there, measure)
    check_name(plan.repository, plan.branch)
    if wanted.fresh or read_marker(part.directory, part.task.id) == "done":
        return plan
    earlier = earlier_order(plan.repository, world.cache, part.task, plan.base, failed=False)
    order = replace(earlier or replace(order, fresh=True), flags=order.flags)
    return await make_plan(order, there, measure)


def _flags(wanted: Linked) -> dict[str, Any]:
    target = f"agentflow/{wanted.prepared.id}"
    return {"target": target, **wanted.flags, "land": "none"}


async def run_linked(
    wanted: Linked,
    world: World,
    connect: Connect,
    sinks: Sequence[Emit],
    measure: Measure,
    told: Callable[[str], None],
    announce: Callable[[Part, Plan], None],
) -> Json:
    """Run every part, then land all of them; return the report. `told` gets each landing, and
    `announce` every plan, before the first model call.

    Raises `UsageError` for `--land current`, and what a run refuses before it exists.
    """
    if wanted.flags.get("land") == "current":
        raise UsageError("linked runs land on branches", hint="Give --land branch, or none.")
    prepared = wanted.prepared
    home = open_repository(world.directory, world.environment)
    file = world.cache / home.key / "handoffs" / f"{prepared.id}.json"
    with task_lock(home.locks(world.cache), prepared.id):
        if wanted.fresh:
            file.unlink(missing_ok=True)
        links = _written(file)
        account = shared_account(wanted.flags, "all parts together", world.clock)
        if [each.sha256 for each in links] != [part.task.sha256 for part in prepared.parts]:
            plans = [await plan_part(wanted, part, world, measure) for part in prepared.parts]
            for part, plan in zip(prepared.parts, plans, strict=True):
                announce(part, plan)
            reports: list[Json] = []
            for part, plan in zip(prepared.parts, plans, strict=True):
                reports.append(await run_task(plan, world, connect, sinks, account))
                if reports[-1]["outcome"] != "done":
                    return _report(
                        prepared,
                        reports,
                        account,
                        _stopped_at(prepared, part, wanted.flags, reports[-1]),
                    )
            links = [_link(*each) for each in zip(prepared.parts, plans, reports, strict=True)]
            together = await verify_together(
                home, _joined(prepared, plans, links), wanted.flags, world, _each(sinks)
            )
            apart = _apart(together)
            if apart or wanted.flags.get("land") == "none":
                return _report(prepared, reports, account, apart or Ending(), together)
            _write(file, links, together)
        return _land_all(prepared, links, world, told, account, _together(file))


def _joined(prepared: Prepared, plans: Sequence[Plan], links: Sequence[Link]) -> list[Joined]:
    return [
        Joined(plan.repository, part.submodule, link.base, link.tip)
        for part, plan, link in zip(prepared.parts, plans, links, strict=True)
    ]


def _each(sinks: Sequence[Emit]) -> Emit:
    def emit(event: Event, /) -> None:
        for sink in sinks:
            sink(event)

    return emit


def _apart(together: Json | None) -> Ending | None:
    """The ending of parts that are right alone, and not together; None if they are, or if nothing
    measured it."""
    if together is None or together["passed"]:
        return None
    failed = ", ".join(gate["gate"] for gate in together["gates"] if gate["status"] == "failed")
    return Ending(
        "failed",
        1,
        f"each part is verified, but together they are not: {failed or together['reason']}; nothing of "
        "the handoff landed",
        "See `together` of the report. The next call judges them again; --fresh does the parts anew.",
    )


def _land_all(
    prepared: Prepared,
    links: Sequence[Link],
    world: World,
    told: Callable[[str], None],
    account: Account,
    together: Json | None,
) -> Json:
    """Land what has not landed; nothing if one of the targets cannot take its part."""
    try:
        for link in links:
            _check(link, world)
        reports = [_landed(link, world, told) for link in links]
    except AgentflowError as error:
        reports = [_kept(link) for link in links]
        return _report(prepared, reports, account, Ending.of(error), together)
    return _report(prepared, reports, account, Ending(), together)


def _link(part: Part, plan: Plan, report: Json) -> Link:
    return Link(
        part.directory,
        part.task.id,
        report["run"],
        report["base"],
        report["landed"]["tip"],
        plan.branch,
        part.task.sha256,
    )


def _written(file: Path) -> list[Link]:
    """The parts that an earlier call verified; none if there was none."""
    try:
        found = parse_object(file.read_bytes())["links"]
    except (OSError, ValueError, KeyError):
        return []
    if any("sha256" not in each for each in found):  # written by an earlier version
        return []
    fields = ("task", "run", "base", "tip", "branch", "sha256")
    return [Link(Path(each["directory"]), *(each[name] for name in fields)) for each in found]


def _together(file: Path) -> Json | None:
    """What was measured of all parts together before they were written down."""
    try:
        return parse_object(file.read_bytes()).get("together")
    except (OSError, ValueError):
        return None


def _write(file: Path, links: Sequence[Link], together: Json | None) -> None:
    listed = [{**asdict(link), "directory": str(link.directory)} for link in links]
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps({"links": listed, "together": together}))


def _check(link: Link, world: World) -> None:
    """Refuse what could not land, before anything does. Raises `Conflict`."""
    repository = open_repository(link.directory, world.environment)
    if not repository.holds(link.tip):
        check_target(repository, "branch", link.branch, link.base, replaceable=None)


def _landed(link: Link, world: World, told: Callable[[str], None]) -> Json:
    """Move a part's branch, unless it is there; return the part's report, which says so."""
    repository = open_repository(link.directory, world.environment)
    if not repository.holds(link.tip):
        candidate = Candidate(link.base, link.tip)
        try:
            land(repository, candidate, "branch", link.branch, link.run)
        except Conflict as conflict:
            conflict.hint = f"{conflict.hint}\nThe next call goes on with what has not landed."
            raise
        told(f"landed {link.task} on {link.branch} in {link.directory}")
    # Also where a call died after landing, and before this.
    forget_verified(repository, link.run, link.tip)
    landed = {"ref": f"refs/heads/{link.branch}", "tip": link.tip, "replaced": None}
    report = {**_kept(link), "landed": landed, "branch": link.branch}
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    write_atomically(link.directory / FOLDER / link.run / REPORT, text)
    write_atomically(own_folder(link.directory, KEPT) / f"{link.task}.json", text)
    return report


def _kept(link: Link) -> Json:
    return read_report(link.directory / FOLDER / link.run)


def _stopped_at(prepared: Prepared, part: Part, flags: Mapping[str, Any], report: Json) -> Ending:
    """As the part ended that stopped the others."""
    reason = f"{report['task']}: {report['reason']}; nothing of the handoff landed"
    step = handoff_command(prepared.id, {**flags, **report["enough"]}) or "the same command"
    if report["outcome"] == "blocked":
        step = f"In {part.place}: {command_after({**report, 'hint': ''})}\nThen: {step}"
    ended, hint = (report["outcome"], report["exit_code"], reason), told_after(report["hint"], step)
    return Ending(*ended, hint, report["enough"])


def _report(
    prepared: Prepared,
    reports: Sequence[Json],
    account: Account,
    ending: Ending,
    together: Json | None = None,
) -> Json:
    ended = ending.report("linked", prepared.id, account.spent)
    return {**ended, "runs": list(reports), "together": together}
