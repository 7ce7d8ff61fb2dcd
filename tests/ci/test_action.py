"""The action and the template: valid, and the action's own steps run as GitHub's runner runs them."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.world import World
from tests.ci.runner import ACTION, ROOT, Runner
from tests.cli.shell import Shell
from tests.cli.test_on_terminal import holding
from tests.cli.test_past import PIECES
from tests.crash.test_disk import fill, small_disk
from tests.run.project import HELLO, Project, bash, turn


def job(shell: Shell, folder: Path, **inputs: str) -> Runner:
    """A job in the repository of a shell."""
    return Runner(shell.project.root, shell.environment, folder, **inputs)


@pytest.mark.parametrize(
    ("schema", "file"),
    [("vendor.github-actions", "action.yml"), ("vendor.gitlab-ci", "deploy/gitlab.yml")],
)
def test_files_fit_their_schemas(schema: str, file: str) -> None:
    check = Path(sys.executable).with_name("check-jsonschema")
    ended = subprocess.run(
        [check, "--builtin-schema", schema, ROOT / file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout


def test_the_workflows_of_the_documentation_fit_their_schema(tmp_path: Path) -> None:
    text = (ROOT / "docs/ci.md").read_text()
    found = re.findall(r"```yaml\n# \.github/workflows/(\S+)\n(.*?)```", text, re.DOTALL)
    assert [name for name, _ in found] == ["task.yml", "two-jobs.yml"]
    check = Path(sys.executable).with_name("check-jsonschema")
    for name, content in found:
        file = tmp_path / name
        file.write_text(content)
        ended = subprocess.run(
            [check, "--builtin-schema", "vendor.github-workflows", file],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout
        workflow = yaml.safe_load(content)
        assert workflow["concurrency"]["group"] == "agentflow-${{ inputs.task }}"


def test_no_input_is_put_into_a_script() -> None:
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step.get("run", "")


async def run_with_model(
    runner: Runner,
    turns: list[Any],
    *arguments: str,
    meanwhile: "Callable[[subprocess.Popen[str]], None] | None" = None,
) -> "subprocess.CompletedProcess[str]":
    """The step that runs the task, with a scripted model."""
    async with ScriptedServer(read_script({"turns": turns})) as server:
        lines = (
            "--base-url",
            server.url,
            "--gate",
            "test=test -s app/main.py",
            "--prompt",
            "plain",
        )
        runner.inputs["arguments"] = "\n".join((*lines, *arguments))
        return await asyncio.to_thread(runner.run, "Run", meanwhile)


async def resume_with_model(shell: Shell, turns: list[Any], *arguments: str) -> Any:
    """What a person does next, on the same machine."""
    async with ScriptedServer(read_script({"turns": turns})) as server:
        words = ("resume", "TASK-1", "--base-url", server.url, *arguments)
        return await asyncio.to_thread(shell.run, *words)


def case_of_the_outcome(runner: Runner) -> tuple[str | None, ...]:
    """How JUnit shows that a run was stopped."""
    (found,) = ElementTree.parse(Path(runner.outputs["report"], "junit.xml")).iter("error")
    return found.get("type"), found.get("message")


def when_it_works(journals: Path) -> None:
    """Wait until the agent has called a tool."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any('"toolu_' in file.read_text() for file in journals.glob("*/journal.jsonl")):
            break
        time.sleep(0.05)


def cancel_when_it_works(
    process: "subprocess.Popen[str]", journals: Path, first: signal.Signals
) -> None:
    """What GitHub's runner does to a job that is cancelled, when a command of the agent is at work."""
    when_it_works(journals)
    process.send_signal(first)


@pytest.mark.sandbox
@pytest.mark.usefixtures("bwrap")
@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_job_has_its_code_and_a_report_and_goes_on(
    tmp_path: Path, first: signal.Signals
) -> None:
    """GitHub sends SIGINT, 7.5 s later SIGTERM, and soon ends all; others send SIGTERM."""
    shell = Shell(tmp_path / "place")
    runner = job(shell, tmp_path, task="TASK-1")
    journals = shell.project.root / ".orchestrator/runs"
    slow = [turn(HELLO), turn(text="Done.", latency=61)]

    ended = asyncio.run(
        run_with_model(
            runner, slow, meanwhile=lambda job: cancel_when_it_works(job, journals, first)
        )
    )

    assert ended.returncode == 143, ended.stderr
    assert runner.outputs["outcome"] == "interrupted"
    assert (runner.outputs["branch"], runner.outputs["commit"]) == ("", "")
    assert case_of_the_outcome(runner) == ("interrupted", "stopped by SIGTERM")
    report = json.loads(Path(runner.outputs["report"], "report.json").read_bytes())
    assert (report["run"], report["exit_code"]) == (runner.outputs["run"], 143)
    assert "interrupted" in Path(runner.outputs["report"], "report.html").read_text("utf-8")
    assert "❌ ` interrupted `" in runner.files["GITHUB_STEP_SUMMARY"].read_text()
    file = Path(runner.outputs["report"], "run.tar.gz")
    quick = [*slow[:1], turn(text="Done.")]
    home = at_home(shell, tmp_path / "home")
    given = ("--prompt", "plain", "--gate", "test=test -s app/main.py", "--drop-flags")
    brought = home.run("runs", "import", str(file), *given)
    assert brought.returncode == 0, brought.stderr
    for place in (shell, home):
        gone_on = asyncio.run(resume_with_model(place, quick))
        assert gone_on.returncode == 0, gone_on.stderr
        assert place.project.git("show", "agentflow/TASK-1:app/hello.txt") == "hello"


def at_home(shell: Shell, folder: Path) -> Shell:
    """A clone on another machine."""
    root = folder / "repository"
    shell.project.git("clone", "-q", ".", str(root))
    environment = {**shell.project.world.environment, "XDG_CONFIG_HOME": str(folder / "config")}
    project = Project(root, World(root, environment, folder / "cache"))
    for key, value in (("name", "Ada"), ("email", "ada@example.com")):
        project.git("config", f"user.{key}", value)
    return Shell(folder, project)


@pytest.mark.sandbox
@pytest.mark.usefixtures("bwrap")
def test_a_run_with_a_secret_in_its_files_is_not_uploaded_whole_and_that_is_said(
    tmp_path: Path,
) -> None:
    shell = Shell(tmp_path / "place")
    runner = job(shell, tmp_path, task="TASK-1")
    turns = [turn(bash(PIECES)), turn(HELLO), turn(text="Done.")]

    ended = asyncio.run(run_with_model(runner, turns, "--max-turns", "2"))

    assert ended.returncode == 4, ended.stderr
    assert (
        "::warning::The run is not packed (see above), so it cannot go on elsewhere" in ended.stdout
    )
    assert "holds a secret" in ended.stderr
    kept = {file.name for file in Path(runner.outputs["report"]).iterdir()}
    assert {"journal.jsonl", "report.json", "report.html"} < kept
    assert "run.tar.gz" not in kept


@pytest.mark.sandbox
@pytest.mark.usefixtures("bwrap")
def test_a_job_out_of_time_has_its_code_and_a_report_and_goes_on(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "place")
    runner = job(shell, tmp_path, task="TASK-1")
    slow = [turn(HELLO), turn(text="Done.", latency=61)]

    ended = asyncio.run(run_with_model(runner, slow, "--timeout", "12s"))

    assert ended.returncode == 4, ended.stderr
    assert runner.outputs["outcome"] == "budget"
    assert case_of_the_outcome(runner)[0] == "budget"
    assert Path(runner.outputs["report"], "report.json").is_file()
    quick = [turn(HELLO), turn(text="Done.")]
    gone_on = asyncio.run(resume_with_model(shell, quick, "--timeout", "5m"))
    assert gone_on.returncode == 0, gone_on.stderr


@pytest.mark.sandbox
@pytest.mark.usefixtures("bwrap")
def test_a_job_without_disk_has_its_code_and_what_can_be_said(tmp_path: Path) -> None:
    """Later moments, and going on after them: `tests/crash/test_disk.py`."""
    shell = Shell(tmp_path / "place")
    runner = job(shell, tmp_path, task="TASK-1")
    with small_disk(shell.project.root / ".orchestrator/runs") as disk:
        fill(disk)
        ended = asyncio.run(run_with_model(runner, [turn(text="Done.")]))

    assert ended.returncode == 5, ended.stderr
    assert runner.outputs["outcome"] == "environment"
    kind, message = case_of_the_outcome(runner)
    assert (kind, "No space left on device" in (message or "")) == ("environment", True)


@pytest.mark.sandbox
@pytest.mark.usefixtures("bwrap")
def test_a_disk_that_fills_up_during_a_job_ends_it_and_it_goes_on(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "place")
    runner = job(shell, tmp_path, task="TASK-1")
    runs = shell.project.root / ".orchestrator/runs"
    go = holding(shell)
    with small_disk(runs) as disk:

        def full(_: object) -> None:
            when_it_works(runs)
            fill(disk)
            go.touch()

        turns = [turn(HELLO), turn(text="Done.")]
        ended = asyncio.run(run_with_model(runner, turns, meanwhile=full))

        assert ended.returncode == 5, ended.stderr
        assert runner.outputs["outcome"] == "environment"
        kind, message = case_of_the_outcome(runner)
        assert (kind, "No space left on device" in (message or "")) == ("environment", True)
        (disk / "filler").unlink()
        gone_on = asyncio.run(resume_with_model(shell, turns))
        assert gone_on.returncode == 0, gone_on.stderr


SETUP = """\
[environment]
setup = "mkdir packages && touch packages/installed"
key = ["app/main.py"]
provides = ["packages"]
"""


def kept_in_caches() -> list[str]:
    """What both systems keep from job to job, below the folder for caches."""
    (github,) = (step for step in ACTION["runs"]["steps"] if "cache@" in step.get("uses", ""))
    gitlab = yaml.safe_load((ROOT / "deploy/gitlab.yml").read_text())[".agentflow:run"]["cache"]
    return [path.partition(".cache/")[2] for path in (github["with"]["path"], *gitlab["paths"])]


@pytest.mark.sandbox
@pytest.mark.usefixtures("bwrap")
def test_the_steps_of_the_action(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "place")
    project = shell.project
    project.write(".orchestrator/config.toml", SETUP)
    project.commit("chore: setup")
    remote = tmp_path / "remote.git"
    project.git("clone", "-q", "--bare", ".", str(remote))
    project.git("remote", "add", "origin", str(remote))
    inputs = {"task": "TASK-1", "bundle": "true", "pull-request": "true"}
    runner = job(shell, tmp_path, **inputs)
    installed = runner.run("Install")
    ran = asyncio.run(run_with_model(runner, [turn(HELLO), turn(text="Done.")]))
    proposed = runner.run("Propose")

    assert installed.returncode == 0, installed.stderr
    assert installed.stdout.startswith("::warning::The job's own token pushes")
    assert ran.returncode == 0, ran.stderr
    tip = project.git("rev-parse", "agentflow/TASK-1")
    folder = Path(runner.outputs["report"])
    assert runner.outputs == {
        "outcome": "done",
        "run": runner.outputs["run"],
        "branch": "agentflow/TASK-1",
        "commit": tip,
        "report": str(folder),
        "cost": runner.outputs["cost"],
    }
    assert float(runner.outputs["cost"]) > 0
    assert sorted(file.name for file in folder.iterdir()) == [
        "agentflow.sarif", "journal.jsonl", "junit.xml", "prompt.md", "report.html", "report.json",
        "result.json", "run.tar",
    ]  # fmt: skip
    page = (folder / "report.html").read_text("utf-8")
    assert "<title>" in page
    assert runner.outputs["run"] in page
    assert "✅" in runner.files["GITHUB_STEP_SUMMARY"].read_text()
    assert proposed.returncode == 0, proposed.stderr
    assert project.git("ls-remote", "origin", "refs/heads/agentflow/TASK-1").split()[0] == tip
    assert "credential" not in (project.root / ".git/config").read_text()
    cache = Path(shell.environment["XDG_CACHE_HOME"])
    (installed,) = cache.glob("agentflow/*/provisions/**/installed")
    for kept in kept_in_caches():
        (store,) = cache.glob(kept)
        assert installed.is_relative_to(store)


@pytest.mark.sandbox
@pytest.mark.usefixtures("bwrap")
def test_a_refused_run_has_outputs_and_its_code(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "place")
    runner = job(shell, tmp_path, task="TASK-9; touch owned")

    ended = runner.run("Run")

    assert ended.returncode == 2
    assert runner.outputs["outcome"] == "usage"
    folder = Path(runner.outputs["report"])
    assert json.loads((folder / "agentflow.sarif").read_text())["version"] == "2.1.0"
    assert not (shell.project.root / "owned").exists()
    (upload,) = (step for step in ACTION["runs"]["steps"] if "upload" in step.get("uses", ""))
    assert upload["if"] == "always() && steps.run.outputs.report != ''"
    assert runner.value(upload["with"]["path"]) == str(folder)


@pytest.mark.parametrize("may", [True, False])
def test_ubuntu_s_user_namespaces_are_allowed_or_it_is_said(tmp_path: Path, *, may: bool) -> None:
    """The step as it is, but for the place where the kernel says that they are restricted."""
    shell = Shell(tmp_path / "place")
    restricted, log = tmp_path / "restricted", tmp_path / "log"
    restricted.write_text("1\n")
    copy = tmp_path / "copy/deploy/action/install"
    copy.parent.mkdir(parents=True)
    text = (ROOT / "deploy/action/install").read_text()
    place = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
    assert text.count(place) == 1
    copy.write_text(text.replace(place, str(restricted)))
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, words in (
        ("sysctl", f'echo "$*" >>{log}; {"true" if may else "false"}'),
        ("sudo", f'echo sudo >>{log}; exec "$@"'),
        ("bwrap", "true"),
        ("rg", "true"),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{words}\n")
        (programs / name).chmod(0o755)
    runner = job(shell, tmp_path)
    path = f"{programs}:{runner.environment['PATH']}"

    ended = runner.script(f"bash {copy}", {"PATH": path})

    assert ended.returncode == 0, ended.stderr
    asked = log.read_text().splitlines()
    assert asked[-1] == "-q -w kernel.apparmor_restrict_unprivileged_userns=0"
    assert (asked[0] == "sudo") == (os.geteuid() != 0)
    assert ("::warning::AppArmor" in ended.stdout) is not may
    restricted.write_text("0\n")
    log.unlink()
    assert runner.script(f"bash {copy}", {"PATH": path}).returncode == 0
    assert not log.exists()


def test_the_action_installs_what_is_tested_and_no_more() -> None:
    tested, installed = (
        set(re.findall(r"^([\w.-]+==\S+)", (ROOT / file).read_text(), re.MULTILINE))
        for file in ("requirements.lock", "deploy/action/requirements.lock")
    )
    assert installed < tested
    names = {each.partition("==")[0] for each in installed}
    assert {"anthropic", "typer", "hatchling"} <= names
    assert not {"playwright", "basedpyright", "zensical"} & names
