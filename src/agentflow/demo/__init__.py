"""The demo: an example repository, a task, and a scripted model that does it."""

import os
import shutil
import sys
from pathlib import Path

from agentflow.models.scripted import Script, load_script
from agentflow.workspace.git import isolated

TASK = "TASK-001"
GATE = "python -m pytest -q"
"""The command that judges the example."""

_HERE = Path(__file__).parent


def make_repository(folder: Path) -> Path:
    """Make the example repository, with one commit, in a new folder; return it."""
    root = folder / "notes"
    shutil.copytree(_HERE / "repository", root, ignore=shutil.ignore_patterns("__pycache__"))
    config = f"[[gates]]\nname = \"test\"\ncommand = '{GATE}'\n"
    (root / ".orchestrator" / "config.toml").write_text(config, "utf-8")
    (root / ".gitignore").write_text("__pycache__/\n", "utf-8")
    git = isolated(root)
    git.run("init", "--quiet", "--template=", "--initial-branch=main")
    for key, value in (("user.name", "Demo"), ("user.email", "demo@example.com")):
        git.run("config", key, value)
    git.run("add", "--all")
    git.run("commit", "--quiet", "--message", "feat: a service for notes")
    return root


def demo_environment() -> dict[str, str]:
    """The user's environment, in which `python` is the one that runs agentflow: it has pytest."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    return {**os.environ, "PATH": path}


def demo_script() -> Script:
    """What the scripted model says."""
    return load_script(_HERE / "script.yaml")
