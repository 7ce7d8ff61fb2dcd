"""Every way in which a server can break, against a whole agent: what is retried, what stops the
run, what is counted, and that no tool ever runs from a reply that is not finished.

The table of docs/api-faults.md is made from these rows.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agentflow.agent import Agent
from agentflow.budget import Budget
from agentflow.conversation import Word
from agentflow.errors import ContextExceeded, ProviderFailure
from agentflow.events import Event, ReplyFailed, RetryScheduled
from agentflow.messages import Usage
from agentflow.metered import MeteredModel
from agentflow.models.anthropic import Patience, open_model
from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.models.scripted.faults import FAULTS
from agentflow.records import Json, Limits
from tests.models.tools import Tools, Unkept

DOCUMENT = Path(__file__).parents[2] / "docs" / "api-faults.md"
CALL: Json = {"tool": "Write", "input": {"file_path": "a.txt", "content": "x" * 80}}
TURN: Json = {
    "text": "I write the file now.",
    "calls": [CALL],
    "usage": {"input_tokens": 1000, "output_tokens": 50},
}
FIRST = "the model API answered"
BROKEN = "the model API sent a broken reply"
TOO_MUCH = "the model API sent more than a reply can be"


@dataclass(frozen=True)
class Row:
    """One line of the matrix."""

    fault: str
    times: int = 1
    """How often it happens; 5 is at every attempt."""
    stops: str = ""
    """What the failure says; empty if the run goes on."""
    told: str = ""
    """What the retry says."""
    waits: tuple[float, ...] = ()
    """Seconds before each further attempt."""
    counted: int = 0
    """Tokens of failed attempts, at least."""
    silence: float = 10.0
    attempt: float = 10.0
    turn: Json = field(default_factory=lambda: TURN)
    ran: int = 1
    """How often the turn's tool ran, if the run went on."""
    note: str = ""
    code: int = 6
    """The exit code, if it stops."""
    closed: str = ""
    """When the server's port closes: `before` the first request, or `after` its answer."""

    @property
    def name(self) -> str:
        return self.fault.partition(":")[0]

    @property
    def shown(self) -> str:
        """The row in Markdown."""
        seconds = self.fault.partition(":")[2] or "30"
        what = self.note or FAULTS[self.name].says.replace("for SECONDS", f"for {seconds} s")
        what = what.replace("SECONDS", seconds)
        when = "always" if self.times == 5 or self.closed else "once" if self.name else ""
        counted = "yes" if self.counted else "nothing was used"
        if self.stops:
            tries = f" after {len(self.waits) + 1} attempts" if self.waits else " at once"
            outcome = f"exit {self.code}{tries}: “… {plain(self.stops)} …”"
        elif self.waits:
            pauses = ", ".join(f"{pause:g} s" for pause in self.waits)
            outcome = f"retried after {pauses}: “… {plain(self.told)} …”"
        else:
            outcome = "read as it is" if self.ran else "the call is not run, the model is told"
            counted = "as usual"
        return f"| {what} | {when} | {outcome} | {counted} |"


def plain(pattern: str) -> str:
    return pattern.replace("\\", "").removeprefix(f"{FIRST} ")


LONG = (1.0, 2.0, 4.0, 8.0)
ROWS = (
    Row("rate_limited:0.05", told=f"{FIRST} 429 rate_limit_error", waits=(0.05,)),
    Row("rate_limited:60", told=f"{FIRST} 429 rate_limit_error", waits=(60.0,)),
    Row("rate_limited:61", stops="it asks to wait 61 seconds"),
    Row("rate_limited:3600", stops="it asks to wait 3600 seconds"),
    Row("rate_limited_absurd", stops=r"it asks to wait 1e\+300 seconds"),
    Row("rate_limited_garbled", told=f"{FIRST} 429 rate_limit_error", waits=(1.0,)),
    Row("spend_limit", stops=f"{FIRST} 429 rate_limit_error: You have reached"),
    Row("overloaded", told=f"{FIRST} 529 overloaded_error", waits=(1.0,)),
    Row("overloaded", 5, stops=f"{FIRST} 529 overloaded_error", waits=LONG),
    Row("server_error", told=f"{FIRST} 500 api_error", waits=(1.0,)),
    Row("server_error", 5, stops=f"{FIRST} 500 api_error", waits=LONG),
    Row("html", told=f"{FIRST} 502", waits=(1.0,)),
    Row("page", told="text/html without a single event", waits=(1.0,)),
    Row("page", 5, stops="text/html without a single event", waits=LONG),
    Row("unauthorized", stops=f"{FIRST} 401 authentication_error"),
    Row("too_large", stops=f"{FIRST} 413 request_too_large"),
    Row("context_overflow", 5, stops="prompt is too long", code=4),
    Row("reset", told="no connection to", waits=(1.0,)),
    Row("reset", 5, stops="no connection to", waits=LONG),
    Row(
        "",
        stops="connection refused",
        waits=(1.0,),
        closed="before",
        note="nothing listens on a port of this machine, from the first request on",
    ),
    Row(
        "overloaded",
        stops="connection refused",
        waits=LONG,
        closed="after",
        note="529, and from then on nothing listens there",
    ),
    Row("cut", told="the connection broke in the middle of a reply", waits=(1.0,), counted=1000),
    Row("cut", 5, "the connection broke in the middle of a reply", "", LONG, 5000),
    Row("eof", told="the stream ended before the reply was complete", waits=(1.0,), counted=1000),
    Row("eof", 5, "the stream ended before the reply was complete", "", LONG, 5000),
    Row("stall", 1, "", "fell silent in the middle of a reply", (1.0,), 1000, silence=0.2),
    Row("pings:20", 1, "", "no complete reply within", (1.0,), 1000, attempt=0.3),
    Row("malformed", told="an event of the stream is malformed", waits=(1.0,), counted=1000),
    Row("malformed", 5, "an event of the stream is malformed", "", LONG, 5000),
    Row("error_event", told="the error event overloaded_error", waits=(1.0,), counted=1000),
    Row("error_event_api", told="the error event api_error", waits=(1.0,), counted=1000),
    Row("error_event_refusal", stops="the error event invalid_request_error", counted=1000),
    Row("no_message_stop", 1, "", "the stream ended before the reply", (1.0,), 1050),
    Row("empty", told="text/event-stream without a single event", waits=(1.0,)),
    Row("empty", 5, stops="text/event-stream without a single event", waits=LONG),
    Row("json", told="application/json without a single event", waits=(1.0,)),
    Row("huge_event", stops=f"{TOO_MUCH}: an event of more than 4000000 bytes", counted=1000),
    Row("many_lines", stops=f"{TOO_MUCH}: an event of more than 4000000 bytes", counted=1000),
    Row("endless", stops=f"{TOO_MUCH}: a reply of more than 32000000 bytes", counted=1000),
    Row("many_starts", stops=f"{TOO_MUCH}: block starts of more than 4000000", counted=1000),
    Row("no_message_start"),
    Row("pings:0.2"),
    Row("unknown_events"),
    Row("unknown_blocks"),
    Row("bytewise"),
    Row("crlf"),
    Row(
        "",
        0,
        turn={**TURN, "calls": [{"tool": "Write", "raw": '{"file_path": "a.t'}]},
        ran=0,
        note="a tool input that is not JSON",
    ),
    Row(
        "",
        0,
        turn={**TURN, "stop_reason": "max_tokens"},
        ran=0,
        note="`max_tokens` inside a tool call",
    ),
)


@dataclass
class Observed:
    """What one row led to."""

    events: list[Event] = field(default_factory=list[Event])
    pauses: list[float] = field(default_factory=list[float])
    tools: Tools = field(default_factory=Tools)
    failure: ProviderFailure | ContextExceeded | None = None
    spent: Usage = field(default_factory=Usage)
    requests: int = 0

    closing: ScriptedServer | None = None
    """The server that is closed as soon as an attempt has failed."""

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if self.closing:
            await close(self.closing)


async def close(server: ScriptedServer) -> None:
    await server.__aexit__(None, None, None)


async def observe(row: Row) -> Observed:
    seen = Observed()
    faults = [row.fault] * row.times if row.fault else []
    last = {"text": "Done.", "usage": {"input_tokens": 0, "output_tokens": 0}}
    script = read_script({"turns": [{**row.turn, "faults": faults}, last]})
    budget = Budget(Limits(), lambda _model, _usage: 0.0, lambda: 0.0)
    async with ScriptedServer(script) as server:
        if row.closed == "before":
            await close(server)
        seen.closing = server if row.closed == "after" else None
        model = open_model(
            base_url=server.url,
            api_key=None,
            sleep=seen.sleep,
            fraction=lambda: 1.0,
            patience=Patience(attempt=row.attempt, silence=row.silence),
        )
        agent = Agent(
            MeteredModel(model, budget),
            "claude-sonnet-5-5",
            "be brief",
            "message",
            budget,
            seen.events.append,
        )
        try:
            await agent.work(Word("task", "go"), seen.tools, Unkept())
        except (ProviderFailure, ContextExceeded) as error:
            seen.failure = error
        finally:
            await model.close()
        seen.requests = len(server.requests)
    seen.spent = budget.spent.usage
    return seen


def ids(rows: Sequence[Row]) -> list[str]:
    return [f"{row.fault or row.note}, {row.times}" for row in rows]


@pytest.mark.parametrize("row", ROWS, ids=ids(ROWS))
async def test_the_matrix(row: Row) -> None:
    seen = await observe(row)
    assert tuple(seen.pauses) == row.waits
    retries = [event.reason for event in seen.events if isinstance(event, RetryScheduled)]
    assert len(retries) == len(row.waits)
    assert all(re.search(row.told, reason) for reason in retries)
    failed = [event for event in seen.events if isinstance(event, ReplyFailed)]
    if row.stops:
        assert seen.failure is not None
        assert seen.failure.exit_code == row.code
        assert seen.failure.hint
        assert "\n" not in seen.failure.message
        assert re.search(row.stops, seen.failure.message)
        assert seen.tools.ran == []
        assert [event.usage for event in failed] == [seen.spent]
        assert seen.spent.total_tokens >= row.counted
        return
    assert (seen.failure, failed, seen.requests) == (None, [], len(row.waits) + 2)
    assert [call.arguments for call in seen.tools.ran] == [CALL["input"]] * row.ran
    paid = 50 if row.name == "no_message_start" else 1050
    assert seen.spent.total_tokens >= paid + row.counted


def test_every_fault_of_the_server_has_its_row() -> None:
    assert {row.name for row in ROWS if row.fault} == FAULTS.keys()


def test_the_document_shows_this_table() -> None:
    _, _, rest = DOCUMENT.read_text("utf-8").partition("|---|---|---|---|\n")
    shown = rest.partition("\n\n")[0].splitlines()
    assert shown == [row.shown for row in ROWS]
