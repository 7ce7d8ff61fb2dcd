"""What is left of runs: packed into one file to take away, or removed when it is old."""

import io
import os
import re
import tarfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from agentflow.errors import EnvironmentFailure, Held
from agentflow.folders import remove_folder
from agentflow.frozen import record
from agentflow.journal import open_regular
from agentflow.redaction import Redact
from agentflow.run_reports import REPORT
from agentflow.runs import FOLDER, JOURNAL, list_runs, started_at, task_lock
from agentflow.workspace.checkpoint import bundle
from agentflow.workspace.git import Git
from agentflow.workspace.repository import Repository
from agentflow.workspace.secret_places import secret_places

ASIDE = "set aside"
"""What is said instead of an outcome of what an import found in the cache, where it put its run."""
_ASIDE = re.compile(r"(?P<run>.+)\.(?:\d+|part)")
EXPORTED = (JOURNAL, REPORT, "prompt.md")


@record
class Old:
    """A run that nobody has kept for long enough."""

    run: str
    outcome: str
    size: int
    """Bytes on the disk, in its folders."""
    stays: str = ""
    """Why it is not removed all the same; empty if it is."""


@record
class Kept:
    """The checkpoints of a run."""

    state: Git
    base: str
    """The commit that the run began from."""
    tip: str


def export(root: Path, run: str, kept: Kept | None, file: Path, redact: Redact) -> None:
    """Write a run's journal, report and prompt into a gzipped tar file, with its checkpoints as a
    git bundle.

    Raises `EnvironmentFailure`, before anything is written, naming where a secret stands: what
    leaves this machine is refused, as a push of checkpoints is.
    """
    packed = {name: _content(root / FOLDER / run / name) for name in EXPORTED}
    for name, data in packed.items():
        text = data.decode("utf-8", "replace")
        if redact(text) != text:
            told = f"{FOLDER}/{run}/{name} holds a secret, so the run is not packed"
            raise EnvironmentFailure(told, hint="See where it came from, and change that secret.")
    if kept:
        found = secret_places(kept.state, kept.tip, kept.base, redact)
        if found:
            raise EnvironmentFailure(
                f"the checkpoints of {run} are not packed, because {found[0]}",
                hint="Leave them out: --no-checkpoints",
            )
        packed["checkpoints.bundle"] = bundle(kept.state, run, kept.base)
    with tarfile.open(file, "x:gz", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in packed.items():
            if data:
                entry = tarfile.TarInfo(f"{run}/{name}")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))


def _content(path: Path) -> bytes:
    """What a file says; nothing if it is not there, or is no regular one."""
    try:
        with open_regular(path) as file:
            return file.read()
    except FileNotFoundError:
        return b""


def prune(
    repository: Repository, cache: Path, now: datetime, keep: timedelta, *, really: bool
) -> list[Old]:
    """Remove the journals, clones and refs of runs that began before `keep`, and what imports of such
    runs have set aside; return them, with those that stay all the same. Without `really` nothing is
    removed."""
    locks, works = repository.locks(cache), cache / repository.key / "runs"
    found: list[Old] = []
    for report in list_runs(repository.root):
        run, task = str(report["run"]), str(report["task"])
        began = started_at(run)
        if began is not None and now - began < keep:
            continue
        folder, work = repository.root / FOLDER / run, works / run
        old = Old(run, str(report["outcome"]), _size(folder) + _size(work))
        if began is None:
            found.append(replace(old, stays="its name does not say when it began"))
            continue
        remove = partial(_remove, repository, run, folder, work) if really else None
        found.append(_removed(old, locks, task, remove))
    for folder, run in _set_aside(works):
        began = started_at(run)
        if began is not None and now - began >= keep:
            remove = partial(remove_folder, folder) if really else None
            old = Old(folder.name, ASIDE, _size(folder))
            found.append(_removed(old, locks, run.rsplit("-", 2)[0], remove))
    return found


def _removed(old: Old, locks: Path, task: str, remove: Callable[[], None] | None) -> Old:
    """Remove what is old, unless a process is at work on its task: it may go on with that."""
    try:
        with task_lock(locks, task, patience=0.0):
            if remove:
                remove()
    except Held as error:
        return replace(old, stays=error.message)
    return old


def _set_aside(works: Path) -> list[tuple[Path, str]]:
    """What imports have set aside or left unfinished in the cache, and the run that it was."""
    named = ((path, _ASIDE.fullmatch(path.name)) for path in sorted(works.glob("*.*/")))
    return [(path, part["run"]) for path, part in named if part]


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
