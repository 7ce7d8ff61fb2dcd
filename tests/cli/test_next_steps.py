"""What is refused for a name, a file or a value that is wrong: one sentence, and what to do next."""

import os
import re
from pathlib import Path

import pytest

from tests.cli.shell import Shell

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
    "runs prune --keep 30x": (
        "--keep: '30x' is not a duration like 45m, 90s or 1h30m",
        "Units are d, h, m and s; a number alone is seconds.",
    ),
}


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(tmp_path_factory.mktemp("shell"))


def _said(shell: Shell, line: str) -> tuple[int, str]:
    """What a command ended with, and what it said."""
    ended = shell.run(*line.split())
    return ended.returncode, ended.stderr


def test_a_refusal_is_one_sentence_and_the_next_step(shell: Shell) -> None:
    found = [_said(shell, line) for line in REFUSED]
    root = str(shell.project.root)
    told = {
        line: f"error: {sentence}\n  {hint}\n".replace("{root}", root)
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
    os.mkfifo(root / "pipe")
    (root / "link").symlink_to("README.md")
    for name in ("pipe", "link"):
        before = _identity(root / name)
        told = f"error: {name} cannot be written: it is no plain file\n"
        said = _said(shell, f"report TASK-1 -o {name}")
        assert said == (2, f"{told}  Name another file, or - for standard output.\n")
        assert _identity(root / name) == before
