"""Every way to install gives a working command with the built-in prompts inside."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import agentflow
from tests.run.project import Project

pytestmark = [pytest.mark.packaging, pytest.mark.sandbox]

SOURCE = Path(__file__).parents[2]
README = (SOURCE / "README.md").read_text("utf-8")


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


MEASURED = re.compile(
    r"\d{4}-\d\d-\d\dT[\d:]+Z|\d{8}T\d{6}-\w{4}|\b[0-9a-f]{12}\b|[\d,.]+ (?:tokens|m?s)\b|\$[\d.]+"
)
"""What differs between two demos: moments, runs, commits, durations, tokens and cost."""


def assert_readme_shows(printed: str) -> None:
    """Each line of the README's demo was printed; one that ends with `…` began so.

    Its order is that of the output too, but for the tools of one turn, which run beside each other.
    """
    shown = README.partition("it prints, shortened here:")[2].partition("```text\n")[2]
    wanted = [line for line in shown.partition("```")[0].splitlines() if line != "..."]
    lines = [MEASURED.sub("N", line) for line in printed.splitlines()]
    places = list[int]()
    for line in wanted:
        start = MEASURED.sub("N", line).removesuffix("…").rstrip()
        found = [place for place, text in enumerate(lines) if text.startswith(start)]
        assert found, f"the README shows what the demo does not print: {line}"
        if " tool " not in line:
            later = [place for place in found if not places or place > places[-1]]
            assert later, f"the README shows this line at another place: {line}"
            places.append(later[0])
    assert len(places) > 20


def assert_demo(installed: Path, folder: Path) -> None:
    """The main job is done with what was installed alone: example, script, its Python and its pytest."""
    surroundings = {"HOME": str(folder.parent), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [installed, "demo", "--directory", folder],
        cwd=folder.parent, env=surroundings, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert_readme_shows(done.stderr + done.stdout)
    (written,) = (folder / "notes/.orchestrator/runs").glob("*/report.json")
    report = json.loads(written.read_text("utf-8"))
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
