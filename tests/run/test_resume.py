"""Going on with a run: interrupted, out of budget, blocked, set back, forked."""

import asyncio
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from agentflow.archive import prune
from agentflow.done_runs import choose_run, open_runs
from agentflow.errors import Held, UsageError
from agentflow.events import AssistantMessage, Event, Notice, ToolStarted
from agentflow.order import Order
from agentflow.plan import make_plan
from agentflow.records import Json
from agentflow.resuming import order_of, state_of
from agentflow.rewinding import fork, rewind
from agentflow.runs import task_lock
from agentflow.workspace.checkpoint import ref_of
from agentflow.workspace.repository import open_repository
from tests.run.project import HELLO, Project, bash, call, turn

pytestmark = pytest.mark.sandbox

LOG = bash("echo once >> app/log.txt")
TURNS = [turn(LOG), turn(HELLO), turn(text="I wrote it.")]


async def resumed(
    project: Project, run: str, turns: list[Json], answer: str | None = None, **flags: Any
) -> Json:
    """Go on with a run; the model's address is the new one."""
    repository = open_repository(project.root, project.world.environment)
    order = order_of(repository, project.world.cache, run)
    given = {name: order.flags[name] for name in order.flags if name not in {"base_url", *flags}}
    order = replace(order, flags=given, answer=answer)
    return await project.run(turns, order=order, **flags)


async def test_a_run_out_of_turns_goes_on_with_more(project: Project) -> None:
    stopped = await project.run(TURNS, max_turns=1)
    assert (stopped["outcome"], stopped["exit_code"]) == ("budget", 4)
    assert open_runs(project.root) == [stopped["run"]]
    project.requests.clear()

    report = await resumed(project, stopped["run"], TURNS, max_turns=10)

    assert report["outcome"] == "done"
    assert report["run"] == stopped["run"]
    assert report["num_turns"] == 3
    assert len(project.requests) == 2
    assert project.git("show", "agentflow/TASK-1:app/log.txt") == "once"
    assert report["total_cost_usd"] > stopped["total_cost_usd"]
    assert project.marker("done") == "done"


async def test_commits_have_the_time_that_the_first_line_tells(project: Project) -> None:
    """A process that goes on has no other: by another second, the commits would have other names."""
    start, ticks = datetime(2026, 1, 1, tzinfo=UTC), count()
    project.world = replace(project.world, now=lambda: start + timedelta(seconds=0.7 * next(ticks)))

    report = await project.run(TURNS)

    first = datetime.fromisoformat(project.journal(report["run"])[0]["at"])
    dated = project.git("log", "-1", "--format=%ct", report["landed"]["tip"])
    assert int(dated) == int(first.timestamp())


async def test_locks_of_a_dead_git_are_removed_and_ignored_files_are_not_kept(
    project: Project,
) -> None:
    project.write(".gitignore", "*.log\n.orchestrator/\n")
    project.commit("chore: ignore")
    turns = [turn(bash("echo kept > app/a.txt; echo lost > app/b.log")), turn(bash("ls app")),
             turn(HELLO), turn()]  # fmt: skip
    stopped = await project.run(turns, max_turns=1)
    repository = open_repository(project.root, project.world.environment)
    state = state_of(repository, project.world.cache, stopped["run"]).directory
    for lock in ("HEAD.lock", "packed-refs.lock", f"refs/agentflow/runs/{stopped['run']}.lock"):
        (state / lock).touch()

    report = await resumed(project, stopped["run"], turns, max_turns=9)

    assert report["outcome"] == "done"
    assert not list(state.rglob("*.lock"))
    listed = project.requests[-2]["messages"][-1]["content"][0]["content"]
    assert str(listed).split()[:2] == ["a.txt", "main.py"]


async def test_an_interrupted_call_runs_again_on_the_files_before_it(project: Project) -> None:
    slow = bash("echo again >> app/log.txt; sleep 4")
    turns = [turn(LOG, HELLO), turn(slow), turn(bash("cat app/log.txt")), turn(text="Done.")]

    def watch(event: Event) -> None:
        if isinstance(event, ToolStarted) and "again" in event.target:
            asyncio.get_running_loop().call_later(0.5, work.cancel, 2)

    work = asyncio.create_task(project.run(turns, watch=watch))
    stopped = await work
    assert (stopped["outcome"], stopped["exit_code"]) == ("interrupted", 130)
    project.requests.clear()
    report = await resumed(project, stopped["run"], [*turns[:1], turn(LOG), *turns[2:]])

    assert report["outcome"] == "done"
    # The paid reply is not asked for again, and its call ran once on the files of the turn before.
    assert len(project.requests) == 2
    assert project.git("show", "agentflow/TASK-1:app/log.txt") == "once\nagain"


async def test_a_call_that_timed_out_is_answered_and_not_run_again(project: Project) -> None:
    slow = bash("echo slow >> app/log.txt; sleep 60", timeout=1000)
    turns = [turn(slow), turn(HELLO), turn(text="I wrote it.")]
    stopped = await project.run(turns, max_turns=1)
    (result,) = [
        block
        for line in project.journal(stopped["run"])
        if line["type"] == "user" and isinstance(line["message"]["content"], list)
        for block in line["message"]["content"]
        if block["type"] == "tool_result"
    ]
    assert "longer than 1 s" in str(result["content"])
    project.requests.clear()

    report = await resumed(project, stopped["run"], turns, max_turns=9)

    assert (report["outcome"], len(project.requests)) == ("done", 2)
    assert project.git("show", "agentflow/TASK-1:app/log.txt") == "slow"


async def test_a_question_is_answered_in_the_same_conversation(project: Project) -> None:
    ask = call("Write", file_path=".orchestrator/complete/TASK-1.blocked", content="Which words?")
    turns = [turn(ask), turn(HELLO), turn(text="I wrote them.")]

    blocked = await project.run(turns)
    assert (blocked["outcome"], blocked["exit_code"]) == ("blocked", 3)
    assert blocked["reason"] == "Which words?"
    project.requests.clear()
    report = await resumed(project, blocked["run"], turns, answer="Say hello.")

    assert report["outcome"] == "done"
    told = project.requests[0]["messages"][-1]
    assert told["role"] == "user"
    assert [block["type"] for block in told["content"]] == ["tool_result", "text"]
    assert told["content"][-1]["text"] == "Say hello."
    assert (project.marker("blocked"), project.marker("done")) == (None, "done")


ASK = turn(call("Write", file_path=".orchestrator/complete/TASK-1.blocked", content="Which words?"))


async def test_who_begins_anew_is_told_of_the_question_before_anything_is_paid(
    project: Project,
) -> None:
    asks, other = [ASK, turn(HELLO), turn()], [turn(HELLO), turn()]
    first = await project.run(asks)
    project.events.clear()

    again = await project.run(asks)

    told = [event for event in project.events if isinstance(event, Notice)]
    [notice] = [each for each in told if "waits for an answer" in each.text]
    assert f"agentflow answer {first['run']} 'your answer'" in notice.text
    paid = next(e for e in project.events if isinstance(e, AssistantMessage))
    assert project.events.index(notice) < project.events.index(paid)
    assert notice.text in again["notices"]

    report = await resumed(project, first["run"], asks, answer="Say hello.")
    assert (report["outcome"], report["run"]) == ("done", first["run"])
    assert not [text for text in report["notices"] if "waits for an answer" in text]

    fresh = await project.run(other, order=Order("TASK-1", fresh=True))
    assert (fresh["outcome"], fresh["notices"]) == ("done", report["notices"])


async def test_an_answer_that_comes_too_late_is_not_dropped_in_silence(project: Project) -> None:
    asks, other = [ASK, turn(HELLO), turn()], [turn(HELLO), turn()]
    first = await project.run(asks)
    done = await project.run(other)
    project.requests.clear()

    with pytest.raises(UsageError, match=r"TASK-1 is done, and the run .* asks nothing any more"):
        await resumed(project, first["run"], asks, answer="Say hello.")

    with pytest.raises(UsageError, match=f"TASK-1 was done by {done['run']}, and the run .* does"):
        await resumed(project, first["run"], asks)
    assert project.requests == []


async def test_the_tool_that_asks_gets_its_answer_days_later(project: Project) -> None:
    project.write(
        ".orchestrator/prompts/asker.md",
        "---\nname: asker\ntools: Write, AskUserQuestion\n---\nAsk, then write.\n",
    )
    question = {"question": "Which words?", "options": [{"label": "hello"}, {"label": "bye"}]}
    turns = [
        turn(call("Write", file_path="app/first.txt", content="1\n"),
             call("AskUserQuestion", questions=[question])),
        turn(HELLO),
        turn(text="I wrote them."),
    ]  # fmt: skip

    blocked = await project.run(turns, prompt="asker", timeout=3600)
    assert (blocked["outcome"], blocked["exit_code"]) == ("blocked", 3)
    assert blocked["reason"] == "Which words?\n- hello\n- bye"
    assert project.marker("blocked") == "blocked"
    again = await resumed(project, blocked["run"], turns)
    assert again["outcome"] == "blocked"
    project.requests.clear()
    # After a boot, whose clock begins anew, and longer than the run may take.
    days, begun = timedelta(days=9), time.monotonic()
    project.world = replace(
        project.world,
        now=lambda: datetime.now(UTC) + days,
        clock=lambda: time.monotonic() - begun,
    )
    report = await resumed(project, blocked["run"], turns, answer="hello")

    assert report["outcome"] == "done"
    results = project.requests[0]["messages"][-1]["content"]
    assert [block["content"] for block in results][1] == "hello"
    assert len(project.requests) == 2
    assert report["run"] == blocked["run"]


async def test_a_prompt_that_does_not_name_it_cannot_ask(project: Project) -> None:
    await project.run(TURNS)
    assert "AskUserQuestion" not in {tool["name"] for tool in project.requests[0]["tools"]}


async def test_a_run_that_was_set_back_goes_on_from_there(project: Project) -> None:
    wrong = turn(call("Write", file_path="app/other.txt", content="x\n"))
    failed = await project.run([turn(LOG), wrong, turn(), turn(), turn()], max_repairs=0)
    assert failed["outcome"] == "failed"
    repository = open_repository(project.root, project.world.environment)

    with pytest.raises(UsageError, match="no checkpoint of turn 9"):
        rewind(repository, project.world, failed, 9)
    state = state_of(repository, project.world.cache, failed["run"])
    (state.directory / f"{ref_of(failed['run'])}.lock").touch()  # as a process that was killed
    rewind(repository, project.world, failed, 1)
    assert project.marker("failed") is None
    report = await resumed(project, failed["run"], TURNS)

    assert report["outcome"] == "done"
    assert project.git("ls-tree", "--name-only", "agentflow/TASK-1", "app/").split() == [
        "app/hello.txt",
        "app/log.txt",
        "app/main.py",
    ]
    assert report["num_turns"] == failed["num_turns"] + 2  # what was paid stays counted


async def test_a_fork_begins_with_the_conversation_and_files_of_a_turn(project: Project) -> None:
    done = await project.run(TURNS)
    assert done["outcome"] == "done"
    repository = open_repository(project.root, project.world.environment)
    order = order_of(repository, project.world.cache, done["run"])
    flags = {**order.flags, "model": "haiku", "target": "other"}
    plan = await make_plan(replace(order, flags=flags), project.world)

    name = fork(plan, project.world, done["run"], 1)
    project.requests.clear()
    project.git("update-ref", "-d", "refs/heads/agentflow/TASK-1")
    (project.root / ".orchestrator/complete/TASK-1.done").unlink()
    other = call("Write", file_path="app/hello.txt", content="other\n")
    report = await resumed(project, name, [TURNS[0], turn(other), turn(text="Done.")])

    assert report["outcome"] == "done"
    assert report["run"] == name
    assert report["model"].startswith("claude-haiku")
    assert report["num_turns"] == 2
    assert project.git("show", "other:app/log.txt") == "once"
    assert project.git("show", "other:app/hello.txt") == "other"
    assert len(project.requests[0]["messages"]) == 3


async def test_a_task_whose_text_changed_does_not_go_on(project: Project) -> None:
    stopped = await project.run(TURNS, max_turns=1)
    project.task(text="# Say goodbye\n\nWrite it.")
    with pytest.raises(UsageError, match="the text of TASK-1 changed since the run"):
        await resumed(project, stopped["run"], TURNS, max_turns=10)


async def test_a_journal_that_lost_lines_is_put_back(project: Project) -> None:
    stopped = await project.run(TURNS, max_turns=2)
    journal = project.root / ".orchestrator/runs" / stopped["run"] / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join([*lines[:2], '{"type": "user", "message": {}}\n']))

    report = await resumed(project, stopped["run"], TURNS, max_turns=10)

    assert report["outcome"] == "done"
    assert journal.read_text().splitlines(keepends=True)[:8] == lines[:8]


async def test_a_run_that_came_with_the_repository_is_not_believed(project: Project) -> None:
    stopped = await project.run(TURNS, max_turns=1)
    for folder in project.world.cache.glob("*/runs/*"):
        folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(UsageError, match="nothing is kept of the run"):
        await resumed(project, stopped["run"], TURNS)


async def test_runs_are_chosen_by_name_task_or_because_there_is_one(project: Project) -> None:
    with pytest.raises(UsageError, match="no run here can go on"):
        choose_run(project.root, None, blocked=False)
    stopped = await project.run(TURNS, max_turns=1)
    for wanted in (None, "TASK-1", stopped["run"]):
        assert choose_run(project.root, wanted, blocked=False) == stopped["run"]
    with pytest.raises(UsageError, match="asks nothing: it stopped at a limit"):
        choose_run(project.root, "TASK-1", blocked=True)
    with pytest.raises(UsageError, match="there is no run or task 'TASK-2'"):
        choose_run(project.root, "TASK-2", blocked=False)


async def test_old_runs_are_removed_and_their_commits_stay(project: Project) -> None:
    done = await project.run(TURNS)
    repository = open_repository(project.root, project.world.environment)
    now = project.world.now()

    def pruned(days: int, *, really: bool = True) -> list[str]:
        keep = timedelta(days=days)
        found = prune(repository, project.world.cache, now, keep, really=really)
        return [f"{old.run}{old.stays and ': '}{old.stays}" for old in found]

    assert pruned(1) == []
    assert pruned(0, really=False) == [done["run"]]
    assert json.loads((project.root / ".orchestrator/reports/TASK-1.json").read_text()) == done
    with task_lock(repository.locks(project.world.cache), "TASK-1"):
        said = f"{done['run']}: another run of TASK-1 is at work"
        assert pruned(0) == [said], "somebody may be going on with it"
    assert pruned(0) == [done["run"]]
    assert pruned(0) == []
    assert project.git("for-each-ref", "refs/agentflow") == ""
    assert list(project.world.cache.glob("*/runs/*")) == []
    assert project.git("show", "agentflow/TASK-1:app/log.txt") == "once"


async def test_two_processes_do_not_go_on_with_one_run(project: Project) -> None:
    stopped = await project.run(TURNS, max_turns=1)
    both = await asyncio.gather(
        resumed(project, stopped["run"], TURNS, max_turns=10),
        resumed(project, stopped["run"], TURNS, max_turns=10),
        return_exceptions=True,
    )
    refused = [each for each in both if isinstance(each, Held)]
    assert [str(error) for error in refused] == ["another run of TASK-1 is at work"]
    assert project.git("show", "agentflow/TASK-1:app/log.txt") == "once"


def test_an_order_outlives_its_process() -> None:
    order = Order("TASK-1", flags={"gates": [{"name": "a", "command": "b"}], "max_turns": 3})
    assert json.loads(json.dumps(order.as_json))["flags"] == order.flags
