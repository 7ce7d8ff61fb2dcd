"""`agentflow prompts`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.shell import EVIL, Shell

FOLDER = ".orchestrator/prompts"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_prompts_are_listed_with_what_is_wrong_with_them(shell: Shell, tmp_path: Path) -> None:
    write = shell.project.write
    header = (
        f"---\nname: Agent\ndescription: |\n  Ours{json.dumps(EVIL)[1:-1]}\n  at work.\n\n  More.\n"
    )
    write(f"{FOLDER}/Agent.md", f"{header}tools: [Read]\n---\nWork.\n")
    write(f"{FOLDER}/broken.md", "---\ntools: [\n---\nWork.\n")
    (tmp_path / "secret.md").write_text("secret")
    (shell.project.root / FOLDER / "link.md").symlink_to(tmp_path / "secret.md")

    ended = shell.run("prompts", "list", "--json")

    listed = [json.loads(line) for line in ended.stdout.splitlines()]
    ours = {each["name"]: each for each in listed if not each["builtin"]}
    assert list(ours) == ["Agent", "broken", "link", "plain"]
    assert ours["Agent"] == {
        "name": "Agent",
        "path": str(shell.project.root / FOLDER / "Agent.md"),
        "builtin": False,
        "shadowed": False,
        "shadowed_by": None,
        "description": rf"Ours{json.dumps(EVIL)[1:-1]} at work.",
        "tools": ["Read"],
        "problem": "",
    }
    assert "broken.md:" in ours["broken"]["problem"]
    assert "outside of the repository" in ours["link"]["problem"]
    builtin = {each["name"]: each for each in listed if each["builtin"]}
    assert {name: each["shadowed"] for name, each in builtin.items()}["agent"] is True
    assert builtin["agent"]["shadowed_by"] == ours["Agent"]["path"]
    assert not builtin["engineer"]["shadowed"]
    assert builtin["engineer"]["problem"] == ""

    text = shell.run("prompts", "list").stdout
    assert len(text.splitlines()) == len(listed)
    shadowed = next(each for each in text.splitlines() if "built-in" in each)
    assert f"(shadowed by {FOLDER}/Agent.md)" in shadowed


def test_a_prompt_is_shown_harmlessly_or_raw(shell: Shell) -> None:
    path = shell.project.write(f"{FOLDER}/evil.md", f"---\nbroken: [\n---\n{EVIL}end\n")
    shown = shell.run("prompts", "show", "EVIL")
    assert shown.returncode == 0
    assert shown.stdout == "---\nbroken: [\n---\n\ufffdend\n"
    assert shown.stderr == f"{path}\nprofile default: no sign of another\n"
    raw = shell.run("prompts", "show", "evil", "--raw")
    assert (raw.stdout, raw.stderr) == (path.read_text(), "")
    path.write_bytes(b"\xff\n")
    assert shell.run("prompts", "show", "evil").stdout == "\ufffd\n"
    by_path = shell.run("prompts", "show", f"{FOLDER}/plain.md")
    assert by_path.stdout == "Do what the task says.\n"


@pytest.mark.parametrize("command", [["show", "plian"], ["render", "plian", "TASK-1"]])
def test_an_unknown_prompt_is_named(shell: Shell, command: list[str]) -> None:
    ended = shell.run("prompts", *command)
    assert ended.returncode == 2
    assert "there is no prompt 'plian'; did you mean 'plain'?" in ended.stderr


def test_a_prompt_is_rendered_as_in_a_dry_run(shell: Shell) -> None:
    shell.project.write(f"{FOLDER}/mine.md", f"Work on TASK-XXX.{EVIL}\n")
    shell.project.write(".orchestrator/config.toml", "[[gates]]\nname = 'test'\ncommand = 'true'\n")
    shell.project.commit()

    text = shell.run("prompts", "render", "mine", "TASK-1")
    facts = json.loads(shell.run("prompts", "render", "mine", "TASK-1", "--json").stdout)
    dry_run = ("run", "TASK-1", "--prompt", "mine", "--dry-run")
    plan = json.loads(shell.run(*dry_run, "--output-format=json").stdout)

    keys = ("task", "prompt", "tools", "system_prompt", "first_message")
    assert facts == {"type": "rendered", **{key: plan[key] for key in keys}}
    assert facts["system_prompt"] == f"Work on TASK-1.{EVIL}\n"
    assert text.returncode == 0, text.stderr
    assert text.stdout.startswith("──── system prompt ")
    assert shell.run(*dry_run).stdout.endswith(text.stdout)
    assert not {"\x1b", "\u202e"} & set(text.stdout)


def test_names_are_completed(shell: Shell) -> None:
    shell.project.write(f"{FOLDER}/pl{EVIL}.md", "x\n")
    ended = subprocess.run(
        [Path(sys.executable).with_name("agentflow")],
        cwd=shell.project.root,
        env={
            **shell.environment,
            "_AGENTFLOW_COMPLETE": "complete_bash",
            "COMP_WORDS": "agentflow prompts show pl",
            "COMP_CWORD": "3",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.split() == ["plain"]


def test_prompts_are_added(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p/new.md").write_text("New.\n")
    (tmp_path / "p/broken.md").write_text("---\ntools: [Nothing]\n---\nx")

    added = shell.run("prompts", "add", str(tmp_path / "p"))
    again = shell.run("prompts", "add", str(tmp_path / "p"), "--json")

    assert (added.returncode, again.returncode) == (0, 0)
    assert added.stdout.splitlines()[1] == f"added    {FOLDER}/new.md"
    states = [json.loads(line)["state"] for line in again.stdout.splitlines()]
    assert states == ["skipped", "present"]
    assert shell.run("prompts", "show", "new").stdout == "New.\n"
    assert shell.run("prompts", "add", str(tmp_path / "none.md")).returncode == 2


def test_a_command_file_is_rendered_with_its_arguments(shell: Shell) -> None:
    shell.project.write("config/commands/fix.md", "Fix $1 of $ARGUMENTS for $5.\n")
    shell.project.write(".orchestrator/config.toml", "[[gates]]\nname = 't'\ncommand = 'true'\n")
    shell.project.commit()
    path = str(shell.project.root / "config/commands/fix.md")

    ended = shell.run("prompts", "render", path, "TASK-1", "--arguments", "12 now")
    assert "\nFix 12 of 12 now for $5.\n" in ended.stdout
    ended = shell.run("run", "TASK-1", "--prompt", path, "--dry-run", "--arguments", "7")
    assert "\nFix 7 of 7 for $5.\n" in ended.stdout
    ended = shell.run("run", "TASK-1", "--prompt", "plain", "--dry-run", "--arguments", "7")
    assert ended.returncode == 2
    assert "is no command file" in ended.stderr


def test_what_decides_on_a_profile_is_shown(shell: Shell) -> None:
    write = shell.project.write
    text = "---\nname: own\n---\nImpersonate `agents/a.md`, adopt `agents/b\u2066.md`.\nCommit your work.\n"
    path = write(f"{FOLDER}/own.md", text)
    write("agents/a.md", "Be.\n")
    write(
        ".orchestrator/config.toml", "profile = 'batch'\n[[gates]]\nname = 't'\ncommand = 'true'\n"
    )
    shell.project.commit()
    shown = shell.run("prompts", "show", "own")
    assert shown.stderr.splitlines() == [
        str(path),
        "profile batch: `profile` in the configuration",
        "line 4: the persona agents/a.md is attached",
    ]
    ended = shell.run("prompts", "render", "own", "TASK-1", "--profile", "default", "--json")
    assert json.loads(ended.stdout)["prompt"]["sign"] == "`--profile`"
    assert "The line above decides about commits" in json.loads(ended.stdout)["first_message"]
    ended = shell.run("run", "TASK-1", "--prompt", "own", "--profile", "marker", "--dry-run")
    assert "\nprofile    marker: `--profile`\n" in ended.stdout
    assert (
        f"{path}:5 says that the agent commits; the profile decides: agentflow commits"
        in ended.stdout
    )
    ended = shell.run("run", "TASK-1", "--profile", "mraker", "--dry-run")
    assert ended.returncode == 2
    assert "there is no profile 'mraker'; did you mean 'marker'?" in ended.stderr
    write(".orchestrator/config.toml", "profile = 'report'\n")
    shell.project.commit()
    assert shell.run("prompts", "show", "own").stderr.splitlines()[-1] == (
        f"it is not clear who commits: {path}:5 says that the agent commits; the profile decides: "
        "agentflow commits"
    )
    write(".orchestrator/config.toml", "profile = 'reprt'\n")
    shell.project.commit()
    shown = shell.run("prompts", "show", "own")
    assert (shown.returncode, shown.stdout) == (0, text.replace("\u2066", "\ufffd"))
    assert "there is no profile 'reprt'; did you mean 'report'?" in shown.stderr


@pytest.mark.sandbox
def test_a_command_s_value_is_in_a_dry_run_too(shell: Shell) -> None:
    header = "---\nagentflow: {variables: [$TEAM]}\n---\n"
    shell.project.write(f"{FOLDER}/own.md", f"{header}Team $TEAM.\n")
    config = "[[gates]]\nname = 't'\ncommand = 'true'\n[variables]\nTEAM = { command = '%s' }\n"
    shell.project.write(".orchestrator/config.toml", config % 'ls app; printf "\\033[2J"')
    shell.project.commit()
    for order in (("prompts", "render", "own"), ("run", "--dry-run", "--prompt=own")):
        ended = shell.run(*order, "TASK-1")
        assert "\nTeam main.py\n." in ended.stdout, ended.stderr
        assert "\x1b" not in ended.stdout
    shell.project.write(".orchestrator/config.toml", config % 'printf "\\033[2Jbad" >&2; exit 4')
    shell.project.commit()
    ended = shell.run("prompts", "render", "own", "TASK-1")
    assert ended.returncode == 5
    assert "ended with exit code 4: bad" in ended.stderr
    assert "\x1b" not in ended.stderr


def test_a_configured_placeholder_that_the_profile_does_not_list_is_told(shell: Shell) -> None:
    shell.project.write(f"{FOLDER}/own.md", "Owners: $OWNERS, not $OWNERSHIP.\n")
    config = "[[gates]]\nname = 't'\ncommand = 'true'\n[variables]\nOWNERS = 'us'\nOWNER = 'x'\n"
    shell.project.write(".orchestrator/config.toml", config)
    shell.project.commit()
    ended = shell.run("run", "TASK-1", "--prompt", "own", "--dry-run")
    notes = [line for line in ended.stdout.splitlines() if "[variables] sets" in line]
    assert len(notes) == 1
    assert "holds $OWNERS, which [variables] sets" in notes[0]


def test_prompts_are_checked(shell: Shell) -> None:
    shell.project.write(".claude/agents/w.md", "---\nname: w\nmemory: x\n---\nx\x1b[2J\n")
    shell.project.commit()
    listed = shell.run("prompts", "lint", "--json")
    assert listed.returncode == 0, listed.stderr
    found = json.loads(listed.stdout)
    assert {"w", "plain", "agent"} <= {each["name"] for each in found["files"]}
    text = shell.run("prompts", "lint", ".claude", "--strict")
    assert text.returncode == 1
    assert (
        text.stdout == ".claude/agents/w.md:3: warning: `memory` has no effect here [key-ignored]\n"
    )
    assert text.stderr == "1 files, 1 of them can be run: 0 errors, 1 warnings\n"
    shell.project.write(".claude/agents/v.md", "---\ntools: [\n---\nx\n")
    assert shell.run("prompts", "lint", ".claude").returncode == 1
    assert shell.run("prompts", "lint", "no-such").returncode == 2
