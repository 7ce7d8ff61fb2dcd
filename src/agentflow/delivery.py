"""Landing a bundle: what another job did is judged here again, then lands, then is pushed.

The file comes from a job that ran a model. Nothing of it is believed but the commits, and those as
far as the gates of this repository pass: boundaries, gates and base are those of the commit that the
change is for, the branch is named here.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from agentflow.attestation import Attested, read_attestation
from agentflow.bundles import Bundle
from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.interfaces import Emit
from agentflow.neutral import visible
from agentflow.records import Json
from agentflow.results import Candidate, Landed
from agentflow.subjects import Brought, Question
from agentflow.tasks.task import FOLDER
from agentflow.verify import verify_commits
from agentflow.workspace.bundles import bundle_tips, index_bundle
from agentflow.workspace.git import Git
from agentflow.workspace.land import branch_tip, check_target, keep_verified, land
from agentflow.workspace.push import push
from agentflow.workspace.refs import CANDIDATE, move_ref
from agentflow.workspace.repository import Repository, open_repository
from agentflow.world import World


@record
class Delivery:
    """What the caller wants done with a bundle."""

    bundle: Bundle
    question: Question
    """`what` is replaced by the bundle's task."""
    target: str | None = None
    """The branch, if the caller named one."""
    remote: str | None = None
    """Where to push; None pushes nothing."""
    signers: Path | None = None
    """Whose signature the bundle must have; None asks for none."""

    @property
    def branch(self) -> str:
        """Where the commits land; never what the bundle says."""
        return self.target or f"agentflow/{self.bundle.task}"


async def deliver(wanted: Delivery, world: World, emit: Emit) -> Json:
    """Judge, land and push; return what was measured, with `landed` and `pushed`.

    Raises `UsageError` for a bundle that cannot be taken, `Conflict` if branch or remote cannot take it
    (what has landed stays), `EnvironmentFailure`.
    """
    repository = open_repository(world.directory, world.environment)
    bundle = wanted.bundle
    by = _attested_by(wanted)
    _check_measure(wanted, repository)
    _check_branch(wanted, repository)
    landed: list[Landed] = []
    question = replace(
        wanted.question,
        what=bundle.task,
        brought=Brought(bundle.base, bundle.tip, partial(_bring, bundle)),
    )

    def passed(repository: Repository, state: Git, candidate: Candidate) -> None:
        landed.append(_land(wanted, repository, state, candidate))
        if wanted.remote:
            named = wanted.target is not None
            push(repository, wanted.remote, bundle.tip, wanted.branch, named=named)

    found = await verify_commits(question, world, emit, passed)
    return {
        **found,
        "run": bundle.run,
        "signed_by": by.signer if by else None,
        "landed": {"ref": landed[0].ref, "tip": landed[0].tip} if landed else None,
        "pushed": {"remote": wanted.remote, "branch": wanted.branch}
        if landed and wanted.remote
        else None,
    }


def _attested_by(wanted: Delivery) -> Attested | None:
    if wanted.signers is None:
        return None
    found = read_attestation(wanted.bundle.verdict, "the bundle's verdict", wanted.signers)
    if found.signer is None:
        raise UsageError("the bundle's verdict is not signed")
    said = (found.commit, found.predicate["run"])
    if said != (wanted.bundle.tip, wanted.bundle.run):
        raise UsageError("the bundle's verdict is about another commit")
    return found


def _check_measure(wanted: Delivery, repository: Repository) -> None:
    """A task that nobody knows here says nothing about what it may change."""
    path = f"{FOLDER}/{wanted.bundle.task}.md"
    known = (repository.root / path).is_file() or repository.read("HEAD", path) is not None
    if not known and "allow" not in wanted.question.flags:
        raise UsageError(
            f"{path} is not in this repository, so nothing says what the commits may change",
            hint="Say it: --allow GLOB (all that is not protected: --allow '**').",
        )


def _check_branch(wanted: Delivery, repository: Repository) -> None:
    """Refuse what could not land; a bundle that has landed before may come again."""
    if branch_tip(repository, wanted.branch) != wanted.bundle.tip:
        base = wanted.bundle.base
        hint = "Give --target another name, or bundle a run that was made with --base {0}."
        check_target(repository, "branch", wanted.branch, base, replaceable=None, hint=hint)


def _bring(bundle: Bundle, state: Git) -> None:
    """Index the bundle's objects strictly into a repository of ours."""
    if bundle.tip not in bundle_tips(bundle.commits).values():
        raise UsageError("the bundle does not hold the commit that it names")
    index_bundle(state, bundle.commits, bundle.tip, bundle.base)
    _check_words(bundle, state)


def _check_words(bundle: Bundle, state: Git) -> None:
    """Refuse names and messages with what a terminal obeys: `recreate` writes none into a commit."""
    form = "--format=%H%n%an%n%ae%n%cn%n%ce%n%B%x00"
    log = state.text("log", "--no-show-signature", form, bundle.tip, f"^{bundle.base}")
    for each in log.split("\0"):
        if visible(each) != each:
            raise UsageError(
                f"the commit {each.strip()[:12]} of the bundle has control characters in a name or in "
                "its message; agentflow writes none"
            )


def _land(wanted: Delivery, repository: Repository, state: Git, candidate: Candidate) -> Landed:
    move_ref(state.directory, CANDIDATE, candidate.tip)
    if branch_tip(repository, wanted.branch) == candidate.tip:
        return Landed(f"refs/heads/{wanted.branch}", candidate.tip)
    run = wanted.bundle.run
    keep_verified(repository, state, run, candidate)
    return land(repository, candidate, "branch", wanted.branch, run)
