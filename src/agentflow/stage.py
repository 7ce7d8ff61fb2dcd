"""The stage of one run: its name, journal, budget and sinks, set up before the story begins."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from agentflow.agent import Agent
from agentflow.budget import Budget
from agentflow.checkpoints import Checkpoints, Push
from agentflow.conversation import Word
from agentflow.errors import Blocked
from agentflow.events import (
    Event,
    Notice,
    RunResumed,
    RunStarted,
)
from agentflow.frozen import record
from agentflow.history import History
from agentflow.hooks import Hooks
from agentflow.interfaces import Emit, Keeper, Model, Toolkit
from agentflow.journal import Journal
from agentflow.metered import MeteredModel
from agentflow.models import catalog
from agentflow.models.redacting import RedactingModel
from agentflow.plan import Plan
from agentflow.records import Json
from agentflow.redacted import redacted_event
from agentflow.redaction import Redact
from agentflow.repair import repair_message
from agentflow.report import Summary
from agentflow.results import Candidate
from agentflow.resuming import kept_lines, run_started
from agentflow.sandbox.channel import Channel
from agentflow.sandbox.scope import find_scope
from agentflow.tools import Ask, ask
from agentflow.workbench import Workbench
from agentflow.workspace.checkpoint import Checkpoint, read_checkpoints, write_checkpoint
from agentflow.workspace.relay import Relay

if TYPE_CHECKING:
    pass


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
    relay: Relay | None = None
    """What brings the run to other machines, if it may move."""

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
                {"flags": dict(plan.order.flags)},
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
            self._newest() or Checkpoint("", 0, 0, 0, base, tree),
            self._pushing,
        )

    def _newest(self) -> Checkpoint | None:
        """The run's last checkpoint, which is one that claimed it if it may move."""
        if self.relay is None:
            return self.checkpoint
        return read_checkpoints(self.bench.state, self.run, self.plan.base)[-1]

    @property
    def _pushing(self) -> Push | None:
        relay = self.relay
        if relay is None:
            return None
        state = self.bench.state
        return lambda commit: relay.keep(state, self.run, commit, self.plan.base, self.redact)

    def claim(self, also: str = "") -> None:
        """Where runs may move: keep what is known to have happened, and bring that to the others.
        From here on no process goes on from an earlier moment. `also` is a commit that they get too.

        Raises `Fenced` if one did already, and `EnvironmentFailure`. Call when no agent is at work
        and our repository is ready.
        """
        if self.relay is None:
            return
        state, base = self.bench.state, self.plan.base
        known = read_checkpoints(state, self.run, base)
        tree = state.text("rev-parse", f"{base}^{{tree}}")
        last = known[-1] if known else Checkpoint("", 0, 0, 0, base, tree)
        lines, size = kept_lines(self.journal.path, last.lines)
        made = replace(
            last,
            lines=lines,
            size=size,
            owner=self.relay.owner,
            journal=self.journal.read(last.size, size),
        )
        seconds = int(self.now().timestamp())
        written = write_checkpoint(state, self.run, last, made, seconds, also)
        self.relay.keep(state, self.run, written.commit, base, self.redact)

    def verified_before(self) -> Candidate | None:
        """What an earlier process had verified and was to land."""
        verified = self.history.verified
        if verified is None:
            return None
        self.bench.reopen()
        return Candidate(verified.base, verified.tip)


def asking(answer: str | None) -> Ask:
    """Answers the first question with what the caller brought; every other one blocks the run."""
    left = [answer] if answer else []

    def ask(question: str) -> str:
        if not left:
            raise Blocked(question)
        return left.pop()

    return ask
