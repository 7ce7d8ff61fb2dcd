"""`agentflow trust`, and what a run says without it."""

import json
from pathlib import Path

import pytest

from agentflow.trust import digest
from tests.cli.shell import Shell

CONFIG = ".orchestrator/config.toml"
GATE = "[[gates]]\nname = 'test'\ncommand = 'true'\n"
WORDS = 'environment.network = [\n  "a.example",\n]\nenvironment.setup = "true"\n'
PLAN = ("run", "TASK-1", "--prompt", "plain", "--dry-run")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    wish(shell, "a.example")
    return shell


def wish(shell: Shell, host: str) -> None:
    table = f"[environment]\nsetup = 'true'\nnetwork = ['{host}']\n"
    shell.project.write(CONFIG, table + GATE)
    shell.project.commit()


def test_a_run_is_refused_until_it_is_granted_and_after_a_change(shell: Shell) -> None:
    refused = shell.run(*PLAN)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"{CONFIG} asks for what only you may grant: environment.network" in refused.stderr

    granted = shell.run("trust", "--yes")
    assert (granted.returncode, granted.stdout) == (0, WORDS)
    assert f"AGENTFLOW_TRUST={digest(WORDS)}" in granted.stderr
    assert shell.run(*PLAN).returncode == 0

    wish(shell, "b.example")
    changed = shell.run(*PLAN)
    assert changed.returncode == 2
    assert '-  "a.example",\n+  "b.example",\n' in changed.stderr
    again = shell.run("trust", "--yes")
    assert '-  "a.example",\n+  "b.example",\n' in again.stderr
    assert shell.run(*PLAN).returncode == 0

    assert shell.run("trust", "--revoke").returncode == 0
    assert shell.run(*PLAN).returncode == 2


def test_in_ci_the_hash_is_enough(shell: Shell) -> None:
    printed = shell.run("trust", "--print-hash")
    assert (printed.stdout, printed.stderr) == (f"{digest(WORDS)}\n", "")
    assert shell.run(*PLAN, AGENTFLOW_TRUST=printed.stdout.strip()).returncode == 0
    assert shell.run(*PLAN, AGENTFLOW_TRUST="0" * 64).returncode == 2
    assert shell.run(*PLAN).returncode == 2


@pytest.mark.parametrize(("answer", "code", "covered"), [("y\n", 0, True), ("n\n", 2, False)])
def test_somebody_on_a_terminal_is_asked(
    shell: Shell, answer: str, code: int, covered: bool
) -> None:
    ended, shown = shell.on_terminal(answer, "trust")
    assert ended == code
    assert WORDS in shown
    assert "Grant exactly this to the repository? [y/N]" in shown
    assert json.loads(shell.run("trust", "--json").stdout)["trusted"] is covered


def test_without_a_terminal_nothing_is_granted(shell: Shell) -> None:
    ended = shell.run("trust")
    assert (ended.returncode, ended.stdout) == (2, WORDS)
    assert "there is nobody to ask\n  Give --yes." in ended.stderr
    assert shell.run(*PLAN).returncode == 2


def test_json_shows_and_grants_only_if_told(shell: Shell) -> None:
    facts = {
        "type": "trust",
        "repository": str(shell.project.root),
        "base": shell.project.git("rev-parse", "HEAD"),
        "text": WORDS,
        "sha256": digest(WORDS),
    }
    for arguments, trusted in (([], False), (["--yes"], True), ([], True)):
        ended = shell.run("trust", "--json", *arguments)
        assert ended.returncode == 0
        assert json.loads(ended.stdout) == {**facts, "trusted": trusted}


def test_another_base_and_uncommitted_words(shell: Shell) -> None:
    shell.project.write(CONFIG, "max_turns = 3\n")
    noted = shell.run("trust", "--json")
    assert json.loads(noted.stdout)["text"] == WORDS
    assert "without your uncommitted changes" in noted.stderr
    shell.project.commit()
    ended = shell.run("trust")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "asks for nothing beyond the sandbox" in ended.stderr
    assert json.loads(shell.run("trust", "--json", "--base", "HEAD~1").stdout)["text"] == WORDS
    assert shell.run("trust", "--print-hash").stdout == ""


def test_wishes_that_exclude_each_other_and_bad_files_are_refused(shell: Shell) -> None:
    assert shell.run("trust", "--yes", "--revoke").returncode == 2
    shell.project.write(CONFIG, "[services.x]\ncommand = 1\nready = 'r'\n")
    shell.project.commit()
    broken = shell.run("trust", "--yes")
    assert (broken.returncode, broken.stdout) == (2, "")
    assert f"{CONFIG}: services.x.command" in broken.stderr


def test_what_is_granted_shows_no_escape_sequences(shell: Shell) -> None:
    shell.project.write(CONFIG, '[services.x]\ncommand = "\\u001b[2J\\u202e\\u007f"\nready = "r"\n')
    shell.project.commit()
    ended = shell.run("trust", "--yes")
    assert ended.returncode == 0
    assert r'services.x.command = "\u001b[2J\u202e' in ended.stdout
    assert not {"\x1b", "\u202e", "\x7f"} & set(ended.stdout + ended.stderr)
