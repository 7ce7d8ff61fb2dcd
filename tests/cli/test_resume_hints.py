"""What `agentflow resume` says leads on: commands that can be given as they stand there."""

import asyncio
import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.runs import FOLDER, JOURNAL
from tests.cli.shell import Shell
from tests.cli.test_fork_done import FIRST

pytestmark = pytest.mark.sandbox

OWN = re.compile(r"(?<!\S)--(base|target|fresh|land)\b")
"""Options of other commands, which `resume` has not."""


@pytest.fixture
def left(bwrap: str, tmp_path: Path) -> tuple[Shell, str]:
    """A repository with a run that ran out of turns."""
    shell = Shell(tmp_path)
    report = asyncio.run(shell.project.run(FIRST, max_turns=2))
    assert report["outcome"] == "budget"
    return shell, report["run"]


def hint_of(shell: Shell, run: str, code: int) -> str:
    ended = shell.run("resume", run, "--output-format", "json")
    told = json.loads(ended.stdout)
    assert ended.returncode == code, told
    return str(told["hint"])


def fits(hint: str) -> bool:
    """Whether each option that is named stands with the command that has it."""
    sentences = re.split(r"[.,;]\s", hint)
    return all(not OWN.search(each) or "agentflow run" in each for each in sentences)


def in_the_way(shell: Shell) -> None:
    git = shell.project.git
    other = git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "by hand")
    git("branch", "agentflow/TASK-1", other)


def checked_out(shell: Shell) -> None:
    shell.project.git("worktree", "add", "-q", "-b", "agentflow/TASK-1", "../beside")


def beside(shell: Shell) -> None:
    shell.project.git("branch", "agentflow")


def of_another_text(shell: Shell) -> None:
    shell.project.task(text="# Say goodbye\n\nWrite it.")


def without_checkpoints(shell: Shell) -> None:
    for path in shell.project.world.cache.glob("*/runs/*/state.git"):
        shutil.rmtree(path)


def without_base(shell: Shell) -> None:
    ref = shell.project.git("for-each-ref", "--format=%(refname)", "refs/agentflow/base")
    shell.project.git("update-ref", "-d", ref)


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (in_the_way, 7, "git branch -m agentflow/TASK-1 NAME"),
        (checked_out, 7, "Check out another branch there"),
        (beside, 7, "git branch -m agentflow NAME"),
        (of_another_text, 2, "=test -s app/hello.txt' --fresh\nOr take the change back"),
        (without_checkpoints, 2, "Begin anew: agentflow run TASK-1 --prompt plain --base-url "),
        (without_base, 2, "Begin anew: agentflow run TASK-1 --prompt plain --base-url "),
    ],
)
def test_a_hint_names_no_option_that_it_has_not(
    left: tuple[Shell, str], spoil: Callable[[Shell], None], code: int, words: str
) -> None:
    shell, run = left
    spoil(shell)

    hint = hint_of(shell, run, code)

    assert words in hint
    assert fits(hint), hint


def test_nor_does_one_of_a_fork(left: tuple[Shell, str]) -> None:
    shell, run = left
    of_another_text(shell)
    refused = shell.run("runs", "fork", run, "--at", "1")
    assert refused.returncode == 2
    assert "Begin anew: agentflow run TASK-1 --prompt plain --base-url " in refused.stderr
    assert fits(refused.stderr), refused.stderr


async def test_what_it_says_of_a_branch_in_the_way_leads_on(left: tuple[Shell, str]) -> None:
    shell, run = left
    in_the_way(shell)
    hint = await asyncio.to_thread(hint_of, shell, run, 7)
    rename, go_on = re.findall(r"(git branch -m \S+ NAME|agentflow resume \S+)", hint)

    shell.project.git(*shlex.split(rename)[1:])
    async with ScriptedServer(read_script({"turns": FIRST})) as server:
        flags = ("--base-url", server.url, "--max-turns", "9")
        ended = await asyncio.to_thread(shell.run, *shlex.split(go_on)[1:], *flags)

    assert ended.returncode == 0, ended.stderr


def test_what_is_done_is_no_run_to_go_on_with(bwrap: str, tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    run = asyncio.run(shell.project.run(FIRST))["run"]
    hint = hint_of(shell, run, 2)
    assert hint.startswith("Begin anew: agentflow run TASK-1 --prompt plain --base-url ")
    assert hint.endswith(" --fresh")
    (shell.project.root / FOLDER / run / JOURNAL).unlink()
    assert hint_of(shell, run, 2) == f"Begin anew: the command that began {run} with --fresh"
