"""A run with hooks: what they are told, and what they stop."""

import json
from pathlib import Path
from typing import Any

import pytest

from agentflow.errors import UsageError
from agentflow.events import Notice
from agentflow.order import Order
from agentflow.records import Json
from agentflow.settings import CONFIG, shared_table
from agentflow.trust import grant, widening
from tests.run.project import HELLO, Project, bash, call, turn

pytestmark = pytest.mark.sandbox

EVERYTHING = (
    '["run.started", "tool.before", "tool.after", "gate.finished", "run.finished", "run.blocked"]'
)
KEEP = "cat >> said.jsonl; echo >> said.jsonl"
BOUND = {"run", "task", "repository", "base", "branch", "model", "prompt", "sandbox"}


class Told:
    """The user's configuration with hooks, and what these were told."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.folder = Path(project.world.environment["XDG_CONFIG_HOME"]) / "agentflow"

    def configure(self, *hooks: str) -> None:
        """Write `[[hooks]]` tables."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = "".join(f"[[hooks]]\n{hook}\n" for hook in hooks)
        (self.folder / "config.toml").write_text(text)

    @property
    def said(self) -> list[Json]:
        """Every object that a hook has kept."""
        path = self.folder / "said.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def notices(self) -> list[str]:
        return [event.text for event in self.project.events if isinstance(event, Notice)]


@pytest.fixture
def told(project: Project) -> Told:
    return Told(project)


def hook(on: str, command: str, **more: Any) -> str:
    rest = "".join(f"\n{name} = {json.dumps(value)}" for name, value in more.items())
    return f"on = {on if on.startswith('[') else json.dumps([on])}\ncommand = '''{command}'''{rest}"


async def test_hooks_are_told_in_the_documented_shapes(project: Project, told: Told) -> None:
    told.configure(hook(EVERYTHING, KEEP))

    report = await project.run([turn(HELLO), turn(text="I wrote it.")])

    assert report["outcome"] == "done"
    said = told.said
    gates = [gate["gate"] for gate in report["verification"]["gates"]]
    assert [each["event"] for each in said] == [
        "run.started",
        "tool.before",
        "tool.after",
        *["gate.finished"] * len(gates),
        "run.finished",
    ]
    for each in said:
        assert each["version"] == 1
        assert each.keys() >= BOUND
        assert (each["run"], each["task"]) == (report["run"], "TASK-1")
        assert each["repository"] == str(project.root)
    started, before, after, *measured, finished = (
        {name: value for name, value in each.items() if name not in {*BOUND, "version", "event"}}
        for each in said
    )
    assert started == {"title": "Say hello", "resumed": False, "gates": ["test"]}
    assert before.keys() == {"call", "read_only"}
    assert before["call"]["name"] == "Write"
    assert before["call"]["arguments"] == {"file_path": "app/hello.txt", "content": "hello\n"}
    assert before["read_only"] is False
    assert {**after, "result": None} == {**before, "result": None}
    assert after["result"].keys() == {"is_error", "seconds", "text"}
    assert after["result"]["is_error"] is False
    assert [each["evidence"]["gate"] for each in measured] == gates
    assert all(
        each["evidence"].keys() == {"gate", "status", "summary", "detail"} for each in measured
    )
    assert finished["outcome"] == "done"
    assert finished["commits"] == report["commits"]
    assert finished["report"] == f"{project.root}/.orchestrator/runs/{report['run']}/report.json"
    assert finished.keys() == {
        *("outcome", "exit_code", "reason", "hint", "branch", "landed", "commits"),
        *("num_turns", "duration_ms", "total_cost_usd", "marker", "report"),
    } - {"branch"}


async def test_a_refused_call_is_not_run_and_the_model_reads_why(
    project: Project, told: Told
) -> None:
    guard = "grep -q evil && { echo do something else >&2; exit 2; }; exit 0"
    told.configure(
        hook("tool.before", guard, tools=["Write"]), hook("tool.after", KEEP, tools=["Write"])
    )
    evil = call("Write", file_path="app/evil.txt", content="x")

    report = await project.run([turn(evil), turn(bash("ls app")), turn(HELLO), turn()])

    assert report["outcome"] == "done"
    (answer,) = project.requests[1]["messages"][-1]["content"]
    assert answer["is_error"] is True
    assert answer["content"].startswith("Not run: the hook `grep -q evil")
    assert answer["content"].endswith("refused: do something else")
    assert "evil" not in str(project.requests[2]["messages"][-1])
    assert [each["call"]["arguments"]["file_path"] for each in told.said] == ["app/hello.txt"]


async def test_a_hook_out_of_time_blocks_the_call_and_an_advisory_one_does_not(
    project: Project, told: Told
) -> None:
    slow = "grep -q hello.txt && sleep 1000; exit 0"
    told.configure(hook("tool.before", slow, timeout=0.3, tools=["Write"]))
    report = await project.run([turn(HELLO), turn(text="Gone."), *[turn()] * 4])
    assert report["outcome"] == "failed"
    assert "did not end within 0.3 s" in str(project.requests[1]["messages"][-1])

    told.configure(hook("tool.before", slow, timeout=0.3, tools=["Write"], advisory=True))
    report = await project.run([turn(HELLO), turn()], order=Order("TASK-1", fresh=True))
    assert report["outcome"] == "done"
    assert any("did not end within 0.3 s; it is advisory" in each for each in report["notices"])


async def test_a_hook_after_a_call_may_object_to_its_result(project: Project, told: Told) -> None:
    told.configure(hook("tool.after", "echo tabs, please >&2; exit 2", tools=["Write"]))

    report = await project.run([turn(HELLO), turn()])

    assert report["outcome"] == "done"
    (answer,) = project.requests[1]["messages"][-1]["content"]
    assert answer["is_error"] is True
    assert "hello.txt" in answer["content"]
    assert answer["content"].endswith("(tool.after) refused: tabs, please")


@pytest.mark.parametrize(
    ("event", "requests"), [("run.started", 0), ("gate.finished", 2), ("tool.after", 1)]
)
async def test_a_hook_that_is_broken_or_refuses_ends_the_run(
    project: Project, told: Told, event: str, requests: int
) -> None:
    code = 1 if event == "tool.after" else 2
    told.configure(hook(event, f"echo policy >&2; exit {code}"))

    report = await project.run([turn(HELLO), turn()])

    assert (report["outcome"], report["exit_code"]) == ("environment", 5)
    assert event in report["reason"]
    assert "policy" in report["reason"]
    assert len(project.requests) == requests
    assert project.git("branch", "--list", "agentflow/*") == ""


async def test_the_end_is_told_after_the_marker_and_changes_nothing(
    project: Project, told: Told
) -> None:
    told.configure(
        hook("run.finished", f"test -e {project.root}/.orchestrator/complete/TASK-1.done && exit 2")
    )

    report = await project.run([turn(HELLO), turn()])

    assert report["outcome"] == "done"
    assert project.marker("done") == "done"
    assert "(run.finished) refused" in told.notices()[-1]
    assert project.journal(report["run"])[-1]["type"] == "agentflow.run_finished"


async def test_a_blocked_run_tells_its_question(project: Project, told: Told) -> None:
    told.configure(hook('["run.finished", "run.blocked"]', KEEP))
    blocked = call("Write", file_path=".orchestrator/complete/TASK-1.blocked", content="Which?")

    report = await project.run([turn(blocked), turn()])

    assert report["outcome"] == "blocked"
    (said,) = told.said
    assert (said["event"], said["reason"], said["exit_code"]) == ("run.blocked", "Which?", 3)


async def test_a_repository_s_hook_runs_only_when_exactly_its_words_are_trusted(
    project: Project, told: Told
) -> None:
    told.configure(hook("run.started", "echo user >> order"))
    project.write(CONFIG, f"[[hooks]]\n{hook('run.started', 'echo repository >> order; pwd')}\n")
    project.commit("hooks")
    turns = [turn(HELLO), turn()]
    with pytest.raises(UsageError, match="only you may grant: hooks"):
        await project.run(turns)

    environment = project.world.environment
    words = widening(shared_table((project.root / CONFIG).read_text(), environment))
    assert (
        'hooks = [\n  {"command": "echo repository >> order; pwd", "on": ["run.started"]},\n]'
        in words
    )
    grant(project.root / ".git", environment, words)
    assert (await project.run(turns))["outcome"] == "done"
    assert (told.folder / "order").read_text() == "user\nrepository\n"

    project.write(CONFIG, f"[[hooks]]\n{hook('run.started', 'echo changed >> order')}\n")
    project.commit("other hooks")
    with pytest.raises(UsageError, match="changed since you trusted it"):
        await project.run(turns, order=Order("TASK-1", fresh=True))


async def test_a_hook_gets_the_user_s_variables_without_the_model_s_key(
    project: Project, told: Told
) -> None:
    told.configure(hook("run.started", "env > env"))
    project.world = type(project.world)(
        project.root,
        {**project.world.environment, "ANTHROPIC_API_KEY": "k" * 40, "MINE": "yes"},
        project.world.cache,
    )

    await project.run([turn(HELLO), turn()])

    environment = (told.folder / "env").read_text()
    assert "MINE=yes" in environment
    assert "k" * 40 not in environment
