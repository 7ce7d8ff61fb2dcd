"""Setting the stage of a run: its name, folder, journal and budget; then what its agent works in."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from agentflow.budget import Account, Budget
from agentflow.configuration import user_folder
from agentflow.disk import write_atomically
from agentflow.events import Notice
from agentflow.gates.command import Commands
from agentflow.history import History
from agentflow.hooks import Hooks
from agentflow.interfaces import Emit
from agentflow.journal import Journal
from agentflow.markers import own_folder
from agentflow.models import catalog
from agentflow.models.endpoint import keys
from agentflow.plan import Plan
from agentflow.preflight import check_base, surroundings
from agentflow.records import Rendered
from agentflow.redaction import Redact, redactor
from agentflow.report import Summary
from agentflow.results import Evidence
from agentflow.resuming import Resumption
from agentflow.run_reports import REPORT
from agentflow.runs import FOLDER, JOURNAL, new_run
from agentflow.stage import Stage, asking
from agentflow.workbench import Workbench
from agentflow.workspace.land import pin_base
from agentflow.workspace.relay import Relay
from agentflow.world import World


def set_stage(
    plan: Plan,
    world: World,
    sinks: Sequence[Emit],
    replaceable: str | None,
    past: Resumption | None = None,
    account: Account | None = None,
    relay: Relay | None = None,
) -> Stage:
    """Name the run, make its folder, open its journal; or open those of a run that goes on.
    `account` is charged as well; `relay` brings the run to other machines.

    Raises `EnvironmentFailure`.
    """
    redact = redactor_of(plan, world.environment)
    rendered = Rendered(redact(plan.rendered.system), redact(plan.rendered.first_message))
    plan = replace(plan, rendered=rendered)
    history = past.history if past else History(0)
    started = history.lines[0].at if past else world.now()
    named = past.run if past else plan.order.named
    run = named or new_run(plan.repository.root, plan.task.id, started, world.entropy(2))
    folder = own_folder(plan.repository.root, FOLDER) / run
    # Commits have this time, and another process knows it by the first line alone.
    journal = Journal(folder / JOURNAL, world.now, started)
    if past is None:
        text = f"{rendered.system}\n---\n\n{rendered.first_message}"
        write_atomically(folder / "prompt.md", text)
        (folder / REPORT).unlink(missing_ok=True)  # it asked, and was answered
    spent = history.spent
    budget = Budget(
        plan.limits,
        lambda model, usage: catalog.cost(model, usage, plan.settings.prices),
        world.clock,
        account,
    )
    budget.restore(spent.usage, spent.cost, spent.turns, spent.seconds)
    summary = Summary(world.now, spent.seconds)
    for line in history.paid:
        summary(line.event)
    return Stage(
        plan=plan,
        run=run,
        started=started,
        now=world.now,
        bench=Workbench(
            plan,
            world,
            world.cache / plan.repository.key / "runs" / run,
            plan.environment,
            history.uploaded,
        ),
        budget=budget,
        journal=journal,
        summary=summary,
        sinks=tuple(sinks),
        redact=redact,
        history=history,
        checkpoint=past.checkpoint if past else None,
        replaceable=replaceable,
        ask=asking(plan.order.answer),
        hooks=hooks_of(plan, run, world.environment, redact),
        relay=relay,
    )


def hooks_of(plan: Plan, run: str, environment: Mapping[str, str], redact: Redact) -> Hooks:
    """The hooks of a run; they start in the folder of the user's configuration, if there is one, and
    get the user's environment without keys of models."""
    own, hidden = user_folder(environment), keys(environment, plan.settings.key_variable)
    return Hooks(
        plan.settings.hook_commands,
        {
            "run": run,
            "task": plan.task.id,
            "repository": str(plan.repository.root),
            "base": plan.base,
            "branch": plan.lands_on,
            "model": plan.model,
            "prompt": plan.prompt.name,
            "sandbox": plan.sandbox.label,
        },
        {name: value for name, value in environment.items() if value.strip() not in hidden},
        own if own.is_dir() else Path("/"),
        redact,
    )


def redactor_of(plan: Plan, environment: Mapping[str, str]) -> Redact:
    """Takes the values of the user's environment, every key of a model and what looks like a key
    out of a text."""
    return redactor(plan.environment.secrets | keys(environment, plan.settings.key_variable))


async def prepare(stage: Stage) -> None:
    """Make clones, and install; what was made before stays.

    Raises `EnvironmentFailure`.
    """
    bench = stage.bench
    if bench.is_prepared:
        return
    bench.traffic.emit = stage.emit
    await asyncio.to_thread(pin_base, stage.plan.repository, stage.run, stage.plan.base)
    await bench.prepare(stage.checkpoint)
    for text in bench.notices:
        stage.emit(Notice(text))
    await bench.install(stage.emit, stage.redact)


async def gates_on_base(stage: Stage) -> Mapping[str, Evidence]:
    """How the gates' commands end on the base, when all is prepared.

    Raises `EnvironmentFailure` if the base is red.
    """
    plan, bench = stage.plan, stage.bench
    return await check_base(
        plan.gates,
        Commands(bench.checkout, bench.state, stage.redact),
        plan.base,
        cache=bench.base_checks,
        around=surroundings(plan.environment, bench.toolchain, bench.provided),
        emit=stage.emit,
        allow_red=plan.settings.allow_red_base,
    )
