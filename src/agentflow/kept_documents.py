"""The tasks.md of a commit, and whether all that the backend developer is to do of it is done there."""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.nearest import nearest
from agentflow.setting_tables import DocumentsSetting
from agentflow.task_documents import NAME, all_documents, known_tasks, looks_in
from agentflow.tasks.document import Batch, Document, batch_task_id
from agentflow.tasks.next_batch import is_for
from agentflow.tasks.task import FOLDER
from agentflow.tasks.tasks_md import MAX_DOCUMENT, parse_tasks_md, read_tasks_md
from agentflow.words import word
from agentflow.workspace.repository import Repository


@record
class Kept:
    """A document as it is now, and whether git has it."""

    path: str
    """Relative to the repository's root."""
    document: Document
    tracked: bool
    """Whether the truth is the commit; else it is the file in the user's work tree."""


def find_kept(
    repository: Repository, commit: str, task: str, roots: Sequence[str], prefixes: Sequence[str]
) -> Kept:
    """The document of a task: of the commit, else of the work tree.

    Raises `UsageError` if there is none, or if it cannot be read.
    """
    kept = kept_at(repository, commit, task, roots, prefixes)
    if kept is None:
        raise _absent(repository, commit, task, roots)
    return kept


def _absent(repository: Repository, commit: str, task: str, roots: Sequence[str]) -> UsageError:
    """What is wrong where a task has no document: it is another kind of task, or its name is."""
    told = f"there is no {NAME} of {task}, neither in {commit[:12]} nor in your work tree"
    if Path(repository.root, FOLDER, f"{task}.md").is_file():
        return UsageError(told, hint=f"{task} is a task of one file: agentflow run {word(task)}")
    known = {
        *(path.split("/")[-2] for path in repository.modes(commit) if _is_document(path, roots)),
        *(path.parent.name for path in all_documents(repository.root, roots)),
    }
    return UsageError(told + nearest(task, sorted(known)), hint=known_tasks(known, task, roots))


def _is_document(path: str, roots: Sequence[str]) -> bool:
    return path.endswith(f"/{NAME}") and str(PurePosixPath(path).parents[1]) in roots


def kept_at(
    repository: Repository, commit: str, task: str, roots: Sequence[str], prefixes: Sequence[str]
) -> Kept | None:
    """The document of a task, or None if there is none. Raises `UsageError` for one that cannot be
    read."""
    paths = paths_of(task, roots)
    held = repository.modes(commit)
    path = next((path for path in paths if path in held), None)
    if path:
        text = _committed(repository, commit, path)
        folders = {str(parent) for name in held for parent in PurePosixPath(name).parents}
        document = parse_tasks_md(
            text,
            folder=task,
            exists=lambda name: name in held or name in folders,
            prefixes=prefixes,
        )
        return Kept(path, document, tracked=True)
    for path in paths:
        file = repository.root / path
        if file.is_file() and file.resolve() == repository.root.resolve() / path:
            document = read_tasks_md(file, looks_in(repository.root), prefixes)
            return Kept(path, document, tracked=False)
    return None


def _committed(repository: Repository, commit: str, path: str) -> str:
    if (repository.size(commit, path) or 0) > MAX_DOCUMENT:
        raise UsageError(f"{path} in {commit[:12]} is larger than {MAX_DOCUMENT} bytes")
    try:
        return repository.git.run("cat-file", "blob", f"{commit}:{path}").decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start})") from error


def paths_of(task: str, roots: Sequence[str]) -> tuple[str, ...]:
    """Where the document of a task can be, the first that is there wins."""
    return tuple(f"{root}/{task}/{NAME}" for root in roots)


def left_of(
    repository: Repository,
    commit: str,
    task: str,
    setting: DocumentsSetting,
    landed: Collection[str],
    *,
    committed: bool = False,
) -> str | None:
    """Why the backend batches of a task's document are not all done in a commit; empty if they are,
    None without such a document, or with a task file of that name.

    `landed` are the tasks that the commit holds; `committed` says that a document counts only if
    git has it. Such a one is believed, as long as the commit holds what it names. Raises
    `UsageError` for a document that cannot be read.
    """
    if Path(repository.root, FOLDER, f"{task}.md").is_file():
        return None
    kept = kept_at(repository, commit, task, setting.roots, setting.prefixes)
    if kept is None or (committed and not kept.tracked):
        return None
    ids = Counter(batch.id for batch in kept.document.batches)
    batches = [batch for batch in kept.document.batches if is_for(batch)]
    if not batches:
        return "no batch of its document is for the backend developer"
    reasons = (
        f"{ids[batch.id]} batches have the id {batch.id}"
        if ids[batch.id] > 1
        else _left(repository, commit, kept, batch, landed)
        for batch in batches
    )
    return next(filter(None, reasons), "")


def _left(
    repository: Repository, commit: str, kept: Kept, batch: Batch, landed: Collection[str]
) -> str:
    """Why a batch is not done in a commit; empty if it is."""
    if batch.status is None:
        return f"the status of batch {batch.id} cannot be decided"
    told = f"batch {batch.id} is {batch.status}"
    if not batch.over:
        return told
    if not batch.finished or batch_task_id(kept.document, batch) in landed:
        return ""
    for sha in batch.commits:
        revision = f"{sha}^{{commit}}"
        if not repository.git.succeeds("merge-base", "--is-ancestor", revision, commit):
            return f"{told} by {sha[:12]}, which is not in {commit[:12]}"
    known = kept.tracked or batch.commits
    return "" if known else f"{told}, and no commit in {commit[:12]} is known to be its work"
