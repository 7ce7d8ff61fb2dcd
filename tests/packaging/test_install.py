"""Every way to install gives a working command with the built-in prompts inside."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import agentflow
from tests.run.project import Project

pytestmark = [pytest.mark.packaging, pytest.mark.sandbox]

SOURCE = Path(__file__).parents[2]


def command(*arguments: str, **environment: str) -> None:
    """Run an installer; show what it said if it fails."""
    ended = subprocess.run(
        arguments, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def has_builtin_prompts(agentflow: list[str], project: Project) -> bool:
    """Whether the command renders a built-in prompt for a task, lists all, and has their suites."""

    def said(*arguments: str) -> str:
        return subprocess.run(
            [*agentflow, *arguments],
            cwd=project.root,
            env=project.world.environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    shown = said("run", "TASK-1", "--prompt", "agent", "--gate", "test=true", "--dry-run")
    listed = said("prompts", "list")
    names = ("agent", "backend-dev", "engineer", "handoff", "phase-6")
    assert "engineer/report" in said("prompts", "test", "engineer")
    return "You are a senior backend engineer" in shown and all(name in listed for name in names)


def assert_demo(installed: Path, folder: Path) -> None:
    """The main job is done with what was installed alone: example, script, its Python and its pytest."""
    surroundings = {"HOME": str(folder.parent), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [installed, "demo", "--directory", folder, "--output-format", "json"],
        cwd=folder.parent, env=surroundings, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    gates = {gate["gate"]: gate["status"] for gate in report["verification"]["gates"]}
    assert (report["outcome"], gates["build:test"]) == ("done", "passed")
    landed = subprocess.run(
        ["git", "rev-parse", report["branch"]],
        cwd=folder / "notes", capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    assert landed == report["commits"][-1]["sha"]
    assert (folder / "notes" / report["marker"]).read_text("utf-8") == "done"


def test_pipx_install(project: Project, tmp_path: Path) -> None:
    places = {f"PIPX_{name}": str(tmp_path / name) for name in ("HOME", "BIN_DIR", "MAN_DIR")}
    pipx = (sys.executable, "-m", "pipx", "install", "--python", sys.executable, str(SOURCE))
    command(*pipx, **places)
    installed = tmp_path / "BIN_DIR/agentflow"
    assert has_builtin_prompts([str(installed)], project)
    assert_demo(installed, tmp_path / "demo")


def test_uv_tool_install(project: Project, tmp_path: Path) -> None:
    places = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    uv = (sys.executable, "-m", "uv", "tool", "install", "--python", sys.executable, str(SOURCE))
    command(*uv, **places)
    assert has_builtin_prompts([str(tmp_path / "bin/agentflow")], project)


def test_editable_install(project: Project) -> None:
    assert Path(agentflow.__file__).is_relative_to(SOURCE / "src")
    assert has_builtin_prompts([str(Path(sys.executable).parent / "agentflow")], project)


def test_module(project: Project) -> None:
    assert has_builtin_prompts([sys.executable, "-m", "agentflow"], project)
