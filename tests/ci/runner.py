"""GitHub's runner, as far as this action and the workflows of the documentation need one."""

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.forks.programs import on_path

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())


class Runner:
    """What GitHub's runner gives to the steps of an action."""

    def __init__(
        self, workspace: Path, environment: Mapping[str, str], folder: Path, **inputs: str
    ) -> None:
        """A job in a checkout; `folder` is for what the runner keeps beside it."""
        self.workspace = workspace
        defaults = {name: given.get("default", "") for name, given in ACTION["inputs"].items()}
        self.inputs = {**defaults, **inputs}
        self.outputs: dict[str, str] = {}
        self.files = {
            name: folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_PATH")
        }
        for file in self.files.values():
            file.touch()
        temporary = folder / "temporary"
        temporary.mkdir()
        programs = Path(sys.executable).parent
        self.environment = {
            **environment,
            **{name: str(file) for name, file in self.files.items()},
            "PATH": f"{on_path()}:{programs}:{environment['PATH']}",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(workspace),
            "GITHUB_ACTION_PATH": str(ROOT),
            "RUNNER_TEMP": str(temporary),
            "CI": "true",
        }

    def value(self, text: str) -> str:
        """An expression, as far as the action uses any."""
        return re.sub(r"\$\{\{\s*(.*?)\s*\}\}", lambda found: self._value(found[1]), text)

    def _value(self, expression: str) -> str:
        first = expression.split(" || ")[0]
        name = first.rsplit(".", 1)[1]
        return self.outputs.get(name, "") if first.startswith("steps.") else self.inputs[name]

    def run(
        self, name: str, meanwhile: "Callable[[subprocess.Popen[str]], None] | None" = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run one step that is a script; `meanwhile` sees its process."""
        (step,) = (step for step in ACTION["runs"]["steps"] if step["name"] == name)
        given = {key: self.value(text) for key, text in step.get("env", {}).items()}
        return self.script(f"exec {step['run']}", given, meanwhile)

    def script(
        self,
        text: str,
        given: Mapping[str, str],
        meanwhile: "Callable[[subprocess.Popen[str]], None] | None" = None,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a script as a step does, with these variables."""
        process = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text],
            cwd=self.workspace, env={**self.environment, **given}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
        )  # fmt: skip
        if meanwhile:
            meanwhile(process)
        output, talk = process.communicate(timeout=120)
        lines = self.files["GITHUB_OUTPUT"].read_text().splitlines()
        parts = (line.partition("=") for line in lines)
        self.outputs = {name: value for name, _, value in parts}
        return subprocess.CompletedProcess(process.args, process.returncode, output, talk)
