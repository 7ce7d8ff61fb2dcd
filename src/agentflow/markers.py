"""Markers: `.orchestrator/complete/<TASK>.done`, `.failed` or `.blocked`, one at a time."""

from contextlib import suppress
from pathlib import Path
from typing import Literal

from agentflow.disk import telling, write_atomically
from agentflow.errors import EnvironmentFailure

FOLDER = ".orchestrator/complete"
Kind = Literal["done", "failed", "blocked"]
KINDS: tuple[Kind, ...] = ("done", "failed", "blocked")


def marker_path(root: Path, task: str, kind: Kind) -> Path:
    """Where a task's marker of this kind is."""
    return root / FOLDER / f"{task}.{kind}"


def read_marker(root: Path, task: str) -> Kind | None:
    """Which marker a task has."""
    return next((kind for kind in KINDS if marker_path(root, task, kind).is_file()), None)


def write_marker(root: Path, task: str, kind: Kind) -> Path:
    """Write the marker atomically: it holds its kind as text, all of it or nothing is there.

    Call with the task's lock held. Raises `EnvironmentFailure` if the folder cannot be used.
    """
    own_folder(root, FOLDER)
    path = marker_path(root, task, kind)
    _remove(root, task, tuple(other for other in KINDS if other != kind))
    write_atomically(path, kind, alone=True)
    return path


def remove_markers(root: Path, task: str) -> None:
    """Remove what an earlier run left. Call with the task's lock held.

    Raises `EnvironmentFailure` if the folder cannot be used.
    """
    own_folder(root, FOLDER)
    _remove(root, task, KINDS)


def _remove(root: Path, task: str, kinds: tuple[Kind, ...]) -> None:
    for kind in kinds:
        path = marker_path(root, task, kind)
        with telling("remove", path):
            path.unlink(missing_ok=True)


def own_folder(root: Path, name: str) -> Path:
    """Make a folder of ours in the work tree, which git ignores, and return it.

    Raises `EnvironmentFailure` if a link of the repository leads it elsewhere.
    """
    folder = root / name
    with telling("use", folder):
        # before anything is made: what a link leads to is not ours
        if folder.resolve() != root.resolve() / name:
            raise EnvironmentFailure(
                f"{folder} leads to {folder.resolve()}", hint="Remove the link from the repository."
            )
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), (folder / ".gitignore").open("x", encoding="utf-8") as file:
            file.write("*\n")
    return folder
