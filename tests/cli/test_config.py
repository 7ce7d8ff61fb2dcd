"""`agentflow config show`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest
from pydantic import BaseModel, BeforeValidator

from agentflow import setting_tables
from agentflow.configuration import Settings
from agentflow.setting_tables import Table
from agentflow.setting_types import as_bytes, as_seconds
from agentflow.settings_shown import DURATIONS, SIZES
from tests.cli.shell import EVIL, Shell

CONFIG = ".orchestrator/config.toml"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def user(shell: Shell, text: str) -> Path:
    file = Path(shell.environment["XDG_CONFIG_HOME"]) / "agentflow/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return file


def test_every_setting_is_shown_with_its_source(shell: Shell) -> None:
    shell.project.write(
        CONFIG,
        "max_cost = 3\n[[gates]]\nname = 'test'\ncommand = 'true'\n[environment]\nsetup = 'make'\n",
    )
    shell.project.task("allow: [app/**]\ntimeout: 5m")
    base = shell.project.commit()
    file = user(shell, "max_turns = 7\n")

    ended = shell.run("config", "show", "TASK-1", AGENTFLOW_LAND="none")

    assert (ended.returncode, ended.stderr) == (0, "")
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in ended.stdout.splitlines()}
    shared = f"{CONFIG} at {base[:12]}"
    expected = {
        "max_cost": f"3.0 {shared}",
        "gates.test": f'{{"command": "true"}} {shared}',
        "environment.setup": f'"make" {shared}',
        "environment.timeout": '"30m" default',
        "sandbox.memory": '"4GiB" default',
        "sandbox.cpu": '"8h" default',
        "max_turns": f"7 {file}",
        "land": '"none" AGENTFLOW_LAND',
        "allow": '["app/**"] task TASK-1',
        "timeout": '"5m" task TASK-1',
        "model": "the prompt's, else sonnet default",
        "services": "{} default",
    }
    assert {name: rows[name] for name in expected} == expected
    assert {name.split(".")[0] for name in rows} == set(Settings.model_fields)


def _numbers(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Every key of a table that is a duration or a size, and which of the two."""
    readers: dict[object, str] = {as_seconds: "duration", as_bytes: "size"}
    for name, field in model.model_fields.items():
        for each in field.metadata:
            if isinstance(each, BeforeValidator) and each.func in readers:
                yield name, readers[each.func]


def test_every_duration_and_size_is_known_to_be_one() -> None:
    tables = [Settings, *(each for each in vars(setting_tables).values() if _is_table(each))]
    found = {pair for table in tables for pair in _numbers(table)}
    assert {name for name, kind in found if kind == "duration"} == DURATIONS
    assert {name for name, kind in found if kind == "size"} == SIZES


def _is_table(value: object) -> TypeGuard[type[Table]]:
    return isinstance(value, type) and issubclass(value, Table)


def test_json_has_every_field_and_needs_no_task(shell: Shell) -> None:
    shell.project.write(CONFIG, "deny = ['x']\n")
    base = shell.project.commit()
    file = user(shell, "deny = ['y']\n")
    shown = json.loads(shell.run("config", "show", "--json").stdout)
    assert (shown["type"], shown["task"], shown["base"]) == ("config", None, base)
    assert shown["settings"]["deny"] == {
        "value": ["y", "x"],
        "sources": [str(file), f"{CONFIG} at {base[:12]}"],
    }
    assert shown["settings"]["max_turns"] == {"value": 100, "sources": ["default"]}
    assert set(shown["settings"]) == set(Settings.model_fields)


def test_another_base_s_configuration_is_shown(shell: Shell) -> None:
    shell.project.write(CONFIG, "max_turns = 3\n")
    shell.project.commit()
    shell.project.write(CONFIG, "max_turns = 4\n")
    shell.project.commit()
    shown = json.loads(shell.run("config", "show", "--json", "--base", "HEAD~1").stdout)
    assert shown["settings"]["max_turns"]["value"] == 3


def test_no_secret_and_no_escape_sequence_is_shown(shell: Shell) -> None:
    user(
        shell,
        "base_url = 'http://ada:hunter2@host/path'\n"
        "[environment]\nsetup = 'login --with s3cr3t-value'\nenv_from = ['NPM_TOKEN']\n"
        "[environment.variables]\nAPI_TOKEN = 'hunter3'\nMODE = 'fast'\nGIT_AUTHOR = 'Ada'\n"
        "[environment.agent.variables]\nDB_PASSWORD = 'hunter4'\n"
        "[services.db]\ncommand = 'x'\nready = 'x'\n"
        "env = {DATABASE_URL = 'postgres://u:hunter5@db/x'}\n",
    )
    shell.project.write(CONFIG, f"prompt = {json.dumps(EVIL)}\n")
    shell.project.commit()
    for arguments in (["--json"], []):
        ended = shell.run("config", "show", *arguments, NPM_TOKEN="s3cr3t-value")
        assert ended.returncode == 0, ended.stderr
        for word in ("hunter", "s3cr3t", "\x1b", "\x07", "\u202e"):
            assert word not in ended.stdout
        for word in ("NPM_TOKEN", "API_TOKEN", "fast", "Ada", "@host/path", "@db/x", "--with"):
            assert word in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["TASK-2"], "there is no task 'TASK-2'"),
        (["--base", "nowhere"], "there is no commit 'nowhere'"),
    ],
)
def test_what_cannot_be_shown_is_named(shell: Shell, arguments: list[str], words: str) -> None:
    ended = shell.run("config", "show", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert words in ended.stderr


def test_what_is_not_granted_is_shown_with_what_that_means(shell: Shell) -> None:
    shell.project.write(CONFIG, "[environment]\nsetup = 'make'\nnetwork = ['a.example']\n")
    shell.project.commit()

    before = shell.run("config", "show")
    told = json.loads(shell.run("config", "show", "--json").stdout)
    shell.run("trust", "--yes")
    after = shell.run("config", "show")

    assert '["a.example"]' in before.stdout
    assert "A run is refused until you grant" in before.stderr
    assert "agentflow trust" in before.stderr
    assert (before.returncode, told["granted"]) == (0, False)
    assert (after.returncode, after.stderr) == (0, "")
