"""What a pull request holds: a verified run, or of a document all batches that are done and that its
target does not have."""

from collections.abc import Iterator
from dataclasses import replace

from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.neutral import one_line
from agentflow.records import Json
from agentflow.runs import batch_runs, find_report, list_runs
from agentflow.spending import is_replay
from agentflow.verified_runs import VerifiedRun, verified_run
from agentflow.words import ended, word
from agentflow.workspace.repository import Repository


@record
class Batch:
    """One that is on the branch."""

    id: str
    commit: str
    subject: str


@record
class Missing:
    """A batch that no run did: how its newest run ended."""

    id: str
    run: str
    outcome: str

    @property
    def told(self) -> str:
        """In words."""
        return one_line(
            f"batch {self.id} is not in it: its run {self.run} {ended(self.outcome)}", 300
        )


@record
class Contents:
    """A verified run, with the batches of its document if that is what was meant."""

    wanted: str
    """The name that was given."""
    run: VerifiedRun
    """Of several, the newest."""
    is_document: bool = False
    missing: tuple[Missing, ...] = ()
    batches: tuple[Batch, ...] = ()
    """Oldest first."""


def request_contents(repository: Repository, wanted: str) -> Contents:
    """What a request for a run, a task or a document holds. Raises `UsageError` as `verified_run` does,
    and for a document of which no batch is done."""
    report = find_report(repository.root, wanted)
    if wanted in {report["run"], report["task"]}:
        return Contents(wanted, verified_run(repository, wanted))
    return _of_document(repository, wanted)


def lacking(contents: Contents, repository: Repository, target: str | None, place: str) -> Contents:
    """What of it a target does not have. `target` is the commit of the branch that the request is for,
    called `place`; None if nobody knows it here. Raises `UsageError` if that has all."""
    tip, git = contents.run.tip, repository.git
    if target and git.succeeds("merge-base", "--is-ancestor", tip, target):
        raise UsageError(
            f"{place} has all that {contents.wanted} verified",
            hint="; ".join(each.told for each in contents.missing),
        )
    if not contents.is_document:
        return contents
    return replace(contents, batches=tuple(_batches(repository, contents.wanted, tip, target)))


def _of_document(repository: Repository, document: str) -> Contents:
    """The batches of a document that are done, whatever became of the newest."""
    root, ours = repository.root, set(batch_runs(repository.root, document))
    runs = [each for each in list_runs(root) if each["run"] in ours and not is_replay(each)]
    done = [each for each in runs if each["outcome"] == "done"]
    if not done:
        last = (runs or [find_report(root, document)])[-1]
        raise UsageError(
            f"no batch of {document} is done: the run {last['run']} {ended(last['outcome'])}",
            hint=f"Look at it: agentflow runs show {word(last['run'])}",
        )
    run = verified_run(repository, str(done[-1]["run"]))
    newest: dict[str, Json] = {str(each["task"]): each for each in runs}
    missing = tuple(
        Missing(task.removeprefix(f"{document}-batch-"), str(each["run"]), str(each["outcome"]))
        for task, each in newest.items()
        if task not in {str(each["task"]) for each in done}
    )
    return Contents(document, run, True, missing)


def _batches(
    repository: Repository, document: str, tip: str, target: str | None
) -> Iterator[Batch]:
    """The batches whose work is on a branch and not in its target: by the name of their run's task.
    Left out is what says in the document what became of them."""
    form = "%H%x00%(trailers:key=Agentflow-Task,valueonly,unfold)%x00%s"
    log = repository.git.text(
        "log", "-z", "--reverse", "--topo-order", "--no-show-signature", "--encoding=UTF-8",
        f"--format=tformat:{form}", tip, *([f"^{target}"] if target else []),
    )  # fmt: skip
    ours, own = f"{document}-batch-", f"docs({document}): batch "
    for sha, task, subject in zip(*[iter(log.split("\0"))] * 3, strict=False):
        if task.strip().startswith(ours) and not subject.startswith(own):
            yield Batch(task.strip().removeprefix(ours), sha, subject)
