"""Writes what `agentflow init` proposes: new files only, and none through a link."""

from pathlib import Path

from agentflow.errors import EnvironmentFailure
from agentflow.frozen import record
from agentflow.init.example import EXAMPLE, render_example
from agentflow.init.proposal import Proposal
from agentflow.init.rendering import render
from agentflow.settings import CONFIG
from agentflow.tasks.task import FOLDER as TASKS

IGNORE = ".orchestrator/.gitignore"
IGNORED = "# What runs leave: not for git.\n/complete/\n/reports/\n/runs/\n"


@record
class Written:
    """One file, and whether it is new."""

    path: str
    new: bool


def write(root: Path, proposal: Proposal) -> tuple[Written, ...]:
    """Write the files that are not there yet.

    Raises `EnvironmentFailure` if the disk refuses, or if a link of the repository leads elsewhere.
    """
    texts = {
        CONFIG: render(proposal),
        f"{TASKS}/{EXAMPLE}.md": render_example(proposal),
        IGNORE: IGNORED,
    }
    return tuple(Written(path, _write(root, path, text)) for path, text in texts.items())


def _write(root: Path, path: str, text: str) -> bool:
    """Whether the file was written; False if something of that name is there."""
    file = root / path
    try:
        # before anything is made: what a link leads to is not ours
        if file.parent.resolve() != (root.resolve() / path).parent:
            raise EnvironmentFailure(
                f"{file.parent} leads to {file.parent.resolve()}",
                hint="Remove the link from the repository.",
            )
        if file.is_symlink() or file.exists():
            return False
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise EnvironmentFailure(f"cannot write {file}: {error.strerror}") from error
    except RuntimeError as error:  # what Path.resolve raises up to Python 3.12
        raise EnvironmentFailure(f"cannot write {file}: its links lead in a circle") from error
    return True
