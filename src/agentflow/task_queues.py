"""The `task_queue.md` of a repository: where it lies, the task of an entry, and writing a status."""

import hashlib
import os
import stat
from collections.abc import Callable, Collection
from contextlib import ExitStack
from pathlib import Path

from agentflow.disk import write_atomically
from agentflow.errors import Conflict, Held, UsageError
from agentflow.frontmatter import check_inside, read_limited
from agentflow.frozen import record
from agentflow.markers import read_marker
from agentflow.records import Task
from agentflow.runs import task_lock
from agentflow.setting_tables import QueueSetting
from agentflow.tasks.queue import Entry, Queue, read_queue
from agentflow.tasks.queue_edit import find_entry, set_status, status_token
from agentflow.tasks.queue_headings import PATHS
from agentflow.tasks.queue_task import make_task
from agentflow.tasks.task import MAX_TASK
from agentflow.workspace.repository import Repository


@record
class QueueFile:
    """A queue with its place."""

    path: Path
    text: str
    queue: Queue


@record
class Waiting:
    """An entry that cannot be done yet: it is pending, or its status cannot be told."""

    entry: Entry
    awaited: tuple[str, ...]
    """Ids of tasks; empty if the entry itself leaves doubts."""

    @property
    def doubts(self) -> tuple[str, ...]:
        """What the entry itself leaves open."""
        return tuple(filter(None, (self.entry.unknown_status, *self.entry.doubts)))


@record
class NextEntry:
    """What is to be done next in a queue."""

    entry: Entry | None
    waiting: tuple[Waiting, ...]
    """All that is pending and not ready, and what has no status that is known."""


def queue_paths(root: Path) -> list[Path]:
    """The queues that lie in a work tree, the one that counts first."""
    return [root / name for name in PATHS if os.path.lexists(root / name)]


def read_queue_file(
    path: Path, root: Path, is_elsewhere: Callable[[str], bool] = lambda _: False
) -> QueueFile:
    """Read a queue of a work tree, or one that the user names anywhere else. `is_elsewhere` says
    whether a task is there that no queue holds: to depend on it is no problem.

    Raises `UsageError` for one of the work tree that leads out of it by a link, is too large, is
    no UTF-8, or holds no task.
    """
    if Path(os.path.abspath(path)).is_relative_to(root):  # noqa: PTH100  # resolve follows links
        check_inside(path, root)
    if not path.is_file():
        raise UsageError(f"{path} is no file")
    return _parsed(path, read_limited(path, MAX_TASK), str(path), is_elsewhere)


def _parsed(
    path: Path, data: bytes, where: str, is_elsewhere: Callable[[str], bool] = lambda _: False
) -> QueueFile:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{where} is not UTF-8 text (byte {error.start})") from error
    if "\0" in text:
        raise UsageError(f"{where} is not text (a NUL byte)")
    return QueueFile(path, text, read_queue(text, where=where, is_elsewhere=is_elsewhere))


def queue_of_base(repository: Repository, base: str) -> QueueFile | None:
    """The queue of a commit, or one of the work tree that git does not track; None without one.

    Raises `UsageError` for one that cannot be read, or is a link of the commit.
    """
    modes = repository.modes(base)
    for name in PATHS:
        path = repository.root / name
        if name in modes:
            return _committed(repository, base, name)
        if path.is_file() and not repository.tracks(name):
            return read_queue_file(path, repository.root)
    return None


def _committed(repository: Repository, base: str, name: str) -> QueueFile:
    size = repository.size(base, name)
    if name in repository.links(base) or size is None:
        raise UsageError(f"{name} of {base[:12]} is a link or a submodule, and no file")
    if size > MAX_TASK:
        raise UsageError(f"{name} of {base[:12]} is longer than {MAX_TASK} bytes")
    text = repository.read(base, name) or ""
    return QueueFile(repository.root / name, text, read_queue(text, where=name))


def queued_task(held: QueueFile, name: str, setting: QueueSetting) -> tuple[Task, tuple[str, ...]]:
    """The task of an entry, and notices. Raises `UsageError` as `make_task` does."""
    entry = find_entry(held.queue, name, where=str(held.path))
    task = make_task(entry, held.queue, setting, held.path)
    told = f"{held.path}:{entry.line}: {entry.id} is {entry.status.replace('_', ' ')} there"
    remarks = tuple(f"{held.path}:{each.line}: {each.message}" for each in entry.remarks)
    return task, remarks if entry.status in {"pending", ""} else (told, *remarks)


def next_entry(queue: Queue, root: Path, landed: Collection[str]) -> NextEntry:
    """The first entry that is pending and ready, and all that wait.

    `landed` are tasks that HEAD holds; a task with a `.done` marker is not to be done again, but
    what depends on it waits until it landed.
    """
    open_ = [each for each in queue.entries if each.status in {"pending", ""}]
    done = {*landed, *(each.id for each in open_ if read_marker(root, each.id) == "done")}
    finished = queue.finished(landed)
    ready = queue.ready(done, landed)
    waiting = tuple(
        Waiting(entry, tuple(name for name in entry.depends_on if name not in finished))
        for entry in open_
        if entry.id not in done
        if not entry.status or entry.doubts or not finished.issuperset(entry.depends_on)
    )
    return NextEntry(ready[0] if ready else None, waiting)


def write_status(seen: QueueFile, name: str, word: str, locks: Path) -> bool:
    """Set the status of an entry of a queue that was read before; return whether it changed.

    The file is read again under a lock, and written as a whole or not at all. Raises `Conflict`
    if somebody else changed the same words or is writing now, `UsageError` for an entry that is
    not there or has no single status.
    """
    where = str(seen.path)
    before = status_token(find_entry(seen.queue, name, where=where), where=where)
    real = seen.path.resolve()
    lock = f"task-queue-{hashlib.sha256(str(real).encode()).hexdigest()[:16]}"
    with ExitStack() as held:
        try:
            held.enter_context(task_lock(locks, lock))
        except Held as error:
            raise Held(f"another process is writing {where}", hint="Try again.") from error
        now = _parsed(real, read_limited(real, MAX_TASK), where)
        token = status_token(find_entry(now.queue, name, where=where), where=where)
        if token.text != before.text:
            raise Conflict(
                f"{name} of {where} was changed by somebody else meanwhile",
                hint="Look at the file, and try again.",
            )
        text = set_status(now.text, now.queue, token, word)
        if text != now.text:
            write_atomically(real, text, mode=stat.S_IMODE(real.stat().st_mode), alone=True)
        return text != now.text
