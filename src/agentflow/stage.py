"""The stage of one run: its name, journal, budget and sinks, set up before the story begins."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import asdict, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agentflow.agent import Agent
from agentflow.budget import Account, Budget
from agentflow.checkpoints import Checkpoints
from agentflow.configuration import user_folder
from agentflow.conversation import Word
from agentflow.errors import Blocked, EnvironmentFailure
from agentflow.events import (
    Collected,
    Event,
    Notice,
    PackagesChanged,
    PromisesCompared,
    Recorded,
    ReplyMeasured,
    RunFinished,
    RunResumed,
    RunStarted,
    Signed,
    Verified,
)
from agentflow.frozen import record
from agentflow.gates.command import Commands
from agentflow.history import History
from agentflow.hooks import Hooks
from agentflow.interfaces import Audit, Emit, Gate, Keeper, Model, Toolkit
from agentflow.journal import Journal
from agentflow.markers import Kind, marker_path, own_folder, write_atomically, write_marker
from agentflow.metered import MeteredModel
from agentflow.models import catalog
from agentflow.models.endpoint import keys
from agentflow.models.redacting import RedactingModel
from agentflow.plan import Plan
from agentflow.preflight import check_base, surroundings
from agentflow.records import Candidate, Evidence, Json, Rendered
from agentflow.redacted import redacted_event
from agentflow.redaction import Redact, redactor
from agentflow.repair import repair_message
from agentflow.report import Summary, known_runs
from agentflow.resuming import Resumption, run_started
from agentflow.runs import FOLDER, JOURNAL, REPORT, run_name
from agentflow.sandbox.channel import Channel
from agentflow.sandbox.scope import find_scope
from agentflow.spending import total
from agentflow.threads import to_the_end
from agentflow.tools import Ask, ask
from agentflow.workbench import Workbench
from agentflow.workspace.checkpoint import Checkpoint
from agentflow.workspace.land import pin_base
from agentflow.world import World

if TYPE_CHECKING:
    from agentflow.dependencies import Difference
    from agentflow.workspace.recreate import Authorship

REPORTS = ".orchestrator/reports"
MARKED: dict[str, Kind] = {"done": "done", "failed": "failed", "blocked": "blocked"}
"""Outcomes that leave a marker. The others may be continued or tried again."""


@record
class Stage:
    """What the story needs besides the plan."""

    plan: Plan
    run: str
    started: datetime
    now: Callable[[], datetime]
    bench: Workbench
    budget: Budget
    journal: Journal
    summary: Summary
    sinks: tuple[Emit, ...]
    redact: Redact
    history: History = field(default_factory=lambda: History(0))
    """What an earlier process did of this run."""
    checkpoint: Checkpoint | None = None
    """Where the run goes on."""
    replaceable: str | None = None
    """A tip of the branch that landing may replace."""
    ask: Ask = field(default_factory=lambda: asking(None))
    """What the agent gets when it asks."""
    hooks: Hooks = field(default_factory=Hooks)

    def emit(self, event: Event, /) -> None:
        """Write the event down first, then tell everybody; nobody gets a secret."""
        event = redacted_event(event, self.redact)
        self.journal.append(event)
        self.summary(event)
        for sink in self.sinks:
            sink(event)

    def _scope(self) -> tuple[str, ...]:
        if self.plan.settings.sandbox.backend == "none" or find_scope() is None:
            return ()
        return ("a systemd scope bounds memory and processes of each sandbox too",)

    def tell(self, text: str) -> None:
        """Tell what the user should know and no gate decides."""
        self.emit(Notice(text))

    async def begin(self) -> None:
        """Say what begins, and what the user should know about it.

        Raises `EnvironmentFailure` if a hook does not let the run begin.
        """
        plan = self.plan
        self.emit(self._beginning())
        told = {line.event.text for line in self.history.lines if isinstance(line.event, Notice)}
        for notice in (*plan.notices, *self._scope()):
            if notice not in told:
                self.tell(notice)
        if self.hooks.has("run.started"):
            from agentflow.hooked import require

            facts: Json = {
                "title": plan.task.title,
                "resumed": self.checkpoint is not None,
                "gates": [gate.name for gate in plan.gates],
            }
            await require(self.hooks, "run.started", self.tell, facts)

    def hooked(self, toolkit: Toolkit) -> Toolkit:
        """The agent's tools, with the user's hooks around them."""
        if not (self.hooks.has("tool.before") or self.hooks.has("tool.after")):
            return toolkit
        from agentflow.hooked import HookedToolkit

        return HookedToolkit(toolkit, self.hooks, self.tell)

    def _beginning(self) -> RunStarted | RunResumed:
        plan = self.plan
        if self.checkpoint is not None:
            turn = self.history.conversation.turns
            spent = self.history.spent
            return RunResumed(
                self.history.kept,
                self.run,
                turn,
                plan.model,
                asdict(plan.limits),
                spent.usage.total_tokens,
                spent.cost,
                spent.seconds,
            )
        return run_started(plan, self.run, self.replaceable)

    def agent(self, model: Model) -> Agent:
        """The agent of this run, before its first word or with what it said before."""
        plan = self.plan
        return Agent(
            MeteredModel(
                RedactingModel(model, self.redact),
                self.budget,
                plan.fallback,
                foreign=self.history.foreign,
            ),
            plan.model,
            plan.rendered.system,
            plan.prompt.profile.completion,
            self.budget,
            self.emit,
            plan.effort,
            self.history.conversation,
            catalog.window(plan.model, plan.settings.context_window),
        )

    def next_word(self) -> Word | None:
        """What the agent is told when it begins, or goes on; None if it was told."""
        history = self.history
        if not history.told:
            if history.repairs:
                return Word("repair", self.redact(repair_message(history.earlier)))
            return Word("task", self.plan.rendered.first_message)
        answer = self.plan.order.answer
        pending = history.conversation.pending
        asked = pending is not None and any(call.name == ask.NAME for call in pending.calls)
        return None if answer is None or asked else Word("answer", self.redact(answer))

    @property
    def repeated(self) -> frozenset[str]:
        """The ids of calls that an earlier process may have begun, if they could reach anything:
        files are as they were before, but not what was reached."""
        started, pending = self.history.started, self.history.conversation.pending
        hosts = self.plan.environment.agent_network or (started and started.network)
        if self.checkpoint is None or not pending:
            return frozenset()
        if not hosts and self.plan.settings.sandbox.backend != "none":
            return frozenset()
        return frozenset(call.id for call in pending.calls)

    def keeping(
        self, sandbox: Channel, checkpoints: Checkpoints
    ) -> AbstractAsyncContextManager[Keeper]:
        """Keep what the agent does in one sandbox."""
        return checkpoints.during(sandbox, self.bench.place)

    def checkpoints(self) -> Checkpoints:
        """What keeps this run, from its last checkpoint on; call when the bench is prepared."""
        bench, base = self.bench, self.plan.base
        tree = bench.state.text("rev-parse", f"{base}^{{tree}}")
        return Checkpoints(
            self.run,
            bench.state,
            self.journal,
            self.emit,
            lambda: self.history.conversation.turns,
            self.now,
            self.checkpoint or Checkpoint("", 0, 0, 0, base, tree),
        )

    def verified(self, candidate: Candidate) -> Candidate:
        """Tell that these are the commits to land."""
        self.emit(Verified(candidate.base, candidate.tip))
        return candidate

    def verified_before(self) -> Candidate | None:
        """What an earlier process had verified and was to land."""
        verified = self.history.verified
        if verified is None:
            return None
        self.bench.reopen()
        return Candidate(verified.base, verified.tip)

    def collected(self, candidate: Candidate) -> None:
        """Tell what was collected; an agent may have written a secret into a message."""
        event = Collected.of(candidate)
        commits = tuple((sha, self.redact(subject)) for sha, subject in event.commits)
        self.emit(replace(event, commits=commits))
        if self.plan.promises:
            from agentflow.gates.promises import compare_promises

            answer = self.redact(candidate.answer)
            self.emit(PromisesCompared(compare_promises(self.plan.promises, answer)))

    async def sign(self, candidate: Candidate) -> Candidate:
        """Sign verified commits, where the user signs. Raises `EnvironmentFailure`."""
        signing = self.plan.signing
        if signing is None or not candidate.commits:
            return candidate
        from agentflow.workspace.recreate import signed

        authorship = replace(self.authorship, signing=signing)
        made = await asyncio.to_thread(signed, self.bench.state, candidate, authorship)
        commits = tuple((commit.sha, self.redact(commit.subject)) for commit in made.commits)
        self.emit(Signed(made.tip, commits, made.claimed))
        return made

    async def record(self, candidate: Candidate) -> Candidate:
        """Write verified commits down in the document that their task stands in, if it stands in
        one, so that both land at once. Raises `EnvironmentFailure`."""
        ledger = self.plan.ledger
        if ledger is None or not candidate.commits:
            return candidate
        from agentflow.workspace.bookkeeping import with_bookkeeping

        entry = ledger.entry(candidate.tip)
        made = await asyncio.to_thread(
            with_bookkeeping,
            self.bench.state,
            candidate,
            entry.files,
            entry.message,
            replace(self._authorship(""), signing=self.plan.signing),
        )
        if made is not candidate:
            self.emit(Recorded(made.tip, tuple(entry.files)))
        return made

    async def reply(self, candidate: Candidate) -> None:
        """Tell what verified work on a handoff gives to whoever handed it over."""
        if self.plan.task.handed is None:
            return
        from agentflow.replies import measure_reply

        answer = replace(candidate, answer=self.redact(candidate.answer))
        found = await asyncio.to_thread(measure_reply, self.plan.task, answer, self.bench.state)
        self.emit(ReplyMeasured(found))

    @property
    def authorship(self) -> "Authorship":
        """Who the re-created commits are by, and when; not signed before they are verified."""
        return self._authorship(self.plan.settings.commit.assisted_by)

    def _authorship(self, assisted_by: str) -> "Authorship":
        # Imported here, as in `gates`.
        from agentflow.workspace.recreate import Authorship, trailers_for

        plan = self.plan
        (name, email), commit = plan.identity, plan.settings.commit
        return Authorship(
            name=name,
            email=email,
            seconds=int(self.started.timestamp()),
            trailers=trailers_for(
                plan.task.id,
                self.run,
                plan.model,
                assisted_by,
                plan.identity if commit.sign_off else None,
            ),
            rest_message=f"{plan.task.id}: {plan.task.title}",
        )

    async def check_base(self) -> Mapping[str, Evidence]:
        """How the gates' commands end on the base. Raises `EnvironmentFailure` if it is red."""
        plan, bench = self.plan, self.bench
        return await check_base(
            plan.gates,
            Commands(bench.checkout, bench.state, self.redact),
            plan.base,
            cache=bench.base_checks,
            around=surroundings(plan.environment, bench.toolchain, bench.provided),
            emit=self.emit,
            allow_red=plan.settings.allow_red_base,
        )

    def gates(self, on_base: Mapping[str, Evidence], candidate: Candidate) -> tuple[Gate, ...]:
        """All gates, the cheap and decisive ones first."""
        # Imported here, when the agent has finished: before the first request it would be waited for.
        from agentflow.judges import gates_of

        found = gates_of(self.plan, self.bench, self.redact, on_base, candidate)
        if not self.hooks.has("gate.finished"):
            return found
        from agentflow.hooked import HookedGate

        return tuple(HookedGate(gate, self.hooks, self.tell) for gate in found)

    def audits(self, packages: "Difference") -> tuple[Audit, ...]:
        """What compares claims with what the gates measured, as far as anything was asked for."""
        from agentflow.judges import audits_of

        found = audits_of(self.plan, self.bench.state, packages)
        if not self.hooks.has("gate.finished"):
            return found
        from agentflow.hooked import HookedAudit

        return tuple(HookedAudit(audit, self.hooks, self.tell) for audit in found)

    async def packages(self, candidate: Candidate) -> "Difference":
        """What the candidate does to the direct dependencies; told if it is anything."""
        from agentflow.gates.packages import package_changes

        found = await asyncio.to_thread(
            package_changes, self.bench.state, candidate.base, candidate.tip
        )
        if found:
            self.emit(PackagesChanged(found.as_json()))
        return found

    async def close(self, finished: RunFinished) -> Json:
        """Write the report and, last of all, the marker; return the report.

        Whoever is told to stop meanwhile stops after that.
        """
        if finished != self.history.finished:
            self.emit(finished)
        report = await to_the_end(self._record, finished)
        if self.hooks.has("run.finished") or self.hooks.has("run.blocked"):
            from agentflow.hooked import tell_end

            with suppress(asyncio.CancelledError):
                await tell_end(self.hooks, report, str(self._report), self._tell_late)
        if finished.outcome == "done" or not self.summary.turns:
            with suppress(asyncio.CancelledError):
                await self.bench.remove(whole=not self.summary.turns)
        return report

    @property
    def _report(self) -> Path:
        return self.journal.path.parent / REPORT

    def _tell_late(self, text: str) -> None:
        """Tell sinks alone: journal and report are closed."""
        for sink in self.sinks:
            sink(redacted_event(Notice(text), self.redact))

    def _record(self, finished: RunFinished) -> Json:
        root, task = self.plan.repository.root, self.plan.task.id
        kind = MARKED.get(finished.outcome)
        marker = str(marker_path(root, task, kind).relative_to(root)) if kind else None
        worked = finished.outcome != "done" and self.summary.turns
        kept = self.bench.tree if worked and self.bench.tree.exists() else None
        report: Json = {
            **self.summary.as_json(),
            "marker": marker,
            "work_tree": str(kept) if kept else None,
        }
        others = [each for each in known_runs(root, task) if each["run"] != self.run]
        report["task_total"] = total([*others, report]).as_json()
        text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
        write_atomically(self._report, text)
        with suppress(EnvironmentFailure):  # a copy under a fixed name; the run has its own
            write_atomically(own_folder(root, REPORTS) / f"{task}.json", text)
        self.journal.close()
        if kind:
            write_marker(root, task, kind)
        return report


async def ready(stage: Stage) -> Mapping[str, Evidence]:
    """Make clones, install, and return how the gates end on the base; what was made before stays.

    Raises `EnvironmentFailure`.
    """
    bench = stage.bench
    if not bench.is_prepared:
        bench.traffic.emit = stage.emit
        await asyncio.to_thread(pin_base, stage.plan.repository, stage.run, stage.plan.base)
        await bench.prepare(stage.checkpoint)
        for text in bench.notices:
            stage.emit(Notice(text))
        await bench.install(stage.emit, stage.redact)
    return await stage.check_base()


def asking(answer: str | None) -> Ask:
    """Answers the first question with what the caller brought; every other one blocks the run."""
    left = [answer] if answer else []

    def ask(question: str) -> str:
        if not left:
            raise Blocked(question)
        return left.pop()

    return ask


def set_stage(
    plan: Plan,
    world: World,
    sinks: Sequence[Emit],
    replaceable: str | None,
    past: Resumption | None = None,
    account: Account | None = None,
) -> Stage:
    """Name the run, make its folder, open its journal; or open those of a run that goes on.
    `account` is charged as well.

    Raises `EnvironmentFailure`.
    """
    redact = redactor_of(plan, world.environment)
    rendered = Rendered(redact(plan.rendered.system), redact(plan.rendered.first_message))
    plan = replace(plan, rendered=rendered)
    history = past.history if past else History(0)
    started = history.lines[0].at if past else world.now()
    named = past.run if past else plan.order.named
    run = named or run_name(plan.task.id, started, world.entropy(2))
    folder = own_folder(plan.repository.root, FOLDER) / run
    journal = Journal(folder / JOURNAL, world.now)
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
            "branch": plan.branch,
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
