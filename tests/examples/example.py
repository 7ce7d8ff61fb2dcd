"""What the example repositories have in common: how one is built, changed, broken and signed."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agentflow.order import Order
from agentflow.records import Json
from agentflow.world import World
from tests.examples.packages import REPOSITORIES
from tests.forks.programs import agentflow
from tests.run.project import Project, bash, call, turn

FEATURE = "FEATURE-1"
PACKAGE = "PACKAGE-1"

SECRET_FILE = "token.txt"
SECRET = "ghp_" + "x7Qm2Lr9Tz4Vb8Nc1Kd5Wf3Hs6Jg0Pa2Ye8U"
"""Looks like an access token, and is in two parts so that this file does not."""

TURNSTILE = "smoke"
"""The name of the gate that a turnstile decides."""


def _write(path: str, content: str) -> Json:
    """The call that makes a file. A key is put together by the shell: what holds one is not run."""
    if SECRET not in content:
        return call("Write", file_path=path, content=content)
    first, last = SECRET[:4], SECRET[4:]
    parts = content.replace(SECRET, "%s%s").rstrip("\n")
    return bash(f"printf '{parts}\\n' {first} {last} > {path}")


@dataclass(frozen=True, slots=True)
class Change:
    """What the scripted model does for one task."""

    task: str
    edits: tuple[tuple[str, str, str], ...] = ()
    """Path, text, and the text in its place. Every file is read before."""
    files: Mapping[str, str] | None = None
    """New files, and their whole content."""
    check: str = "true"
    """The command that the model runs in the end."""

    @property
    def turns(self) -> list[Json]:
        """The model's replies: look, change, check, and the marker that says finished."""
        reads = [call("Read", file_path=path) for path in dict.fromkeys(e[0] for e in self.edits)]
        changes = [
            *(
                call("Edit", file_path=path, old_string=old, new_string=new)
                for path, old, new in self.edits
            ),
            *(_write(path, content) for path, content in (self.files or {}).items()),
        ]
        marker = call("Write", file_path=f".orchestrator/complete/{self.task}.done", content="done")
        return [
            *([turn(*reads, text="I look at what is there.")] if reads else []),
            turn(*changes, text="I make the change, with its test."),
            turn(bash(self.check), text="Now the checks."),
            turn(marker, text="The change is made and its test is there."),
        ]

    def with_file(self, path: str, content: str) -> "Change":
        """The same change with one more file."""
        return Change(self.task, self.edits, {**(self.files or {}), path: content}, self.check)

    def apply(self, root: Path) -> None:
        """Make the change without a model."""
        for path, old, new in self.edits:
            text = (root / path).read_text("utf-8")
            assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {path}"
            (root / path).write_text(text.replace(old, new), "utf-8")
        for path, content in (self.files or {}).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(content, "utf-8")


@dataclass(frozen=True, slots=True)
class Recipe:
    """One kind of example repository."""

    name: str
    """Its folder in `repositories/`."""
    configuration: str
    """`.orchestrator/config.toml`; `{host}` is the registry's."""
    files: Mapping[str, str]
    """Further files; `{npm}` and `{index}` are the registry's addresses."""
    tasks: Mapping[str, str]
    feature: Change
    package: Change
    broken: tuple[str, str, str]
    """The edit that makes main red: path, text, and the text in its place."""


@dataclass(frozen=True, slots=True)
class Example:
    """An example repository on `main`, ready for runs."""

    recipe: Recipe
    project: Project

    @property
    def root(self) -> Path:
        """The repository's folder."""
        return self.project.root

    async def run(self, change: Change, *, fresh: bool = False, **flags: Any) -> Json:
        """Run the change's task with a scripted model that makes it; return the report."""
        given: dict[str, Any] = {"gates": [], "prompt": "agent", **flags}
        order = Order(change.task, fresh=fresh)
        return await self.project.run(change.turns, order=order, **given)

    def secret(self) -> Change:
        """The feature with a token in one of its files, and nothing checked."""
        feature = replace(self.recipe.feature, check="true")
        folder = feature.edits[0][0].rpartition("/")[0]
        return feature.with_file(f"{folder}/{SECRET_FILE}", f"token: {SECRET}\n")

    def marker(self, task: str, kind: str) -> bool:
        """Whether the task has a marker of this kind."""
        return (self.root / f".orchestrator/complete/{task}.{kind}").exists()

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run agentflow in the repository, with the example's environment."""
        return subprocess.run(
            agentflow(*arguments),
            cwd=self.root,
            env=dict(self.project.world.environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def trust(self) -> None:
        """Grant what the repository's configuration asks for beyond the sandbox."""
        granted = self.command("trust", "--yes")
        assert granted.returncode == 0, granted.stderr

    def configure(self, text: str) -> None:
        """Write the user's own configuration."""
        folder = Path(self.project.world.environment["XDG_CONFIG_HOME"], "agentflow")
        folder.mkdir(exist_ok=True)
        (folder / "config.toml").write_text(text, "utf-8")

    def change(self, change: Change, branch: str) -> str:
        """Commit a change on a new branch of main, by hand; return the commit's name."""
        self.project.git("checkout", "--quiet", "-b", branch, "main")
        change.apply(self.root)
        made = self.project.commit(f"feat: {branch}")
        self.project.git("checkout", "--quiet", "main")
        return made

    def sign_commits(self) -> None:
        """Configure signing with an SSH key of its own, and whose signatures are good."""
        folder = self.root.parent / "keys"
        folder.mkdir(mode=0o700)
        key = folder / "signing"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ada", "-f", str(key)], check=True
        )
        public = key.with_suffix(".pub").read_text("utf-8")
        (folder / "allowed").write_text(f"ada@example.com {public}", "utf-8")
        for name, value in (
            ("gpg.format", "ssh"),
            ("user.signingKey", str(key)),
            ("commit.gpgSign", "true"),
            ("gpg.ssh.allowedSignersFile", str(folder / "allowed")),
        ):
            self.project.git("config", name, value)


def build(recipe: Recipe, folder: Path, *, host: str = "127.0.0.1:9", red: bool = False) -> Example:
    """Build the example in a new folder; `host` is the registry's.

    The repository has a history of two commits, or of three if main is to be `red`.
    """
    root = folder / recipe.name
    shutil.copytree(REPOSITORIES / recipe.name, root, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("home", "config"):
        (folder / name).mkdir(exist_ok=True)
    python = Path(sys.executable).parent
    environment = {
        "PATH": os.pathsep.join((str(python), os.environ.get("PATH", os.defpath))),
        "HOME": str(folder / "home"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    project = Project(root, World(root, environment, folder / "cache"))
    project.git("init", "--quiet", "--initial-branch=main")
    project.git("config", "user.name", "Ada")
    project.git("config", "user.email", "ada@example.com")
    addresses = {"npm": f"http://{host}/npm/", "index": f"http://{host}/simple/"}
    for path, content in recipe.files.items():
        project.write(path, content.format(**addresses))
    project.commit("feat: start")
    project.write(".orchestrator/config.toml", recipe.configuration.replace("{host}", host))
    for task, text in recipe.tasks.items():
        project.write(f".orchestrator/tasks/{task}.md", text)
    project.commit("chore: agentflow")
    if red:
        Change("", (recipe.broken,)).apply(root)
        project.commit("refactor: simpler")
    return Example(recipe, project)


@contextmanager
def turnstile(folder: Path, answers: Sequence[str]) -> Generator[str]:
    """A pipe in the folder that lets every reader have one answer, the last one again and again.

    It makes a gate that fails on its first try and passes on the next, without a clock: no try
    leaves anything behind, but a pipe on this machine knows how often it was read. Yields a
    command that passes if its answer is `pass`; the sandbox must be able to read the folder.
    """
    folder.mkdir(parents=True)
    pipe = folder / "turnstile"
    os.mkfifo(pipe)
    stop = threading.Event()

    def serve() -> None:
        given = [*answers]
        while not stop.is_set():
            answer = given.pop(0) if len(given) > 1 else given[0]
            descriptor = os.open(pipe, os.O_WRONLY)  # returns when somebody reads
            os.mkfifo(folder / "next")  # whoever comes now waits at a pipe of their own
            (folder / "next").replace(pipe)
            with os.fdopen(descriptor, "wb", buffering=0) as writer, suppress(BrokenPipeError):
                writer.write(f"{answer}\n".encode())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f'read -r answer <{pipe} && echo "the answer: $answer" && test "$answer" = pass'
    finally:
        stop.set()
        while thread.is_alive():
            last_reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
            thread.join(0.02)
            os.close(last_reader)
