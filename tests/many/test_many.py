"""Several tasks at once: order, bases, landing on one branch, stopping, going on."""

import json
import signal
from dataclasses import replace
from typing import Any

import pytest

from agentflow.events import Event, GateFinished, ToolFinished
from agentflow.stopping import Stop
from tests.many.fleet import Fleet, commit_beside, outcomes, writes
from tests.run.project import bash, call, turn

pytestmark = pytest.mark.sandbox


async def test_each_task_lands_on_its_own_branch_and_dependents_build_on_it(fleet: Fleet) -> None:
    fleet.task("A", writes("a/one.txt"))
    fleet.task("B", writes("b/two.txt"))
    fleet.task("C", writes("c/three.txt"), header="allow: [c/]\ndepends_on: [A, B]")
    fleet.task("D", writes("d/four.txt"), header="allow: [d/]\ndepends_on: A")

    report = await fleet.run("C", "D", "A", "B")

    assert outcomes(report) == dict.fromkeys("CDAB", "done")
    assert (report["outcome"], report["exit_code"], report["num_turns"]) == ("done", 0, 8)
    git = fleet.project.git
    listed = git("ls-tree", "-r", "--name-only", "agentflow/C").splitlines()
    assert {"a/one.txt", "b/two.txt", "c/three.txt"} <= set(listed)
    assert "b/two.txt" not in git("ls-tree", "-r", "--name-only", "agentflow/D")
    by = {task["task"]: task for task in report["tasks"]}
    assert by["C"]["base_of"] == ["A", "B"]
    assert git("rev-parse", f"{by['C']['base']}^2") == by["B"]["landed"]["tip"]
    assert by["D"]["base"] == by["A"]["landed"]["tip"]

    again = await fleet.run("C", "D", "A", "B")

    assert [task["already_done"] for task in again["tasks"]] == [True] * 4
    assert len(fleet.requests) == 8
    assert [task["num_turns"] for task in again["tasks"]] == [2] * 4
    assert (again["num_turns"], again["total_cost_usd"], again["hint"]) == (0, 0, "")


async def test_all_land_on_one_branch_and_each_is_judged_together_with_the_others(
    fleet: Fleet,
) -> None:
    for name in "ABC":
        fleet.task(name, writes(f"{name.lower()}/x.txt"))

    report = await fleet.run("A", "B", "C", target="release")

    assert outcomes(report) == dict.fromkeys("ABC", "done")
    git = fleet.project.git
    listed = git("ls-tree", "-r", "--name-only", "release").splitlines()
    assert {"a/x.txt", "b/x.txt", "c/x.txt"} <= set(listed)
    merged = [task for task in report["tasks"] if task["combined"]]
    assert len(merged) == 2
    for task in merged:
        assert git("rev-parse", f"{task['landed']['tip']}^1") == task["combined"]["base"]
        assert git("merge-base", "--is-ancestor", task["commits"][0]["sha"], "release") == ""
    log = git("log", "--first-parent", "--format=%s", "release").splitlines()
    assert sum(line.startswith("Merge ") for line in log) == 2
    assert git("for-each-ref", "refs/agentflow/verified") == ""


async def test_current_moves_the_work_tree_with_every_landing(fleet: Fleet) -> None:
    fleet.task("A", writes("a/x.txt"))
    fleet.task("B", writes("b/x.txt"))

    report = await fleet.run("A", "B", land="current")

    assert outcomes(report) == {"A": "done", "B": "done"}, json.dumps(report["tasks"])
    root = fleet.project.root
    assert [(root / name / "x.txt").read_text() for name in "ab"] == ["new\n", "new\n"]
    assert fleet.project.git("status", "--porcelain", "--untracked-files=no") == ""
    assert fleet.project.git("rev-parse", "HEAD^2") != ""


async def test_a_textual_conflict_goes_back_once_with_both_sides(fleet: Fleet) -> None:
    """Boundaries keep agents apart; a conflict comes from somebody else."""
    first = "print('by the agent')\n"
    fixed = "print('by both')\n"
    fleet.task(
        "A",
        [turn(call("Read", file_path="app/main.py")),
         turn(call("Write", file_path="app/main.py", content=first)), turn()],
        header="allow: [app/]",
        again=[turn(call("Read", file_path="app/main.py")),
               turn(call("Write", file_path="app/main.py", content=fixed)), turn()],
    )  # fmt: skip
    fleet.task("B", writes("b/x.txt"))
    git = fleet.project.git
    git("branch", "release")
    moved: list[str] = []

    def meddle(task: str, event: Event) -> None:
        judged = isinstance(event, GateFinished) and event.evidence.gate == "build:test"
        if task == "A" and judged and not moved:
            moved.append(commit_beside(fleet, "release", "app/main.py", "print('by hand')\n"))

    report = await fleet.run("A", "B", target="release", watch=meddle)

    assert outcomes(report) == {"A": "done", "B": "done"}, json.dumps(report["tasks"])
    assert git("show", "release:app/main.py") == fixed.strip()
    assert git("merge-base", "--is-ancestor", moved[0], "release") == ""
    by = {task["task"]: task for task in report["tasks"]}
    assert len(by["A"]["runs"]) == 2
    told = fleet.first_messages("A")[1]
    assert "by hand" in told
    assert "by the agent" in told
    assert git("rev-parse", f"refs/agentflow/verified/{by['A']['runs'][0]}") != ""


async def test_a_result_that_fails_with_what_landed_goes_back_and_the_target_stays_green(
    fleet: Fleet,
) -> None:
    """Green alone and red with what landed: the target stays green."""
    turns = [turn(call("Write", file_path="a/x.txt", content="A\n")), turn()]
    gate = {"name": "test", "command": "! { test -e a/x.txt && test -e other.txt; }"}
    fleet.task("A", turns, again=turns)
    git = fleet.project.git
    git("branch", "release")
    moved: list[str] = []

    def meddle(task: str, event: Event) -> None:
        judged = isinstance(event, GateFinished) and event.evidence.gate == "build:test"
        if task == "A" and judged and not moved:
            moved.append(commit_beside(fleet, "release", "other.txt", "x\n"))

    report = await fleet.run("A", target="release", watch=meddle, gates=[gate], max_repairs=0)

    assert git("rev-parse", "release") == moved[0]
    entry = report["tasks"][0]
    assert len(entry["runs"]) == 2
    assert "a/x.txt" in git(
        "ls-tree", "-r", "--name-only", f"refs/agentflow/verified/{entry['runs'][0]}"
    )
    assert (entry["outcome"], report["exit_code"]) == ("failed", 1)


async def test_every_commit_that_the_target_ever_names_is_green(fleet: Fleet) -> None:
    """Any two of three results are green together, and all three are not."""
    command = "! { test -e a/x.txt && test -e b/x.txt && test -e c/x.txt; }"
    for name in "ABC":
        fleet.task(name, writes(f"{name.lower()}/x.txt"))
    git = fleet.project.git
    git("branch", "release")

    report = await fleet.run(
        *"ABC",
        target="release",
        gates=[{"name": "test", "command": command}],
        max_repairs=0,
        keep_going=True,
    )

    assert sorted(outcomes(report).values()) == ["done", "done", "failed"]
    landed = git("rev-list", "--first-parent", "main..release").splitlines()
    assert len(landed) == 2
    for commit in landed:
        found = git("ls-tree", "-r", "--name-only", commit).splitlines()
        assert not {"a/x.txt", "b/x.txt", "c/x.txt"} <= set(found)


async def test_a_result_that_conflicts_twice_ends_with_7_and_is_kept(fleet: Fleet) -> None:
    turns = [turn(bash("echo by the agent > app/hello.txt")), turn()]
    fleet.task("A", turns, header="allow: [app/]", again=turns)
    git = fleet.project.git
    git("branch", "release")

    def meddle(task: str, event: Event) -> None:
        if isinstance(event, GateFinished) and event.evidence.gate == "build:test":
            now = git("rev-parse", "release")
            commit_beside(fleet, "release", "app/hello.txt", f"by hand after {now}\n")

    report = await fleet.run("A", target="release", watch=meddle)

    entry = report["tasks"][0]
    assert (entry["outcome"], report["exit_code"], len(entry["runs"])) == ("conflict", 7, 2)
    assert "app/hello.txt changed there too" in entry["reason"]
    for run in entry["runs"]:
        kept = git("show", f"refs/agentflow/verified/{run}:app/hello.txt")
        assert kept == "by the agent"
    assert git("show", "release:app/hello.txt").startswith("by hand")


async def test_who_works_beside_an_agent_is_told_to_it(fleet: Fleet) -> None:
    fleet.project.write(
        ".orchestrator/prompts/plain.md",
        "---\nagentflow:\n  variables: [$PARALLEL_AGENTS]\n---\n\nOthers: $PARALLEL_AGENTS\n",
    )
    fleet.project.commit()
    fleet.task("A", writes("a/x.txt"))
    fleet.task("B", writes("b/x.txt"))
    fleet.task("C", writes("c/x.txt"), header="allow: [c/]\ndepends_on: A")

    await fleet.run("A", "B", "C")

    told = {task: fleet.first_messages(task)[0] for task in "ABC"}
    assert "- B (Do B): `b/`" in told["A"]
    assert "- C (" not in told["A"]
    assert "- A (Do A): `a/`" in told["B"]
    assert "- C (Do C): `c/`" in told["B"]
    assert "## Needed elsewhere" in told["C"]
    system = {str(body["system"]) for body in fleet.requests}
    assert any("Others: - A: `a/`\\n- C: `c/`" in text for text in system)


@pytest.mark.parametrize(
    ("limit", "named"),
    [
        ({"max_turns": 5}, "5 turns"),
        ({"max_tokens": 210_000}, "210000 tokens"),
        ({"max_input_tokens": 199_000}, "199000 input tokens"),
        ({"max_output_tokens": 9_000}, "9000 output tokens"),
        ({"timeout": 50.0}, "50 seconds"),
    ],
)
async def test_a_limit_holds_for_all_tasks_together(
    limit: dict[str, Any], named: str, fleet: Fleet
) -> None:
    """Each of the two would keep it alone: it has four replies, and takes 30 s."""
    used = {"input_tokens": 39_000, "output_tokens": 1_000}
    for name in "AB":
        does = [
            bash("true"),
            bash("true"),
            call("Write", file_path=f"{name.lower()}/x", content="x"),
        ]
        fleet.task(name, [*(turn(each, usage=used) for each in does), turn(usage=used)])
    seconds = 0.0

    def pass_time(task: str, event: Event) -> None:
        nonlocal seconds
        seconds += 10 * isinstance(event, ToolFinished)

    fleet.project.world = replace(fleet.project.world, clock=lambda: seconds)
    report = await fleet.run("A", "B", keep_going=True, at_once=1, watch=pass_time, **limit)

    assert outcomes(report) == {"A": "done", "B": "budget"}
    assert report["exit_code"] == 4
    reason = report["tasks"][1]["reason"]
    assert named in reason
    assert "for all tasks together" in reason


async def test_ctrl_c_stops_after_the_turn_and_the_same_command_goes_on(fleet: Fleet) -> None:
    for name in "ABC":
        low = name.lower()
        fleet.task(name, [turn(bash(f"echo one >> {low}/x.txt")),
                          turn(bash(f"echo two >> {low}/x.txt")), turn()])  # fmt: skip
    stop = Stop()

    def press(task: str, event: Event) -> None:
        if isinstance(event, ToolFinished):
            stop.soon(signal.SIGINT)

    stopped = await fleet.run("A", "B", "C", stop=stop, watch=press, at_once=1)

    assert outcomes(stopped) == {"A": "interrupted", "B": "skipped", "C": "skipped"}
    assert (stopped["outcome"], stopped["exit_code"]) == ("interrupted", 130)
    run = stopped["tasks"][0]["run"]
    assert [task["hint"] for task in stopped["tasks"]] == [f"agentflow resume {run}", "", ""]
    assert stopped["hint"] == "agentflow run --all"
    anew = await fleet.run("A", "B", "C", stop=stop, fresh=True)
    assert anew["hint"] == "agentflow run --all"
    assert len(fleet.requests) == 1

    finished = await fleet.run("A", "B", "C")

    assert outcomes(finished) == dict.fromkeys("ABC", "done")
    assert len(fleet.requests) == 9
    assert [task["num_turns"] for task in finished["tasks"]] == [3] * 3
    assert (stopped["num_turns"], finished["num_turns"]) == (1, 8)
    for name in "ab":
        assert fleet.project.git("show", f"agentflow/{name.upper()}:{name}/x.txt") == "one\ntwo"
    assert finished["tasks"][0]["run"] == stopped["tasks"][0]["run"]


async def test_who_depends_on_a_failed_task_is_not_begun(fleet: Fleet) -> None:
    fleet.task(
        "A", [turn(call("Write", file_path=".orchestrator/complete/A.failed", content="no"))]
    )
    fleet.task("B", writes("b/x.txt"), header="allow: [b/]\ndepends_on: A")
    fleet.task("C", writes("c/x.txt"))

    report = await fleet.run("A", "B", "C", keep_going=True, at_once=1)

    assert outcomes(report) == {"A": "failed", "B": "skipped", "C": "done"}
    assert (report["outcome"], report["exit_code"]) == ("failed", 1)
    assert report["tasks"][1]["reason"] == "waits for A"
