"""A run as its events, with one failed verdict: what the screens and the report are tested with."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from agentflow.events import (
    AgentEnded,
    AssistantMessage,
    BaseCheckFinished,
    BaseCheckStarted,
    Collected,
    ContextReduced,
    Event,
    GateFinished,
    GateStarted,
    LandingDone,
    LimitNear,
    Notice,
    RepairStarted,
    RetryScheduled,
    RunFinished,
    RunStarted,
    SetupFinished,
    SetupStarted,
    ToolFinished,
    ToolStarted,
    UserMessage,
    Verified,
)
from agentflow.messages import Usage
from agentflow.records import Json
from agentflow.results import Criterion, Evidence, FileStat

BEGAN = datetime(2026, 11, 20, 19, 33, 18, tzinfo=UTC)
RUN = "TASK-1-20261120T193318-abcd"
BASE, TIP = "b" * 40, "c" * 40
LOG = """tests/test_search.py::test_limit FAILED

    def test_limit():
>       assert search("a", limit="x").status == 400
E       ValueError: invalid literal for int() with base 10: 'x'

tests/test_search.py:31: ValueError
1 failed, 11 passed in 0.41s"""


def started(**more: Any) -> RunStarted:
    fields: Json = {
        "run": RUN, "task": "TASK-1", "task_sha256": "a" * 64, "title": "Search notes",
        "prompt": "agent", "prompt_sha256": "d" * 64, "model": "claude-sonnet-5-5",
        "base": BASE, "sandbox": "bubblewrap", "branch": "agentflow/TASK-1",
        "tools": ("Read", "Write", "Edit", "Bash"), "system": "You are an agent.\n\nBe exact.",
        "version": "0.1.0", "first_message": "# Search notes\n\n- [ ] `q` is required.",
        "limits": {"max_turns": 100, "max_cost": 2.0, "timeout": 2700.0},
    }  # fmt: skip
    return RunStarted(**{**fields, **more})


def said(text: str, *calls: Json, cost: float | None = 0.0108, **usage: int) -> AssistantMessage:
    content: list[Json] = [{"type": "text", "text": text}] if text else []
    message: Json = {"role": "assistant", "content": [*content, *calls]}
    spent = Usage(**{"input_tokens": 2282, "output_tokens": 232, **usage})
    return AssistantMessage(message, "tool_use" if calls else "end_turn", spent, Usage(), cost)


def use(name: str, number: int, **given: str) -> Json:
    return {"type": "tool_use", "id": f"call-{number}", "name": name, "input": given}


def results(*texts: tuple[int, str]) -> UserMessage:
    blocks = [
        {"type": "tool_result", "tool_use_id": f"call-{number}", "content": text}
        for number, text in texts
    ]
    return UserMessage({"role": "user", "content": blocks}, "results")


def tool(
    name: str, number: int, target: str, seconds: float, error: str = ""
) -> tuple[ToolStarted, ToolFinished]:
    return (
        ToolStarted(f"call-{number}", name, target),
        ToolFinished(f"call-{number}", name, bool(error), seconds, error or "done"),
    )


def gates(failed: bool) -> Iterator[Event]:
    yield GateFinished(Evidence("commit", "passed", "1 commit, 2 files (+64 −1)"))  # noqa: RUF001
    yield GateFinished(Evidence("boundaries", "passed", "every commit stays within notes/**"))
    yield GateStarted("build:test")
    if failed:
        yield GateFinished(Evidence("build:test", "failed", "`pytest -q` ended with 1", LOG, 1.25))
    else:
        yield GateFinished(Evidence("build:test", "passed", "`pytest -q` passed", seconds=1.25))
        yield GateFinished(Evidence("build:e2e", "skipped", "left to CI"))
        boxes = (
            Criterion("`q` is required and has 1 to 100 characters; otherwise 400", "claimed"),
            Criterion("Tests over HTTP for the normal case, the order and each error", "met",
                      "tests in the diff"),
        )  # fmt: skip
        told = "2 criteria: 1 met, 1 claimed, as the words of the agent and the diff say"
        yield GateFinished(Evidence("checklist", "passed", told, criteria=boxes))


def events() -> list[Event]:
    """The whole run: setup, base, three turns, a failed verdict, a repair, landing."""
    commits = ((TIP, "feat: search notes"),)
    stat = (FileStat("notes/store.py", 40, 1), FileStat("tests/test_search.py", 24, 0))
    collected = Collected(TIP, commits, {"e" * 40: TIP}, 2, 64, 1, stat)
    return [
        started(),
        Notice("a tracked file has the name of a secret: .env"),
        SetupStarted("npm ci --no-audit"),
        SetupFinished(2.3, cached=False, directories=("node_modules",)),
        BaseCheckStarted("build:test"),
        BaseCheckFinished(Evidence("build:test", "passed", "", seconds=1.1), cached=False),
        UserMessage({"role": "user", "content": "# Search notes"}),
        said("I start with the structure.", use("Read", 1, file_path="notes/store.py")),
        *tool("Read", 1, "notes/store.py", 0.002),
        results((1, "1\tclass Store:\n2\t    pass\n")),
        RetryScheduled(1, "the API is overloaded (529)", 2.0),
        said(
            "Now the route, and its tests.",
            use("Write", 2, file_path="tests/test_search.py", content="def test(): ..."),
            use("Bash", 3, command="python -m pytest -q"),
            cache_read_tokens=5561,
        ),
        *tool("Write", 2, "tests/test_search.py", 0.001),
        *tool("Bash", 3, "python -m pytest -q", 64.0, "Exit code 1"),
        results((2, "written"), (3, "Exit code 1\n" + LOG)),
        LimitNear("max_cost", 1.7, 2.0, "80 % of max_cost are spent: $1.70 of $2.00"),
        ContextReduced(180_000, 60_000, ()),
        said("The search is in.", cache_read_tokens=8620, cost=1.6),
        AgentEnded("finished", "The search is in."),
        collected,
        *gates(failed=True),
        RepairStarted(1, 2),
        UserMessage({"role": "user", "content": "build:test failed"}, "repair"),
        said("A limit that is no number is refused now.", use("Edit", 4, file_path="notes/api.py")),
        *tool("Edit", 4, "notes/api.py", 0.001),
        results((4, "edited")),
        said("All tests pass."),
        AgentEnded("signalled", "All tests pass."),
        collected,
        *gates(failed=False),
        Verified(BASE, TIP),
        LandingDone("refs/heads/agentflow/TASK-1", TIP, None),
        RunFinished("done", 0, "", ""),
    ]


def timed() -> list[tuple[datetime, Event]]:
    """The same, seven seconds after one another."""
    return [(BEGAN + timedelta(seconds=7 * n), event) for n, event in enumerate(events())]
