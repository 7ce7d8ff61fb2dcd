"""One way to run git: a known directory, a known environment, bytes in and out.

Every command is a session of its own: Ctrl-C is for agentflow to handle.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from agentflow.disk import remedy
from agentflow.errors import EnvironmentFailure

_ISOLATED = {
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_LAZY_FETCH": "1",
}
_ALWAYS = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    # Paths come from trees: `[id].test.ts` and `:x` name files and nothing else.
    "GIT_LITERAL_PATHSPECS": "1",
    "LC_ALL": "C",
}
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "submodule.recurse=false",
    "gc.auto=0",
    "maintenance.auto=false",
    # By default loose objects and refs are left to the kernel, and a power cut takes them.
    "core.fsync=committed",
)
_NOT_FOUND, _FATAL = 127, 128
_OUT_OF_TIME = frozenset({124, 137, -9})
"""How `timeout` ends when it had to end the command, also by its second and stronger signal."""
_OPTIONS = tuple(word for setting in _SETTINGS for word in ("-c", setting))


class GitError(EnvironmentFailure):
    """git ended with a code that its caller has no answer to."""

    def __init__(
        self, arguments: tuple[str, ...], code: int, message: str, output: bytes = b""
    ) -> None:
        told = f"git {arguments[0]}: {message or f'exit code {code}'}"
        super().__init__(told, hint=remedy(message))
        self.code = code
        self.said = message
        """Standard error."""
        self.output = output
        """Standard output."""


class Git:
    """git in one directory. No hook, file-system monitor or background job is ever started."""

    def __init__(
        self, directory: Path, environment: Mapping[str, str], start: "Start | None" = None
    ) -> None:
        """`start` runs a command; by default it is a plain subprocess."""
        self.directory = directory
        self.environment = dict(environment)
        self._start = start or _start

    def run(
        self,
        *arguments: str,
        stdin: bytes | BinaryIO | None = None,
        environment: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> bytes:
        """Return standard output. An open file given as `stdin` is read from where it stands.

        With a `timeout` (seconds) nobody can be asked: there is no terminal, and in the end git
        dies with the programs that it started. Raises `GitError` for an exit code other than 0,
        `EnvironmentFailure` without git.
        """
        code, output, message = self._execute(arguments, stdin, environment or {}, timeout)
        if code:
            raise GitError(arguments, code, message, output)
        return output

    def text(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        environment: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> str:
        """Return standard output as text without the last line's end; see `run`."""
        output = self.run(*arguments, stdin=stdin, environment=environment, timeout=timeout)
        return output.decode("utf-8", "surrogateescape").rstrip("\n")

    def succeeds(self, *arguments: str, environment: Mapping[str, str] | None = None) -> bool:
        """Whether the command ends with 0."""
        return self._execute(arguments, None, environment or {}, None)[0] == 0

    def _execute(
        self,
        arguments: tuple[str, ...],
        stdin: bytes | BinaryIO | None,
        environment: Mapping[str, str],
        timeout: float | None,
    ) -> tuple[int, bytes, str]:
        if not isinstance(stdin, bytes):
            return self._execute_from(arguments, stdin, environment, timeout)
        with tempfile.TemporaryFile() as source:
            source.write(stdin)
            source.seek(0)
            return self._execute_from(arguments, source, environment, timeout)

    def _execute_from(
        self,
        arguments: tuple[str, ...],
        source: BinaryIO | None,
        environment: Mapping[str, str],
        timeout: float | None,
    ) -> tuple[int, bytes, str]:
        variables = {**self.environment, **_ALWAYS, **environment}
        if not os.access(self.directory, os.X_OK):
            # GitPython would run git wherever this process is, and a subprocess not find it.
            return _FATAL, b"", f"cannot change to '{self.directory}'"
        limit = ["timeout", "--kill-after=1", str(timeout)] if timeout else []
        command = [*limit, "git", *_OPTIONS, *arguments]
        try:
            code, output, message = self._start(command, self.directory, variables, source)
        except FileNotFoundError:
            code, output, message = _NOT_FOUND, b"", ""
        if code == _NOT_FOUND:
            raise EnvironmentFailure("git is not installed", hint="apt-get install git")
        if timeout and code in _OUT_OF_TIME:
            message = f"not done after {timeout:g} s"
        return code, output, message.strip()


Start = Callable[[list[str], Path, Mapping[str, str], BinaryIO | None], tuple[int, bytes, str]]
"""Runs a command in a directory, with this environment and nothing else, and input from a file; returns
exit code, standard output and standard error. Raises `FileNotFoundError` without the program."""


def _start(
    command: list[str], directory: Path, environment: Mapping[str, str], source: BinaryIO | None
) -> tuple[int, bytes, str]:
    """A `Start`."""
    ended = subprocess.run(
        command,
        cwd=directory,
        env=environment,
        stdin=source or subprocess.DEVNULL,
        capture_output=True,
        check=False,
        start_new_session=True,
    )
    return ended.returncode, ended.stdout, ended.stderr.decode("utf-8", "replace")


def _start_by_gitpython(
    command: list[str], directory: Path, environment: Mapping[str, str], source: BinaryIO | None
) -> tuple[int, bytes, str]:
    """A `Start`. The import takes longer than ten commands, so only what needs it waits for it."""
    import git as gitpython

    # GitPython adds our own environment to the one it is given, GIT_DIR of a calling hook
    # included. Only names go through `env`: a command line can be read by every user.
    wanted = {*environment, "GIT_PYTHON_REFRESH"}  # ours, and git does not know it
    unwanted = [f"--unset={name}" for name in os.environ if name not in wanted]
    try:
        return gitpython.Git(str(directory)).execute(
            ["env", *unwanted, *command] if unwanted else command,
            istream=source,
            env=dict(environment),
            with_extended_output=True,
            with_exceptions=False,
            stdout_as_string=False,
            strip_newline_in_stdout=False,
            start_new_session=True,
        )
    except gitpython.GitCommandNotFound as error:
        raise FileNotFoundError(command[0]) from error


def isolated(directory: Path) -> Git:
    """git without any configuration but the repository's own: for repositories that we made."""
    path = os.environ.get("PATH", os.defpath)
    return Git(directory, {**_ISOLATED, "PATH": path})


def by_gitpython(git: Git) -> Git:
    """The same git, run by GitPython: for what moves the user's branches, here or at a remote."""
    return Git(git.directory, git.environment, _start_by_gitpython)


def as_user(directory: Path, environment: Mapping[str, str]) -> Git:
    """git as the user runs it, in the user's repository, without a calling hook's variables.

    A folder of the work tree that poses as a bare repository, with settings that run programs, is
    not taken for one.
    """
    own = {name: value for name, value in environment.items() if not name.startswith("GIT_")}
    explicit = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.bareRepository",
        "GIT_CONFIG_VALUE_0": "explicit",
    }
    return Git(directory, {**own, **explicit})


def explicit(git_dir: Path, environment: Mapping[str, str]) -> Git:
    """git as the user runs it, with the user's keys and helpers, in a bare repository of ours; it
    talks to remotes by the usual protocols and by none that runs a command."""
    git = as_user(git_dir, environment)
    own = {"GIT_DIR": str(git_dir), "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh"}
    return Git(git_dir, {**git.environment, **own})
