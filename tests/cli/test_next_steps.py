"""What is refused for a name, a file or a value that is wrong: one sentence, and what to do next."""

import json
import os
import re
from pathlib import Path

import pytest

from agentflow.errors import UsageError
from agentflow.ssh_signatures import sign
from tests.cli.shell import Shell

DONE, CUT = "A-20250101T000000-aaaa", "B-20250101T000000-bbbb"
"""Runs that are here."""
REFUSED = {
    "run TASK-1 --replay none.jsonl": (
        "--replay: cannot read none.jsonl: No such file or directory",
        "Make one with `agentflow run TASK --record FILE`.",
    ),
    "land none.tar": (
        "cannot read none.tar: No such file or directory",
        "It is a file that `agentflow bundle RUN` writes.",
    ),
    "land README.md": (
        "README.md is no bundle of agentflow, or was changed (truncated header)",
        "It is a file that `agentflow bundle RUN` writes.",
    ),
    "runs import none.tar.gz": (
        "cannot read none.tar.gz: No such file or directory",
        "It is a file that `agentflow runs export RUN` writes.",
    ),
    "runs import README.md": (
        "README.md is no packed run of agentflow, or was changed (Not a gzipped file (b'# '))",
        "It is a file that `agentflow runs export RUN` writes.",
    ),
    "handoff none.md": (
        "cannot read none.md: No such file or directory",
        "Give the file of the block, or paste it: agentflow handoff",
    ),
    "attest verify none.json": (
        "cannot read none.json: No such file or directory",
        "It is a file that `agentflow attest RUN -o FILE` writes.",
    ),
    "run TASK-1 --junit no/place.xml": (
        "no/place.xml cannot be written: there is no folder {root}/no",
        "Make it first: mkdir -p {root}/no",
    ),
    "report TASK-1 -o no/place": (
        "no/place cannot be written: there is no folder {root}/no",
        "Make it first: mkdir -p {root}/no",
    ),
    "report TASK-1 -o app": ("app cannot be written: it is a folder", "Name a file in it."),
    "tasks lint nope": (
        "there is no file or folder nope",
        "Give one that is there, or none to check all: agentflow tasks lint",
    ),
    "prompts lint nope": (
        "there is no file or folder nope",
        "Give one that is there, or none to check all: agentflow prompts lint",
    ),
    "tasks show no/tasks.md": (
        "there is no document no/tasks.md",
        "Check all that are there: agentflow tasks lint",
    ),
    "run TASK-1 --base nope": (
        "there is no commit 'nope' in {root}",
        "List branches with `git branch --all`; what only a remote has, `git fetch` brings.",
    ),
    "run TASK-1 --base=": (
        "there is no commit '' in {root}",
        "List branches with `git branch --all`; what only a remote has, `git fetch` brings.",
    ),
    "run --text=": (
        "the task's text is empty",
        "Say what is to be done: agentflow run --text 'Add GET /health'",
    ),
    "handoff --answers none.yaml": (
        "cannot read none.yaml: No such file or directory",
        "Write YAML: on each line a question's id, a colon and the answer.",
    ),
    f"answer {DONE} yes": (
        f"the run {DONE} asks nothing: it is done",
        f"Look at it: agentflow runs show {DONE}",
    ),
    f"answer {CUT} yes": (
        f"the run {CUT} asks nothing: it was interrupted",
        f"Go on with it: agentflow resume {CUT}",
    ),
    "phase-6 TASK_2025_002": (
        "there is no tasks.md of TASK_2025_002, neither in {head} nor in your work tree; "
        "did you mean 'TASK_2025_001'?",
        "Known tasks: OTHER_1, TASK_2025_001",
    ),
    "phase-6 TASK-1": (
        "there is no tasks.md of TASK-1, neither in {head} nor in your work tree",
        "TASK-1 is a task of one file: agentflow run TASK-1",
    ),
    "phase-6 TASK_2025_001 --base nope": (
        "there is no commit 'nope' in {root}",
        "List branches with `git branch --all`; what only a remote has, `git fetch` brings.",
    ),
    "run TASK-1 --model=": ("--model is empty", "Give --model a value, or leave it out."),
    "run TASK-1 --target=": ("--target is empty", "Give --target a value, or leave it out."),
    "run TASK-1 --gate t=true --prompt plain --target a..b --dry-run": (
        "'a..b' is not a valid branch name",
        "Give --target another name.",
    ),
    "run TASK-1 TASK-1 --target=-x --dry-run": (
        "'-x' is not a valid branch name",
        "Give --target another name.",
    ),
    "run TASK-1 --gate t=true --prompt plain --target refs/heads/main": (
        "refs/heads/main is a ref, not a branch's name",
        "Give its short name: main",
    ),
    "run TASK-1 TASK-1 --target refs/tags/v1": (
        "refs/tags/v1 is a ref, not a branch's name",
        "Give --target the name of a branch.",
    ),
    "phase-6 OTHER_1 --gate t=true --target refs/heads/a/b": (
        "refs/heads/a/b is a ref, not a branch's name",
        "Give its short name: a/b",
    ),
    "mcp --port 8080": (
        "--port is for HTTP, and standard input and output are served",
        "Give both: agentflow mcp --http --port 8080",
    ),
    "run TASK-1 --junit pipe": (
        "pipe cannot be written: it is no plain file",
        "Name another file.",
    ),
    "run TASK-1 --sarif /dev/null": (
        "/dev/null cannot be written: it is no plain file",
        "Name another file.",
    ),
    "runs prune --keep 30x": (
        "--keep: '30x' is not a duration like 45m, 90s or 1h30m",
        "Units are d, h, m and s; a number alone is seconds.",
    ),
}


BATCH = "# Tasks\n\n## Batch 1: x - PENDING\n\n**Developer**: backend-developer\n"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    shell = Shell(tmp_path_factory.mktemp("shell"))
    project = shell.project
    for run, outcome in ((DONE, "done"), (CUT, "interrupted")):
        report = {"task": run[0], "run": run, "outcome": outcome}
        project.write(f".orchestrator/runs/{run}/report.json", json.dumps(report))
    project.write("task-tracking/OTHER_1/tasks.md", BATCH)
    project.commit()
    project.write("task-tracking/TASK_2025_001/tasks.md", BATCH)
    project.git("branch", "agentflow/TASK_2025_001")  # with which --base counts for nothing
    os.mkfifo(project.root / "pipe")
    return shell


def _said(shell: Shell, line: str) -> tuple[int, str]:
    """What a command ended with, and what it said."""
    ended = shell.run(*line.split())
    return ended.returncode, ended.stderr


def test_a_refusal_is_one_sentence_and_the_next_step(shell: Shell) -> None:
    found = [_said(shell, line) for line in REFUSED]
    root, head = str(shell.project.root), shell.project.git("rev-parse", "--short=12", "HEAD")
    told = {
        line: f"error: {sentence}\n  {hint}\n".replace("{root}", root).replace("{head}", head)
        for line, (sentence, hint) in REFUSED.items()
    }
    assert dict(zip(REFUSED, found, strict=True)) == {
        line: (2, text) for line, text in told.items()
    }


def test_no_library_s_words_stand_before_what_is_wrong(shell: Shell) -> None:
    shell.project.write(".orchestrator/tasks/TASK-2.md", "---\ngates: [test]\n---\nDo it.\n")
    lines = ("run TASK-1 --land foo", "run TASK-1 --sandbox foo", "run TASK-2 --dry-run")
    found = [_said(shell, line) for line in lines]
    assert [code for code, _ in found] == [2, 2, 2]
    assert not [said for _, said in found if re.search("value error", said, re.IGNORECASE)]
    assert (
        "Invalid value for '--land': 'foo' is not one of 'branch', 'current', 'none'."
        in found[0][1]
    )
    assert "gates: write distinct `name: command` lines" in found[2][1]
    asked = shell.run("run", "TASK-1", "--land", "foo", "--output-format", "json")
    assert "\"Invalid value for '--land': 'foo' is not one of" in asked.stdout


def _identity(path: Path) -> tuple[int, int, int]:
    found = path.lstat()
    return found.st_ino, found.st_mode, found.st_mtime_ns


def test_a_page_replaces_a_file_and_nothing_else(shell: Shell) -> None:
    """It is put in the place of what is there: a device or a link would be gone."""
    root = shell.project.root
    (root / "link").symlink_to("README.md")
    for name in ("pipe", "link"):
        before = _identity(root / name)
        told = f"error: {name} cannot be written: it is no plain file\n"
        said = _said(shell, f"report TASK-1 -o {name}")
        assert said == (2, f"{told}  Name another file, or - for standard output.\n")
        assert _identity(root / name) == before


def test_a_link_to_a_plain_file_is_written(shell: Shell) -> None:
    """A report for CI is written where it is, and takes nothing's place."""
    page = shell.project.root / "page.xml"
    page.touch()
    (shell.project.root / "page").symlink_to("page.xml")
    assert shell.run("run", "--text=", "--junit", "page").returncode == 2
    assert "text is empty" in page.read_text()


def test_who_never_prepared_the_repository_is_told_to(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.project.git("rm", "-r", "--quiet", ".orchestrator")
    shell.project.commit()
    told = [_said(shell, line) for line in ("run", "run TASK-1", "run --all")]
    assert [code for code, _ in told] == [2, 2, 0]
    assert not [said for _, said in told if "agentflow init" not in said]
    (shell.project.root / ".orchestrator").mkdir()
    assert "agentflow init" not in _said(shell, "run TASK-1")[1]


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no key") as caught:
        sign(b"", tmp_path / "key", "test")
    assert "ssh-keygen -t ed25519" in caught.value.hint
