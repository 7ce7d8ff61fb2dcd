"""The board: which runs were submitted, who has them, and what became of them."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agentflow.cluster.database import (
    APPLICATION,
    QUEUE,
    VERSION,
    WORKFLOW,
    lock_key,
    open_session,
)
from agentflow.cluster.entry import STATES, Entry
from agentflow.cluster.submission import Submission
from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.records import Json
from agentflow.redaction import Redact
from agentflow.runs import LEFT, RESUMABLE, run_name
from agentflow.words import ended, word
from agentflow.world import World

if TYPE_CHECKING:
    from dbos import DBOSClient, WorkflowStatus

PRIORITY = 100
"""Of what is submitted without one; lower goes first, and DBOS would put 0 before everything."""
MAX_REPORT = 1 << 20
"""Characters of a report that is kept whole."""
_SUMMARY = (
    *("title", "hint", "prompt", "model", "models", "num_turns", "duration_ms", "usage"),
    *("total_cost_usd", "task_total"),
)
"""What lists show, filter and sum up."""


class Board:
    """Reads and writes runs through a client. Inputs and outputs of DBOS are never loaded."""

    def __init__(self, client: "DBOSClient") -> None:
        self._client = client

    def find(
        self, facts: Mapping[str, str] | None = None, *, limit: int | None = None
    ) -> list[Entry]:
        """The runs with these facts, oldest first; of more than `limit` the newest."""
        return self._found(limit=limit, attributes=dict(facts) if facts else None)

    def named(self, run: str) -> Entry | None:
        """The run of this name."""
        found = self._found(workflow_ids=[run])
        return found[0] if found else None

    def get(self, wanted: str) -> Entry:
        """A run, or a task's newest one. Raises `UsageError` for a name that nobody submitted."""
        run = self.named(wanted)
        found = [run] if run else self.find({"task": wanted}, limit=1)
        if not found:
            raise UsageError(
                f"no run or task {wanted!r} was submitted", hint="See: agentflow cluster status"
            )
        return found[-1]

    def in_state(self, *states: str) -> list[Entry]:
        """The runs whose status DBOS calls so."""
        return self._found(status=list(states))

    def _found(self, limit: int | None = None, **wanted: Any) -> list[Entry]:
        listed = self._client.list_workflows(
            name=WORKFLOW,
            sort_desc=True,
            limit=limit,
            load_input=False,
            load_output=False,
            application_name=APPLICATION,
            **wanted,
        )
        return [_entry(status) for status in reversed(listed)]

    def note(self, run: str, **facts: Any) -> None:
        """Write down facts of a run beside those that are there."""
        self._client.update_workflow_attributes(run, facts, merge=True)

    def note_report(self, run: str, report: Json) -> None:
        """Write down how a run ended."""
        text = json.dumps(report, ensure_ascii=False)
        if len(text) > MAX_REPORT:
            kept = ("outcome", "exit_code", "reason", "hint", "landed", "commits", "num_turns")
            text = json.dumps({name: report.get(name) for name in kept}, ensure_ascii=False)
        told = {name: report.get(name) for name in ("outcome", "exit_code", "reason")}
        summary = json.dumps({name: report[name] for name in _SUMMARY if name in report})
        kept = {"report": _storable(text), "summary": _storable(summary)}
        self.note(run, answer=None, **kept, **told)

    def enqueue(self, run: str, made: Submission, priority: int, facts: Mapping[str, Any]) -> None:
        """Store a run for the next worker that is free."""
        self._client.enqueue(
            {
                "workflow_name": WORKFLOW,
                "queue_name": QUEUE,
                "workflow_id": run,
                "workflow_id_reuse_policy": "reject",
                "app_version": VERSION,
                "priority": priority,
                "attributes": dict(facts),
            },
            run,
            made.as_json,
        )

    def cancel(self, entry: Entry, reason: str) -> None:
        """Cancel a run that waits or is at work. Raises `UsageError` for one that has ended."""
        if entry.state not in {"waiting", "running"}:
            raise UsageError(f"{entry.run} has ended: {entry.outcome}")
        self.note(entry.run, cancelled=reason)
        self._client.cancel_workflow(entry.run)

    def retry(self, entry: Entry) -> None:
        """Let a worker go on with a run that ended. Raises `UsageError` if it cannot."""
        if entry.state in {"waiting", "running"}:
            raise UsageError(f"{entry.run} is {entry.state}", hint="Wait, or cancel it first.")
        if entry.state == "ended" and entry.outcome not in RESUMABLE - {"blocked"}:
            raise UsageError(
                f"{entry.run} ended: {entry.outcome}, which another try does not change",
                hint=f"Begin anew: agentflow submit {word(entry.task)} --fresh",
            )
        self._go_on(entry)

    def answer(self, entry: Entry, text: str, redact: Redact) -> None:
        """Let a worker go on with a run that asked, with a person's words for its agent.

        Raises `UsageError` if it asks nothing, without words, or if `redact` finds a secret in them.
        """
        if not text.strip():
            raise UsageError("the answer is empty", hint="Give the text.")
        if entry.outcome != "blocked":
            raise UsageError(
                f"the run {entry.run} asks nothing: it {ended(entry.outcome)}",
                hint="See where runs stand: agentflow cluster status",
            )
        if redact(text) != text:
            raise UsageError(
                "the answer holds a secret, which would be stored in the database",
                hint="What agents need comes from the worker's configuration.",
            )
        self.note(entry.run, answer={"text": text})
        self._go_on(entry)

    def _go_on(self, entry: Entry) -> None:
        ended = ("outcome", "exit_code", "reason", "report", "summary", "cancelled")
        self.note(entry.run, **dict.fromkeys((*ended, "starts", "deadline")))
        self._client.rewind_workflow(entry.run, application_version=VERSION, queue_name=QUEUE)

    def drain(self) -> None:
        """Let no worker begin another run, until `fill`."""
        self._set_concurrency(0)

    def fill(self, at_once: int) -> None:
        """Let each worker have so many runs at once."""
        self._set_concurrency(at_once)

    @property
    def at_once(self) -> int | None:
        """How many runs a worker has at once; 0 if the cluster is drained, None before the first
        worker."""
        queue = self._client.retrieve_queue(QUEUE)
        return None if queue is None else queue.worker_concurrency

    def _set_concurrency(self, value: int) -> None:
        queue = self._client.retrieve_queue(QUEUE)
        if queue is None:
            raise UsageError("no worker has ever started", hint="agentflow worker")
        queue.set_worker_concurrency(value)


def _storable(text: str) -> str:
    """JSON without the escape of a NUL, which PostgreSQL does not take."""
    return text.replace("\\u0000", "")


def _entry(status: "WorkflowStatus") -> Entry:
    facts: Json = status.attributes or {}
    submitted = datetime.fromtimestamp((status.created_at or 0) / 1000, UTC)
    state = STATES[status.status]
    worker = status.executor_id if state == "running" else None
    task = str(facts.get("task", ""))
    return Entry(status.workflow_id, task, state, facts, worker, status.priority or 0, submitted)


@record
class Submitted:
    """What came of one submission."""

    entry: Entry
    is_new: bool
    """False if it was there already."""


def submit(
    url: str,
    board: Board,
    wanted: Sequence[Submission],
    world: World,
    *,
    priority: int,
    deadline: float | None,
    fresh: bool,
) -> list[Submitted]:
    """Submit tasks. One that waits, is at work or is done is attached to, not begun again.

    `deadline`: seconds from when a worker first begins it. Raises `UsageError` for a task whose last
    run can be gone on with, unless `fresh`.
    """
    with open_session(url, "agentflow submit") as session:
        for key in sorted({lock_key(f"{each.key} {each.task.id}") for each in wanted}):
            session.execute("select pg_advisory_lock(%s)", (key,))  # let go of with the session
        return [_submit(board, each, world, priority, deadline, fresh) for each in wanted]


def _submit(
    board: Board,
    made: Submission,
    world: World,
    priority: int,
    deadline: float | None,
    fresh: bool,
) -> Submitted:
    task = made.task
    earlier = board.find({"repository": made.key, "task": task.id}, limit=1)
    if earlier and (attached := _attached(earlier[0], made, fresh=fresh)):
        return Submitted(attached, is_new=False)
    run = run_name(task.id, world.now(), world.entropy(2))
    facts = {
        "repository": made.key,
        "task": task.id,
        "title": task.title,
        "base": made.base,
        "task_sha256": task.sha256,
        "seconds": deadline,
    }
    board.enqueue(run, made, priority, facts)
    return Submitted(board.get(run), is_new=True)


def _attached(last: Entry, made: Submission, *, fresh: bool) -> Entry | None:
    """The task's last run, if it is the one that is meant. Raises `UsageError`."""
    if last.state in {"waiting", "running"}:
        if fresh:
            raise UsageError(
                f"{last.run} is {last.state}",
                hint=f"First: agentflow cluster cancel {word(last.run)}",
            )
        return last
    if fresh:
        return None
    if last.outcome == "done":
        if last.facts.get("task_sha256") != made.task.sha256:
            raise UsageError(
                f"{made.task.id} was done, but its text changed since",
                hint="Give --fresh to run it again.",
            )
        return last
    unpaid = last.outcome == "environment" and not last.report.get("num_turns")
    if last.outcome in LEFT and not unpaid:
        raise UsageError(
            f"the run {last.run} of {made.task.id} was left unfinished ({last.outcome})",
            hint=f"Go on with: agentflow cluster retry {word(last.run)}\nOr give --fresh.",
        )
    return None
