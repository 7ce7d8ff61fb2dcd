"""The model's client against a mock server that others wrote: `@copilotkit/aimock` from npm.

`python -m tests.acceptance.api_faults FOLDER` starts the server that `scripts/mock-server FOLDER`
installed, on loopback, lets a whole agent work against each of its faults, and prints a Markdown
table and a line that counts. Exit code 1 if any row ends otherwise than expected.
"""

import asyncio
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from agentflow.agent import Agent
from agentflow.budget import Budget
from agentflow.conversation import Word
from agentflow.errors import AgentflowError
from agentflow.events import Event, RetryScheduled
from agentflow.metered import MeteredModel
from agentflow.models.anthropic import Patience, open_model
from agentflow.records import Json, Limits
from tests.models.tools import Tools, Unkept

SERVER = Path("node_modules/@copilotkit/aimock/dist/cli.js")
NODE = Path("node_modules/node/bin/node")
"""Installed where the machine's own is too old."""
PATIENCE = 20.0
"""Seconds in which the server must say that it listens, and end."""
CALL: Json = {
    "toolCalls": [
        {"name": "Write", "arguments": json.dumps({"file_path": "a.txt", "content": "x" * 200})}
    ]
}
DONE: Json = {"content": "Done."}


@dataclass(frozen=True, slots=True)
class Row:
    """One conversation: the first request is answered in an odd way, once or always."""

    name: str
    answer: Json
    """The fixture's fields besides `match`."""
    always: bool = False
    outcome: str = "done"
    """`done`, or `exit 6: ` and a pattern of what is said."""
    retries: int = 1


def error(status: int, kind: str, message: str = "no", **more: object) -> Json:
    """A fixture that refuses."""
    return {"response": {"error": {"type": kind, "message": message}, "status": status, **more}}


CUT: Json = {"response": CALL, "truncateAfterChunks": 3, "latency": 20, "chunkSize": 10}
ROWS = (
    Row("two turns with a tool call", {"response": CALL}, retries=0),
    Row("429, retry-after 1", error(429, "rate_limit_error", retryAfter=1)),
    Row("429, retry-after 3600", error(429, "rate_limit_error", retryAfter=3600), True,
        "exit 6: .*it asks to wait 3600 seconds", 0),
    Row("529 once", error(529, "overloaded_error")),
    Row("529 always", error(529, "overloaded_error"), True, "exit 6: .*529.*5 attempts", 4),
    Row("500 always", error(500, "api_error"), True, "exit 6: .*500.*5 attempts", 4),
    Row("401", error(401, "authentication_error"), True, "exit 6: .*401", 0),
    Row("413", error(413, "request_too_large"), True, "exit 6: .*413", 0),
    Row("400, the prompt does not fit", error(400, "invalid_request_error",
        "prompt is too long: 2 tokens > 1 maximum"), True, "exit 4: .*prompt is too long", 0),
    Row("cut mid-stream once", CUT),
    Row("cut mid-stream always", CUT, True, "exit 6: .*, 5 attempts", 4),
    Row("silence mid-stream", {**CUT, "latency": 5000}),
    Row("500 by its chaos", {"response": CALL, "chaos": {"dropRate": 1}}, True,
        "exit 6: .*500.*5 attempts", 4),
    Row("malformed JSON by its chaos", {"response": CALL, "chaos": {"malformedRate": 1}}, True,
        "exit 6: .*, 5 attempts", 4),
    Row("disconnects by its chaos", {"response": CALL, "chaos": {"disconnectRate": 1}}, True,
        "exit 6: .*, 5 attempts", 4),
)  # fmt: skip


@dataclass
class Seen:
    """What a row led to."""

    outcome: str = "done"
    events: list[Event] = field(default_factory=list[Event])
    tools: Tools = field(default_factory=Tools)

    @property
    def retries(self) -> int:
        return sum(isinstance(event, RetryScheduled) for event in self.events)

    def fits(self, row: Row) -> bool:
        """Whether it is what the row expects; no tool ran unless the reply was whole."""
        ran = int(row.outcome == "done")
        ended = re.match(row.outcome, self.outcome) is not None
        return ended and self.retries == row.retries and len(self.tools.ran) == ran


def fixtures() -> Json:
    """All conversations as the server reads them."""
    found: list[Json] = []
    for row in ROWS:
        first: Json = {"userMessage": f"[{row.name}]", "turnIndex": 0}
        if not row.always:
            found.append({"match": {**first, "sequenceIndex": 0}, **row.answer})
        found.append({"match": first, **(row.answer if row.always else {"response": CALL})})
        found.append({"match": {**first, "turnIndex": 1}, "response": DONE})
    return {"fixtures": found}


@contextmanager
def served(folder: Path) -> Generator[str]:
    """The mock server in a process of its own; yields its URL."""
    with tempfile.TemporaryDirectory(prefix="agentflow-aimock-") as name:
        file = Path(name) / "fixtures.json"
        file.write_text(json.dumps(fixtures()), "utf-8")
        own = folder / NODE
        node = str(own) if own.exists() else "node"
        command = [node, str(folder / SERVER), "--port", "0", "--fixtures", str(file)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            yield _url(process)
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)


def _url(process: subprocess.Popen[str]) -> str:
    said: list[str] = []
    for line in process.stdout or ():
        said.append(line)
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            return found[0]
    raise SystemExit(f"the mock server did not start:\n{''.join(said)}")


async def observe(url: str, row: Row) -> Seen:
    """Let an agent work against one row, without waiting between attempts."""
    seen = Seen()
    budget = Budget(Limits(max_turns=10), lambda _model, _usage: 0.0, lambda: 0.0)

    async def at_once(_: float) -> None:
        await asyncio.sleep(0)

    model = open_model(
        base_url=url, api_key=None, sleep=at_once, patience=Patience(silence=1.0, attempt=10.0)
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
        await agent.work(Word("task", f"[{row.name}]"), seen.tools, Unkept())
    except AgentflowError as failure:
        seen.outcome = f"exit {failure.exit_code}: {failure.message}"
    finally:
        await model.close()
    return seen


async def observe_all(url: str) -> list[Seen]:
    """All rows, one after the other."""
    return [await observe(url, row) for row in ROWS]


def main() -> int:
    """Print the table."""
    with served(Path(sys.argv[1])) as url:
        found = asyncio.run(observe_all(url))
    lines = ["| aimock | retries | outcome | as expected |", "|---|---|---|---|"]
    for row, seen in zip(ROWS, found, strict=True):
        mark = "yes" if seen.fits(row) else f"NO: {row.outcome}, {row.retries} retries"
        outcome = re.sub(r"http://127\.0\.0\.1:\d+", "http://127.0.0.1", seen.outcome)
        lines.append(f"| {row.name} | {seen.retries} | {outcome} | {mark} |")
    failed = sum(not seen.fits(row) for row, seen in zip(ROWS, found, strict=True))
    sys.stdout.write("\n".join(lines) + f"\n\n{len(ROWS) - failed} passed, {failed} failed\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
