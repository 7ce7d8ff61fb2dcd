"""What was done before several tasks are run: held by where they start, or landed elsewhere."""

from collections.abc import Iterable, Iterator
from functools import cached_property

from agentflow.awaited import bringing, check_known, done_elsewhere, done_on, why_unknown
from agentflow.errors import UsageError
from agentflow.markers import read_marker
from agentflow.records import Json, Task
from agentflow.refusals import Refusals
from agentflow.run_reports import kept_report
from agentflow.runs import list_runs
from agentflow.setting_tables import DocumentsSetting
from agentflow.workspace.land import branch_tip
from agentflow.workspace.repository import Repository


class DoneBefore:
    """Tasks, batches and whole documents that need not be done any more."""

    def __init__(
        self, repository: Repository, base: str, documents: DocumentsSetting, *, shared: bool
    ) -> None:
        """`base` is where tasks start that wait for nobody; `shared` says that all land on one
        branch, so that what landed elsewhere is nothing to build on."""
        self._repository = repository
        self._base = base
        self._documents = documents
        self._shared = shared
        self._left: dict[str, str | None] = {}
        self._commits: dict[str, str | None] = {}

    def is_held(self, name: str) -> bool:
        """Whether the start holds a task's landed commits, or those of all batches of a document."""
        return name in self._held or self.left_of(name) == ""

    def left_of(self, name: str) -> str | None:
        """Why a document is not complete in the start; empty if it is, None for what is none."""
        if name not in self._left:
            self._left[name] = self._left_at(name, self._base, self._held)
        return self._left[name]

    def _left_at(self, name: str, commit: str, landed: frozenset[str]) -> str | None:
        from agentflow.kept_documents import left_of  # it brings all that reads documents

        return left_of(self._repository, commit, name, self._documents, landed)

    def why_not(self, name: str, *, place: str, asking: str) -> str:
        """Why nobody can build on a task that is not among those that are run: it is done elsewhere
        than at the `place` where all land, or nobody knows it. `asking` is the task that waits."""
        branch = done_on(self._repository, name) if self._shared else None
        if branch:
            return (
                f"is done on {branch}, and {place or 'the current branch'} does not hold that. "
                + bringing([branch], self._repository, place)
            )
        unknown = why_unknown(self._repository, self._base, name, self._is_document, asking)
        return unknown or "is not there"

    def check_there(self, names: Iterable[str], *, place: str, anew: str) -> None:
        """Refuse to call tasks done that are done elsewhere than at the `place` where all land: who
        names them wants them there. Raises `UsageError`."""
        refusals = Refusals()
        for name in names:
            branch = done_on(self._repository, name) if self._shared else None
            with refusals.kept():
                if branch and not self.is_held(name):
                    raise done_elsewhere(self._repository, name, branch, place, anew)
        refusals.check()

    def told_elsewhere(self, names: Iterable[str], *, place: str) -> tuple[str, ...]:
        """In a line, which of these tasks are done elsewhere than at the `place` where all land, and how
        what they landed is brought there; nothing if none is."""
        wanted = (name for name in names if self._shared and name not in self._held)
        on = {name: branch for name in wanted if (branch := done_on(self._repository, name))}
        if not on:
            return ()
        told = ", ".join(f"{name} ({branch})" for name, branch in on.items())
        branches = list(dict.fromkeys(on.values()))
        return (
            f"done elsewhere, so left out: {told}. {place or 'the current branch'} does not hold that. "
            + bringing(branches, self._repository, place),
        )

    def _is_document(self, name: str) -> bool:
        return self.left_of(name) is not None

    def check(self, task: Task, name: str, *, place: str, given: bool) -> None:
        """Refuse a task that waits for one that is not there, or done elsewhere than at the `place`
        where all land. `given` says that it is run as well. Raises `UsageError`."""
        if not given:
            check_known(task, name, self._repository, self._base, self._is_document)
        branch = done_on(self._repository, name) if self._shared else None
        if branch:
            raise UsageError(
                f"{task.id} depends on {name}, which is done on {branch}, and "
                f"{place or 'the current branch'} does not hold that",
                hint=bringing([branch], self._repository, place),
            )

    def commit(self, name: str) -> str | None:
        """Where a task landed that is done, or a document's last batch, if one can build on it."""
        if self._shared:
            return None
        if name not in self._commits:
            self._commits[name] = self._find_commit(name)
        return self._commits[name]

    def _find_commit(self, name: str) -> str | None:
        if read_marker(self._repository.root, name) == "done":
            tip = self._landed(name)
            if self._repository.holds(tip):
                return tip
        return next((tip for tip in self._tips(name) if self._is_complete(name, tip)), None)

    @cached_property
    def _held(self) -> frozenset[str]:
        return self._repository.landed_tasks(self._base)

    @cached_property
    def _reports(self) -> dict[str, Json]:
        """The newest report of each task that is done."""
        done = (each for each in list_runs(self._repository.root) if each["outcome"] == "done")
        return {each["task"]: each for each in done}

    def _landed(self, name: str) -> str:
        report = self._reports.get(name) or kept_report(self._repository.root, name) or {}
        landed: Json = report.get("landed") or {}
        return str(landed.get("tip", ""))

    def _tips(self, name: str) -> Iterator[str]:
        """Where the batches of a document may have landed: its own branch, else another one."""
        tip = branch_tip(self._repository, f"agentflow/{name}")
        if tip:
            yield tip
        batches = (task for task in self._reports if task.startswith(f"{name}-batch-"))
        tips = dict.fromkeys(map(self._landed, batches))
        yield from (tip for tip in reversed(tips) if self._repository.holds(tip))

    def _is_complete(self, name: str, tip: str) -> bool:
        return self._left_at(name, tip, self._repository.landed_tasks(tip)) == ""
