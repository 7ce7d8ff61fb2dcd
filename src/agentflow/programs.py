"""Programs: what a line for bash starts, and whether anybody can find it."""

import posixpath
import shlex
import shutil
from collections.abc import Collection
from pathlib import PurePosixPath

from agentflow.environment import Environment
from agentflow.errors import EnvironmentFailure
from agentflow.globs import matches
from agentflow.records import BuildCommand

_SHELL_WORDS = frozenset({
    "!", "(", ".", "[", "[[", "case", "cd", "command", "echo", "eval", "exec", "export", "false",
    "for", "if", "printf", "set", "source", "test", "time", "true", "ulimit", "umask", "until",
    "while", "{",
})  # fmt: skip
"""First words that bash itself understands; whether the rest exists shows only in the sandbox."""


def check_program(
    gate: BuildCommand, base_paths: Collection[str], search: str | None, environment: Environment
) -> None:
    """Refuse a gate whose program is neither in the base, nor made by setup, nor on the PATH
    `search`. Raises `EnvironmentFailure`."""
    word = first_word(gate.command)
    path = posixpath.normpath(posixpath.join(gate.cwd, word))
    if not word or word in _SHELL_WORDS or path in base_paths or _is_provided(path, environment):
        return
    if shutil.which(word, path=search) is None:
        raise EnvironmentFailure(
            f"the gate {gate.name!r} runs {word!r}, which is neither on PATH nor in the repository",
            hint="Install it, or correct the gate's command.",
        )


def _is_provided(path: str, environment: Environment) -> bool:
    """Whether setup makes what stands at a path, as `.venv/bin/pytest`."""
    setup = environment.setup
    above = [str(each) for each in PurePosixPath(path).parents]
    return bool(setup) and any(matches(g, each) for g in setup.provides for each in above)


def first_word(command: str) -> str:
    """The program that a line for bash starts with, after assignments; empty if unclear."""
    try:
        words = shlex.split(command, comments=True)
    except ValueError:
        return ""
    word = next((word for word in words if "=" not in word), "")
    return "" if any(character in word for character in "$`;|&<>*?") else word
