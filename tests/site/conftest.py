"""The example repository in which the commands of the documentation run."""

import os
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.forks.programs import on_path, scripted_model
from tests.run.project import make_project

HERE = Path(__file__).parent
CONFIG = """\
prompt = "plain"

[[gates]]
name = "test"
command = "python3 -m py_compile app/main.py"
"""


@dataclass(frozen=True)
class Place:
    """Where a page's shell starts, and in which environment."""

    start: Path
    environment: dict[str, str]


@pytest.fixture(scope="session")
def model() -> Generator[str]:
    """The address of a scripted model that does what the tasks of the example ask for."""
    server = subprocess.Popen(
        scripted_model(str(HERE / "replies.yaml")),
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert server.stdout is not None
    yield server.stdout.readline().strip()
    server.terminate()
    server.wait()
    server.stdout.close()


@pytest.fixture
def place(tmp_path: Path, model: str) -> Place:
    """A repository with a few tasks, and an environment whose configuration names the scripted model."""
    project = make_project(tmp_path)
    project.write(".orchestrator/config.toml", CONFIG)
    for task in ("TASK-1", "TASK-2", "TASK-3", "TASK-123"):
        folder = f"app/{task.lower()}"
        project.write(f"{folder}/__init__.py", "")
        project.write(
            f".orchestrator/tasks/{task}.md",
            f"---\ntitle: Say hello in {folder}\nallow: [{folder}/**]\n---\n\n# Say hello in {folder}\n",
        )
    project.commit("chore: tasks")
    programs = Path(sys.executable).parent
    return Place(
        project.root,
        {
            **project.world.environment,
            "PATH": os.pathsep.join((str(on_path()), str(programs), os.environ["PATH"])),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "LANG": "C.UTF-8",
            "COLUMNS": "100",
            "AGENTFLOW_BASE_URL": model,
        },
    )
