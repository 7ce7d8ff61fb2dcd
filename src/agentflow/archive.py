"""What is left of runs: packed into one file to take away, or removed when it is old."""

import io
import os
import tarfile
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from agentflow.checkouts import remove_folder
from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.runs import FOLDER, JOURNAL, REPORT, list_runs, started_at, task_lock
from agentflow.workspace.checkpoint import bundle, ref_of
from agentflow.workspace.git import Git
from agentflow.workspace.repository import Repository

EXPORTED = (JOURNAL, REPORT, "prompt.md")


@record
class Old:
    """A run that nobody has kept for long enough."""

    run: str
    outcome: str
    size: int
    """Bytes on the disk, in its two folders."""
    stays: str = ""
    """Why it is not removed all the same; empty if it is."""


def export(root: Path, run: str, state: Git | None, file: Path) -> None:
    """Write a run's journal, report and prompt into a gzipped tar file, with its checkpoints as a
    git bundle, if they are still there."""
    with tarfile.open(file, "w:gz") as archive:
        for name in EXPORTED:
            path = root / FOLDER / run / name
            if path.is_file() and not path.is_symlink():
                archive.add(path, f"{run}/{name}", recursive=False)
        if state is not None:
            data = bundle(state, ref_of(run))
            entry = tarfile.TarInfo(f"{run}/checkpoints.bundle")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def prune(
    repository: Repository, cache: Path, now: datetime, keep: timedelta, *, really: bool
) -> list[Old]:
    """Remove the journals, clones and refs of runs that began before `keep`; return them, with those
    that stay all the same. Without `really` nothing is removed."""
    found: list[Old] = []
    for report in list_runs(repository.root):
        run, task = str(report["run"]), str(report["task"])
        began = started_at(run)
        if began is not None and now - began < keep:
            continue
        folder, work = repository.root / FOLDER / run, cache / repository.key / "runs" / run
        old = Old(run, str(report["outcome"]), _size(folder) + _size(work))
        if began is None:
            found.append(replace(old, stays="its name does not say when it began"))
            continue
        try:
            # The lock is held: nobody may go on with a run that is being removed.
            with task_lock(repository.locks(cache), task, patience=0.0):
                found.append(old)
                if really:
                    _remove(repository, run, folder, work)
        except UsageError as error:
            found.append(replace(old, stays=error.message))
    return found


def _remove(repository: Repository, run: str, folder: Path, work: Path) -> None:
    """Remove a run. First what says that it could go on, last what says that it is there: if this
    is cut short, it can be done again."""
    (folder / JOURNAL).unlink(missing_ok=True)
    for kind in ("base", "verified"):
        repository.git.succeeds("update-ref", "-d", f"refs/agentflow/{kind}/{run}")
    remove_folder(work)
    remove_folder(folder)


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += (Path(parent) / name).lstat().st_size
    return total
