"""The relay: what brings a run to other machines, and its result to everybody.

Checkpoints are pushed to a state remote by fast-forward only. So of two processes that both believe
that a run is theirs, one is refused with its next push: it is fenced, and stops.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from agentflow.errors import Conflict, EnvironmentFailure, Fenced
from agentflow.frozen import record
from agentflow.redaction import Redact
from agentflow.workspace.checkpoint import ref_of
from agentflow.workspace.git import Git, GitError, explicit
from agentflow.workspace.refs import move_ref
from agentflow.workspace.secret_places import secret_places

PATIENCE = 120.0
"""Seconds that a remote may be away."""
CALL = 60.0
"""Seconds for one call of git."""
PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Seconds between two tries; the last one again and again."""
Answer = Literal["taken", "moved", "refused", "away"]
"""Of a remote that was pushed to: it has the commit; it is somewhere else; it is where it was; or it
does not answer."""


@record
class Relay:
    """Where the runs of a worker are kept for others, and where their results land."""

    state_remote: str
    """A URL or a path of a repository, for checkpoints."""
    origin: str
    """The repository that the tasks are about."""
    mirror: Path
    """Its bare copy, in which runs land first."""
    environment: Mapping[str, str]
    owner: str
    """Who pushes, in every commit that claims a run."""
    patience: float = PATIENCE
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def keep(self, state: Git, run: str, commit: str, base: str, redact: Redact) -> None:
        """Push a run's newest checkpoint; new in it is what neither the run's base nor the last one
        that was pushed holds.

        Raises `Fenced` if another process went on with the run, and `EnvironmentFailure` if the
        remote is away for long or a file holds a secret.
        """
        since = _pushed(state, run) or base
        found = secret_places(state, commit, since, redact)
        if found:
            raise EnvironmentFailure(
                f"the checkpoint is not pushed, because {found[0]}",
                hint="The run ends here, with what was pushed before. Keep secrets out of the files.",
            )
        answer, said = self._push(self._here(state), self.state_remote, commit, ref_of(run))
        if answer == "moved":
            raise Fenced(run)
        if answer != "taken":
            raise EnvironmentFailure(
                f"the state remote does not take the checkpoint: {said}",
                hint="See that it can be reached and written to, then: agentflow cluster retry",
            )
        move_ref(state.directory, _pushed_ref(run), commit)

    def fetch(self, state: Git, run: str) -> str | None:
        """Bring the checkpoints of a run here; return the newest, or None if there are none.

        Raises `EnvironmentFailure` if the remote is away for long.
        """
        ref, git = ref_of(run), self._here(state)
        for pause in self._pauses():
            there = self._tip(git, self.state_remote, ref)
            if there == "":
                return None
            try:
                if there:
                    fetch(git, self.state_remote, f"+{ref}:{ref}")
                    state.run("update-ref", _pushed_ref(run), ref)
                    return there
            except GitError:
                pass
            self.sleep(pause)
        raise EnvironmentFailure(
            "the state remote does not answer",
            hint="See that it can be reached: agentflow cluster doctor",
        )

    def refresh(self, branch: str) -> None:
        """Bring a branch of the mirror to where the repository's is now.

        Raises `EnvironmentFailure` if the repository is away for long.
        """
        git, ref = explicit(self.mirror, self.environment), f"refs/heads/{branch}"
        said = "it does not answer"
        for pause in self._pauses():
            there = self._tip(git, self.origin, ref)
            try:
                if there:
                    fetch(git, self.origin, f"+{ref}:{ref}")
                elif there == "":
                    git.run("update-ref", "-d", ref)
                if there is not None:
                    return
            except GitError as error:
                said = error.said
            self.sleep(pause)
        raise EnvironmentFailure(f"cannot fetch {branch} of {self.origin}: {said}")

    def publish(self, ref: str, commit: str) -> None:
        """Push verified commits to the repository's branch, unless it has them.

        Raises `Conflict` if the branch is somewhere else, `EnvironmentFailure` if the repository
        does not take them.
        """
        git = explicit(self.mirror, self.environment)
        answer, said = self._push(git, self.origin, commit, ref)
        branch = ref.removeprefix("refs/heads/")
        if answer == "moved":
            raise Conflict(
                f"the branch {branch} of {self.origin} is not where the run began",
                hint="Delete or rename that branch there, then: agentflow cluster retry",
            )
        if answer != "taken":
            raise EnvironmentFailure(
                f"{self.origin} does not take {branch}: {said}",
                hint="See that the worker may push there, then: agentflow cluster retry",
            )

    def _here(self, state: Git) -> Git:
        return explicit(state.directory, self.environment)

    def _push(self, git: Git, url: str, commit: str, ref: str) -> tuple[Answer, str]:
        """Push until the remote has an opinion; what came of it, and what git said last."""
        answer: Answer = "away"
        said = ""
        for pause in self._pauses():
            try:
                git.run("push", "--quiet", "--no-verify", url, f"{commit}:{ref}", timeout=CALL)
            except GitError as error:
                said = error.said.splitlines()[-1] if error.said else f"exit code {error.code}"
            else:
                return "taken", ""
            answer = self._answer(git, url, commit, ref)
            if answer in {"taken", "moved"}:
                break
            self.sleep(pause)
        return answer, said

    def _answer(self, git: Git, url: str, commit: str, ref: str) -> Answer:
        there = self._tip(git, url, ref)
        if there is None:
            return "away"
        if there == commit or (
            there and git.succeeds("merge-base", "--is-ancestor", commit, there)
        ):
            return "taken"
        known = not there or git.succeeds("merge-base", "--is-ancestor", there, commit)
        return "refused" if known else "moved"

    def _tip(self, git: Git, url: str, ref: str) -> str | None:
        """Where a ref of a remote is; empty if there is none, None if the remote does not answer."""
        try:
            listing = git.text("ls-remote", "--quiet", url, ref, timeout=CALL)
        except GitError:
            return None
        lines = (line.split("\t") for line in listing.splitlines())
        return next((name for name, found in lines if found == ref), "")

    def _pauses(self) -> Iterator[float]:
        """Pauses until the patience is over."""
        end = self.clock() + self.patience
        yield from PAUSES
        while self.clock() < end:
            yield PAUSES[-1]


def _pushed_ref(run: str) -> str:
    return f"refs/agentflow/pushed/{run}"


def _pushed(state: Git, run: str) -> str | None:
    """The last checkpoint that the remote is known to have."""
    try:
        return state.text("rev-parse", "--verify", "--quiet", _pushed_ref(run))
    except GitError:
        return None


def fetch(git: Git, url: str, *refspecs: str) -> None:
    """Fetch without tags, hooks, submodules or maintenance."""
    quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
    git.run("fetch", *quiet, "--no-auto-maintenance", url, *refspecs, timeout=10 * CALL)
