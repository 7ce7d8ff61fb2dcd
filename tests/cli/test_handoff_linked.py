"""Handoffs whose work lies in submodules: one run per repository, landed in all or in none."""

import json
import os
import shlex
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.test_cli import Terminal
from tests.run.project import Project, bash, call, turn
from tests.workflows.superproject import BLOCK, DTO, MAIL, TYPES, add_submodules, git, work

pytestmark = pytest.mark.sandbox

GATE = ("--gate", "test=true", "--prompt", "plain")


@pytest.fixture
def terminal(project: Project, tmp_path: Path) -> Iterator[Terminal]:
    """A superproject with a service and the shared types as submodules."""
    add_submodules(project, tmp_path)
    (tmp_path / "block.md").write_text(BLOCK)
    terminal = Terminal(project, tmp_path)
    yield terminal
    terminal.close()


def order(terminal: Terminal, url: str) -> tuple[str, ...]:
    return ("handoff", str(terminal.project.root.parent / "block.md"), "--base-url", url, *GATE)


def branch(terminal: Terminal, name: str, target: str) -> str:
    return git(terminal.project.root / name, "branch", "--list", "--format=%(objectname)", target)


def test_parts_land_together_and_the_pointers_move_on_demand(terminal: Terminal) -> None:
    root = terminal.project.root
    url = terminal.serve(*work())

    ended = terminal.run(*order(terminal, url), "--json", "--bump")

    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout.splitlines()[-1])
    target = f"agentflow/{report['task']}"
    assert [run["task"] for run in report["runs"]] == [f"{report['task']}-1", f"{report['task']}-2"]
    assert git(root / TYPES, "diff", "--name-only", "main", target) == "mail.dto.ts"
    assert git(root / MAIL, "diff", "--name-only", "main", target) == "src/mail.ts"
    assert f"linked    landed together: {TYPES}, then {MAIL}" in ended.stderr
    before = ended.stderr.partition(" turn ")[0].splitlines()
    told = [line for line in before if line.startswith(("part ", "gate ", "may change"))]
    assert [line.split()[:2] for line in told if line.startswith("part")] == [
        ["part", f"{report['task']}-1"], ["part", f"{report['task']}-2"],
    ]  # fmt: skip
    assert told.count("gate      test: true") == 2
    landed = {name: branch(terminal, name, target) for name in (TYPES, MAIL)}
    assert report["bump"]["pointers"] == landed
    assert git(root, "diff", "--name-only", "main", target).split() == [MAIL, TYPES]
    assert git(root, "log", "--format=%s", f"main..{target}") == (
        f"chore({report['task']}): move {MAIL}, {TYPES}"
    )
    assert git(root, "rev-parse", f"{target}:{MAIL}") == landed[MAIL]
    assert git(root, "status", "--porcelain", "--untracked-files=no") == ""

    again = terminal.run(*order(terminal, "http://127.0.0.1:1"), "--bump")
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, f"done  {report['task']}")
    said = terminal.run("reply", report["task"])
    assert said.stdout.count("--- FRONTEND TASK HANDOFF") == 2, said.stderr
    assert "POST /v1/mails { to: string }" in said.stdout


def test_a_limit_holds_for_all_parts_together_and_the_next_call_goes_on(terminal: Terminal) -> None:
    """Each part has two replies, and would keep it alone."""
    used = {"input_tokens": 30_000, "output_tokens": 100}
    url = terminal.serve(*({**each, "usage": used} for each in work()))

    ended = terminal.run(*order(terminal, url), "--json", "--max-tokens", "100000")

    report = json.loads(ended.stdout.splitlines()[-1])
    assert (ended.returncode, [run["outcome"] for run in report["runs"]]) == (4, ["done", "budget"])
    assert "100000 tokens for all parts together" in report["reason"]
    assert report["enough"] == {"max_tokens": 200_000}
    step = shlex.split(report["hint"])
    assert step[:2] == ["agentflow", "handoff"]
    assert step[step.index("--max-tokens") + 1] == "200000"
    step[step.index("--base-url") + 1] = terminal.serve(*work())
    again = terminal.run(*step[1:], "--json")
    assert again.returncode == 0, again.stderr
    runs = json.loads(again.stdout.splitlines()[-1])["runs"]
    assert [run["run"] for run in runs] == [run["run"] for run in report["runs"]]


def test_a_part_that_fails_keeps_the_other_from_landing_and_is_tried_again(
    terminal: Terminal,
) -> None:
    wrong = terminal.serve(*work(DTO.replace("to: string", "to: number")))

    failed = terminal.run(*order(terminal, wrong), "--json")

    report = json.loads(failed.stdout.splitlines()[-1])
    target = f"agentflow/{report['task']}"
    assert (failed.returncode, [run["outcome"] for run in report["runs"]]) == (
        1, ["done", "failed"],
    )  # fmt: skip
    assert report["reason"].endswith("nothing of the handoff landed")
    assert branch(terminal, TYPES, target) == branch(terminal, MAIL, target) == ""

    ended = terminal.run(*order(terminal, terminal.serve(*work())), "--json")

    again = json.loads(ended.stdout.splitlines()[-1])
    assert ended.returncode == 0, ended.stderr
    assert again["runs"][0]["run"] == report["runs"][0]["run"]
    assert [again["num_turns"], *(run["num_turns"] for run in again["runs"])] == [2, 2, 2]
    assert again["bump"] is None
    assert branch(terminal, TYPES, target)
    assert branch(terminal, MAIL, target)


def test_a_part_that_asks_is_answered_where_it_is_and_the_same_command_goes_on(
    terminal: Terminal,
) -> None:
    root = terminal.project.root
    planned = terminal.run(*order(terminal, "http://127.0.0.1:1"), "--json", "--dry-run")
    name = json.loads(planned.stdout)["task"]
    ask = call("Write", file_path=f".orchestrator/complete/{name}-1.blocked", content="Whose?")
    url = terminal.serve(turn(ask), *work())

    asked = terminal.run(*order(terminal, url), "--json")

    report = json.loads(asked.stdout)
    run = report["runs"][0]["run"]
    assert (asked.returncode, report["hint"]) == (
        3,
        f"In {TYPES}: agentflow answer {run} 'your answer'\n"
        f"Then: agentflow handoff {name} --prompt plain --base-url {url} --gate {GATE[1]}",
    )
    project = replace(terminal.project, root=root / TYPES)
    there = Terminal(project, root.parent)
    assert there.run("answer", run, "Ours.", "--base-url", url).returncode == 0
    ended = terminal.run(*order(terminal, terminal.serve(*work())), "--json")
    landed = json.loads(ended.stdout.splitlines()[-1])
    assert (ended.returncode, landed["runs"][0]["run"], landed["num_turns"]) == (0, run, 2)


def test_a_kill_between_the_landings_is_mended_by_the_next_call(terminal: Terminal) -> None:
    root = terminal.project.root
    url = terminal.serve(*work())
    planned = terminal.run(*order(terminal, url), "--json", "--dry-run")
    name = json.loads(planned.stdout)["task"]
    target = f"agentflow/{name}"
    # The second landing waits for a lock that nobody will take away.
    inner = Path(git(root / MAIL, "rev-parse", "--absolute-git-dir"))
    lock = inner / f"refs/heads/{target}.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    git(root / MAIL, "config", "core.filesRefLockTimeout", "-1")

    process = terminal.start(*order(terminal, url))
    assert process.stderr is not None
    assert any(line.startswith(f"landed {name}-1 ") for line in iter(process.stderr.readline, ""))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    assert branch(terminal, TYPES, target)
    assert branch(terminal, MAIL, target) == ""
    lock.unlink()
    # As a call leaves it that dies when the branch has moved.
    [run] = (root / TYPES).glob(f".orchestrator/runs/{name}-1-*")
    git(root / TYPES, "update-ref", f"refs/agentflow/verified/{run.name}", f"refs/heads/{target}")

    # Nothing is planned again: without a gate, no run could be.
    ended = terminal.run("handoff", str(root.parent / "block.md"), "--json")

    report = json.loads(ended.stdout.splitlines()[-1])
    assert (ended.returncode, report["outcome"]) == (0, "done"), ended.stderr
    for each, place in zip(report["runs"], (TYPES, MAIL), strict=True):
        assert each["landed"] == {
            "ref": f"refs/heads/{target}",
            "tip": branch(terminal, place, target),
            "replaced": None,
        }
        assert git(root / place, "for-each-ref", "refs/agentflow/verified") == ""


def test_a_part_that_was_cut_off_goes_on_where_it_was(terminal: Terminal) -> None:
    first, *rest = work()
    slow = turn(bash("true"), latency=4)
    order_ = order(terminal, terminal.serve(first, slow, *rest))
    process = terminal.start(*order_, "--json")
    assert process.stderr is not None
    words = next(line for line in iter(process.stderr.readline, "") if "-2-" in line).split()
    run = next(word for word in words if "-2-" in word)
    journal = terminal.project.root / MAIL / ".orchestrator/runs" / run / "journal.jsonl"
    while '"agentflow.tool_finished"' not in journal.read_text():
        time.sleep(0.05)
    time.sleep(1)  # until the checkpoint is made, which happens while the model is asked
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)

    ended = terminal.run(*order(terminal, terminal.serve(first, *rest)), "--json")

    report = json.loads(ended.stdout.splitlines()[-1])
    assert (ended.returncode, report["outcome"]) == (0, "done"), ended.stderr
    assert report["runs"][1]["run"] == run
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert sum(line["type"] == "agentflow.run_resumed" for line in lines) == 1
    assert sum(line["type"] == "agentflow.tool_finished" for line in lines) == 1


def test_a_target_that_cannot_take_its_part_keeps_all_from_landing(terminal: Terminal) -> None:
    url = terminal.serve(*work())
    name = json.loads(terminal.run(*order(terminal, url), "--json", "--dry-run").stdout)["task"]
    target = f"agentflow/{name}"
    mail = terminal.project.root / MAIL

    process = terminal.start(*order(terminal, url), "--json")
    assert process.stderr is not None
    lines = iter(process.stderr.readline, "")
    assert any(f" run {name}-2" in line for line in lines)
    git(mail, "branch", target, git(mail, "commit-tree", "HEAD^{tree}", "-m", "x"))
    output, _ = process.communicate(timeout=60)

    report = json.loads(output.splitlines()[-1])
    assert (process.returncode, report["outcome"]) == (7, "conflict")
    assert branch(terminal, TYPES, target) == ""


def test_what_cannot_be_linked_is_refused(terminal: Terminal) -> None:
    url = "http://127.0.0.1:1"
    current = terminal.run(*order(terminal, url), "--land", "current")
    nothing = terminal.run(*order(terminal, url), "--land", "none", "--bump")
    at_home = terminal.run(
        "handoff", str(terminal.project.root.parent / "block.md"), "--service", "app", "--bump",
        *GATE, "--dry-run",
    )  # fmt: skip
    assert (current.returncode, nothing.returncode) == (2, 2)
    assert "linked runs land on branches" in current.stderr
    assert "--land none lands nothing" in nothing.stderr
    assert at_home.returncode == 0, at_home.stderr


def pointers(root: Path) -> tuple[str, str, str]:
    """What of a superproject says where its submodules are: commits, index, work tree."""
    tree = git(root, "ls-tree", "HEAD", MAIL, TYPES)
    return tree, git(root, "ls-files", "--stage", MAIL, TYPES), git(root, "branch", "--list", "-v")


def test_a_target_that_is_no_branch_s_name_is_refused_before_anything_is_paid(
    terminal: Terminal,
) -> None:
    named = ("--target", "refs/heads/main", "--dry-run")

    ended = terminal.run(*order(terminal, "http://127.0.0.1:1"), *named)

    assert ended.returncode == 2
    assert ended.stderr.endswith(
        "error: refs/heads/main is a ref, not a branch's name\n  Give its short name: main\n"
    )


def test_work_in_one_submodule_lands_there_and_no_pointer_moves(terminal: Terminal) -> None:
    root = terminal.project.root
    (root.parent / "block.md").write_text(BLOCK.replace(" in @acme/types", ""))
    before, heads = (
        pointers(root),
        [git(root / each, "rev-parse", "HEAD") for each in (MAIL, TYPES)],
    )
    url = terminal.serve(*work())

    ended = terminal.run(*order(terminal, url), "--json")

    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout.splitlines()[-1])
    assert (report["type"], report["outcome"]) == ("result", "done")
    target = report["branch"]
    assert git(root / MAIL, "diff", "--name-only", "main", target) == "src/mail.ts"
    assert branch(terminal, TYPES, target) == ""
    assert pointers(root) == before
    assert [git(root / each, "rev-parse", "HEAD") for each in (MAIL, TYPES)] == heads
    assert git(root, "status", "--porcelain", "--untracked-files=no") == ""

    bumped = terminal.run(*order(terminal, "http://127.0.0.1:1"), "--bump", "--json")

    assert bumped.returncode == 0, bumped.stderr
    moved = json.loads(bumped.stdout.splitlines()[-1])["bump"]
    assert moved["pointers"] == {MAIL: branch(terminal, MAIL, target)}
    assert git(root, "rev-parse", f"{moved['branch']}:{MAIL}") == branch(terminal, MAIL, target)
    assert pointers(root)[:2] == before[:2]


def test_linked_parts_move_no_pointer_unless_they_are_told_to(terminal: Terminal) -> None:
    root, before = terminal.project.root, pointers(terminal.project.root)

    ended = terminal.run(*order(terminal, terminal.serve(*work())), "--json")

    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout.splitlines()[-1])
    assert branch(terminal, MAIL, f"agentflow/{report['task']}") != ""
    assert report["bump"] is None
    assert pointers(root) == before


def test_parts_that_are_right_alone_must_be_right_together(terminal: Terminal) -> None:
    project = terminal.project
    root, target = project.root, "agentflow/joint"
    check = (
        f'grep -q CreateMailDto {TYPES}/mail.dto.ts && grep -q "const {{0}} = 1" {MAIL}/src/mail.ts'
    )
    project.write(
        ".orchestrator/config.toml",
        '[environment]\nnetwork = ["a.example"]\n'
        f"[[gates]]\nname = \"contract\"\ncommand = '{check.format('y')}'\n",
    )
    project.commit("ci: the parts together")
    # What the superproject is granted holds for the parts together.
    assert terminal.run("trust", "--yes").returncode == 0
    url = terminal.serve(*work())

    ended = terminal.run(*order(terminal, url), "--target", target, "--json")

    report = json.loads(ended.stdout.splitlines()[-1])
    assert (ended.returncode, report["outcome"]) == (1, "failed"), ended.stderr
    assert "each part is verified, but together they are not: build:contract" in report["reason"]
    assert [each["outcome"] for each in report["runs"]] == ["done", "done"]
    assert branch(terminal, MAIL, target) == branch(terminal, TYPES, target) == ""
    failed = [g["gate"] for g in report["together"]["gates"] if g["status"] == "failed"]
    assert failed == ["build:contract"]

    config = root / ".orchestrator/config.toml"
    config.write_text(config.read_text().replace("const y", "const x"))
    project.commit("ci: mended")
    again = terminal.run(*order(terminal, "http://127.0.0.1:1"), "--target", target, "--json")

    landed = json.loads(again.stdout.splitlines()[-1])
    assert (again.returncode, landed["outcome"], landed["num_turns"]) == (
        0, "done", 0,
    ), again.stderr  # fmt: skip
    assert landed["together"]["passed"]
    assert git(root / MAIL, "diff", "--name-only", "main", target) == "src/mail.ts"
