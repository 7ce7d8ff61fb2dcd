"""Which commit holds the work of a batch that its document calls implemented."""

from agentflow.frozen import record
from agentflow.globs import literal_prefix
from agentflow.kept_documents import Kept
from agentflow.tasks.commit_messages import names_batch, names_task
from agentflow.tasks.document import Batch
from agentflow.workflows.declared import Declared
from agentflow.workspace.git import GitError
from agentflow.workspace.repository import Repository

MAX_COMMITS = 200
"""That change what the batch declares, the newest first, are looked at."""


@record
class _Log:
    sha: str
    message: str


def holder(repository: Repository, base: str, kept: Kept, batch: Batch, made: Declared) -> str:
    """The commit up to `base` that holds the batch's work; empty if it is not all there, or if
    nothing says which commit it is.

    It is the one that the document names, else the newest since the document came into the
    repository that changes what the batch declares, one whose message names the batch or a task of
    it before all others. Of a document that git does not have, only such a one.
    """
    if not _all_there(repository, base, made):
        return ""
    declared = (*made.files, *made.deleted, *made.areas)
    named = [sha for sha in batch.commits if _is_before(repository, sha, base)]
    touching = _log(repository, base, declared, kept) if declared else []
    if len(named) == 1 and len(batch.commits) == 1:
        sha = repository.resolve(named[0])
        if not declared or sha in {each.sha for each in _log(repository, base, declared, None)}:
            return sha
    telling = [each for each in touching if _names(each.message, batch)]
    if telling:
        return telling[0].sha
    return touching[0].sha if touching and kept.tracked else ""


def _all_there(repository: Repository, base: str, made: Declared) -> bool:
    there = repository.paths(base)
    return (
        all(repository.size(base, path) for path in made.files)
        and there.isdisjoint(made.deleted)
        and not made.unplaced
    )


def _is_before(repository: Repository, name: str, base: str) -> bool:
    return repository.git.succeeds("merge-base", "--is-ancestor", f"{name}^{{commit}}", base)


def _log(
    repository: Repository, base: str, paths: tuple[str, ...], kept: Kept | None
) -> list[_Log]:
    """The commits that change these paths, the newest first; with a document that git has, those
    since it came."""
    since = _first(repository, base, kept.path) if kept and kept.tracked else ""
    text = repository.git.text(
        "log", "-z", "--no-show-signature", "--encoding=UTF-8", "--full-history",
        f"--max-count={MAX_COMMITS}", "--format=tformat:%H %B", base,
        *([f"^{since}^@"] if since else []),
        "--", *(literal_prefix(path) or "." for path in paths),
    )  # fmt: skip
    rows = (row.partition(" ") for row in text.split("\0") if row)
    return [_Log(sha, message) for sha, _, message in rows]


def _first(repository: Repository, base: str, path: str) -> str:
    """The commit that brought the document, the newest if it went in between."""
    try:
        found = repository.git.text(
            "log", "--no-show-signature", "--diff-filter=A", "--format=%H", "--max-count=1",
            base, "--", path,
        )  # fmt: skip
    except GitError:
        return ""
    return found.strip()


def _names(message: str, batch: Batch) -> bool:
    """Whether a commit's message names the batch, or a task of it."""
    tasks = (names_task(message, task.id) for task in batch.tasks)
    return names_batch(message, batch.id) or any(tasks)
