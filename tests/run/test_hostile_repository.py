"""What a repository, or an agent, gets that nobody granted."""

import json
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from agentflow.errors import UsageError
from agentflow.trust import grant, widening
from tests.run.project import HELLO, Project, bash, turn

pytestmark = pytest.mark.sandbox


def trusted(project: Project, config: str) -> None:
    """Commit a configuration and grant what it asks for."""
    project.write(".orchestrator/config.toml", config)
    project.commit()
    grant(project.root / ".git", project.world.environment, widening(tomllib.loads(config)))


def give(project: Project, token: str) -> None:
    """Set TOKEN in the user's environment."""
    environment = {**project.world.environment, "TOKEN": token}
    project.world = replace(project.world, environment=environment)


def run(*command: str | Path, folder: Path) -> str:
    """Run a program; return what it prints."""
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return ended.stdout


async def test_a_prompt_does_not_take_the_users_untracked_files(project: Project) -> None:
    project.write(
        ".orchestrator/prompts/plain.md", "---\nagentflow:\n  documents: ['**']\n---\nDo it.\n"
    )
    project.write(".orchestrator/config.toml", "[secrets]\nfiles = ['notes/own.md']\n")
    project.commit()
    for path in (".env", "secrets.md", "notes/own.md", "notes/dump.sql", "notes/.hidden/x.md"):
        project.write(path, "KEY=untracked-value\n")
    project.write("notes/plain.md", "a plain note\n")

    look = bash("cat .env secrets.md notes/* notes/.hidden/*")
    await project.run([turn(look), turn(HELLO), turn(text="Done.")])

    asked = json.dumps(project.requests)
    assert "a plain note" in asked
    assert "untracked-value" not in asked


async def test_a_tracked_secret_file_is_named_before_the_run(project: Project) -> None:
    for path in ("web/.env.production", "web/.env.example", "keys/prod.yml"):
        project.write(path, "x\n")
    project.write(".orchestrator/config.toml", "[secrets]\nfiles = ['keys/**']\n")
    project.commit()

    report = await project.run([turn(HELLO), turn(text="Done.")])

    (told,) = [each for each in report["notices"] if each.startswith("git tracks")]
    assert told.startswith("git tracks keys/prod.yml, web/.env.production: the agent and its model")


async def test_a_granted_variable_is_not_given_to_another_command(project: Project) -> None:
    config = "[environment]\nsetup = '{}'\nprovides = ['deps']\nenv_from = ['TOKEN']\n"
    trusted(project, config.format("mkdir deps"))
    project.write(
        ".orchestrator/config.toml", config.format("mkdir deps; echo $TOKEN | rev > deps/t")
    )
    project.commit()
    give(project, "abcdef-hidden")

    with pytest.raises(UsageError):
        await project.run([turn(bash("cat deps/t")), turn(HELLO), turn(text="Done.")])


async def test_a_commits_subject_tells_no_secret(project: Project) -> None:
    trusted(project, "[environment.agent]\nenv_from = ['TOKEN']\n")
    give(project, "hidden-value-123")

    turns = [turn(bash("echo hello > app/hello.txt; git add -A; git commit -qm $TOKEN")), turn()]
    report = await project.run([*turns, turn(), turn()])

    assert "hidden-value-123" not in json.dumps(report)


async def test_what_no_gate_passed_is_not_signed(project: Project) -> None:
    key = project.root.parent / "key"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key, folder=project.root)
    settings = {"commit.gpgSign": "true", "gpg.format": "ssh", "user.signingKey": str(key)}
    for name, value in settings.items():
        project.git("config", name, value)

    report = await project.run([turn(bash("echo evil > app/evil.sh")), turn(), turn(), turn()])

    assert report["outcome"] == "failed"
    (state,) = project.world.cache.glob("*/runs/*/state.git")
    assert run("git", "for-each-ref", "refs/agentflow/signed", folder=state) == ""
