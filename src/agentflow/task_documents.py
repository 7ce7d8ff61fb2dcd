"""The tasks.md of a workspace: where they lie, and how one is written back."""

import hashlib
import os
import stat
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from agentflow.disk import write_atomically
from agentflow.errors import Conflict, Held, UsageError
from agentflow.nearest import nearest
from agentflow.runs import task_lock
from agentflow.tasks.document import Document
from agentflow.tasks.task import check_id
from agentflow.tasks.tasks_edit import Change, apply, tokens_of
from agentflow.tasks.tasks_md import read_tasks_md

NAME = "tasks.md"
QUEUES = ("task_queue.md", "task_queue_*.md")
MAX_FILES = 10_000


def looks_in(root: Path) -> Callable[[str], bool]:
    """A function that says whether a path of a document is there, links followed within `root`."""
    real = root.resolve()

    def exists(path: str) -> bool:
        try:
            found = (real / path).resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            return False
        return found.is_relative_to(real)

    return exists


def find_document(name: str, root: Path, roots: Sequence[str], queued: Sequence[str] = ()) -> Path:
    """The tasks.md of a task given by id, or by the path of the file or its folder.

    Raises `UsageError` naming the nearest task, also of those in a queue, or for one that leads out of `root` by a link.
    """
    path = Path(name)
    if path.is_dir() and (path / NAME).is_file():
        return _within(path / NAME, root)
    if path.is_file():
        return _within(path, root)
    if "/" in name or path.suffix == ".md":
        raise UsageError(
            f"there is no document {name}", hint="Check all that are there: agentflow tasks lint"
        )
    check_id(name)
    for folder in roots:
        found = root / folder / name / NAME
        if found.is_file():
            return _within(found, root)
    known = {*(each.parent.name for each in all_documents(root, roots)), *queued}
    raise UsageError(
        f"there is no {NAME} of {name!r} in {', '.join(roots)}{nearest(name, sorted(known))}",
        hint=known_tasks(known, name, roots),
    )


def known_tasks(known: Collection[str], name: str, roots: Sequence[str]) -> str:
    """What to do where no document has the name that was given, but these have others."""
    if not known:
        return f"Write {roots[0]}/{name}/{NAME}, or set [documents] roots."
    return f"Known tasks: {', '.join(sorted(known)[:10])}{', …' if len(known) > 10 else ''}"


def _within(path: Path, root: Path) -> Path:
    """The path of a file. Raises `UsageError` if it lies in the workspace and leads out by a link."""
    real = root.resolve()
    absolute = Path(os.path.abspath(path))  # noqa: PTH100  # `resolve` would follow links
    lies_in = any(absolute.is_relative_to(each) for each in (root, real))
    if lies_in and not path.resolve().is_relative_to(real):
        raise UsageError(f"{path} leads out of the workspace by a link")
    return path


def all_documents(root: Path, roots: Sequence[str]) -> list[Path]:
    """Every task's document under the roots, in the order of the roots and of names."""
    found = [path for folder in roots for path in sorted((root / folder).glob(f"*/{NAME}"))]
    return [path for path in found if path.is_file()][:MAX_FILES]


def given_documents(paths: Iterable[Path]) -> list[Path]:
    """Files as they are; of folders every `tasks*.md` and every queue below them.

    Raises `UsageError` for a path that is neither.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            names = ("tasks*.md", *QUEUES)
            found += sorted(each for name in names for each in path.rglob(name) if each.is_file())
        elif path.is_file():
            found.append(path)
        else:
            raise UsageError(
                f"there is no file or folder {path}",
                hint="Give one that is there, or none to check all: agentflow tasks lint",
            )
    return found[:MAX_FILES]


def write_change(path: Path, seen: Document, change: Change, locks: Path) -> bool:
    """Make a change in a document that was read before; return whether it was one.

    The file is read again under a lock, and written as a whole or not at all. What others changed
    elsewhere in it stays. Raises `Conflict` if they changed the very words, or are writing now;
    `UsageError` if the change has no place.
    """
    return rewrite(path, seen, [change], locks, lambda now: apply(now, change))


def rewrite(
    path: Path,
    seen: Document,
    changes: Sequence[Change],
    locks: Path,
    edit: Callable[[Document], str],
) -> bool:
    """Give a document that was read before the text that `edit` makes of it as it is now; return
    whether that is another one. `changes` are the words that nobody may have changed meanwhile.
    Raises as `write_change` does."""
    real = path.resolve()
    name = f"tasks-md-{hashlib.sha256(str(real).encode()).hexdigest()[:16]}"
    with ExitStack() as held:
        try:
            held.enter_context(task_lock(locks, name))
        except Held as error:
            raise Held(f"another process is writing {path}", hint="Try again.") from error
        now = read_tasks_md(real)
        if now.text != seen.text:
            for change in changes:
                _refuse_conflict(path, seen, now, change)
        text = edit(now)
        if text != now.text:
            write_atomically(real, text, mode=stat.S_IMODE(real.stat().st_mode), alone=True)
        return text != now.text


def _refuse_conflict(path: Path, seen: Document, now: Document, change: Change) -> None:
    try:
        same = tokens_of(seen, change) == tokens_of(now, change)
    except UsageError:
        same = False
    if not same:
        raise Conflict(
            f"batch {change.batch} of {path} was changed by somebody else meanwhile",
            hint="Look at the document, and try again.",
        )
