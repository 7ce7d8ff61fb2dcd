"""Markers: `.orchestrator/complete/<TASK>.done`, `.failed` or `.blocked`, one at a time."""

import os
import tempfile
from pathlib import Path
from typing import Literal

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

    Raises `EnvironmentFailure` if the folder cannot be used.
    """
    folder = own_folder(root, FOLDER)
    path = marker_path(root, task, kind)
    write_atomically(path, kind)
    for other in KINDS:
        if other != kind:
            marker_path(root, task, other).unlink(missing_ok=True)
    _sync(folder)
    return path


def remove_markers(root: Path, task: str) -> None:
    """Remove what an earlier run left. Call with the task's lock held."""
    for kind in KINDS:
        marker_path(root, task, kind).unlink(missing_ok=True)


def own_folder(root: Path, name: str) -> Path:
    """Make a folder of ours in the work tree, which git ignores, and return it.

    Raises `EnvironmentFailure` if a link of the repository leads it elsewhere.
    """
    folder = root / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if folder.resolve() != (root.resolve() / name):
            raise EnvironmentFailure(
                f"{folder} leads to {folder.resolve()}", hint="Remove the link from the repository."
            )
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", "utf-8")
    except OSError as error:
        raise EnvironmentFailure(f"cannot use {folder}: {error.strerror}") from error
    return folder


def write_atomically(path: Path, text: str) -> None:
    """Write a file that is there as a whole or not at all, and is on the disk when this returns.

    Raises `EnvironmentFailure` if the disk refuses.
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise EnvironmentFailure(f"cannot write {path}: {error.strerror}") from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
