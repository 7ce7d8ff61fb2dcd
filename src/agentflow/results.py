"""Records of what a run came to: changes, commits, evidence, the verdict, and where it landed."""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Literal

from agentflow.frozen import record
from agentflow.records import Json, Status


@record
class Change:
    """One path changed by one commit."""

    status: str
    """One letter as in `git diff-tree --raw`: A, M, D, T."""
    path: str
    mode: str
    """The new mode in octal, 000000 for a deletion."""
    blob: str
    """The new object's name."""


@record
class Commit:
    """One commit between the base and the result."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    message: str
    changes: tuple[Change, ...] = ()

    @property
    def subject(self) -> str:
        """The message's first line."""
        return self.message.strip().split("\n", 1)[0]


@record
class Fault:
    """One thing that is wrong, and where."""

    text: str
    path: str = ""
    """In the repository; empty where it is no file that is wrong."""
    line: int = 0
    """From 1; 0 means the file as a whole."""


@record
class FileStat:
    """How many lines of one file changed."""

    path: str
    insertions: int | None
    deletions: int | None
    """Both None for a file that is not text."""


@record
class Candidate:
    """The re-created commits of a run, in our repository, waiting for judgement."""

    base: str
    tip: str
    """Equal to `base` if there is nothing to judge."""
    commits: tuple[Commit, ...] = ()
    """Re-created, oldest first."""
    claimed: dict[str, str] = field(default_factory=dict[str, str])
    """The agent's commit names, each with the name it was re-created under."""
    leftovers: tuple[str, ...] = ()
    """Paths that an agent who should commit left uncommitted."""
    violations: tuple[str, ...] = ()
    """Why the agent's commits may not enter the user's repository."""
    faults: tuple[Fault, ...] = ()
    """Those of the violations that are a file's."""
    files_changed: int = 0
    insertions: int = 0
    deletions: int = 0
    stat: tuple[FileStat, ...] = ()
    """File by file; the first ones only if there are very many."""
    answer: str = ""
    """The agent's last words: claims about all this."""
    squashed: int = 0
    """How many commits of the agent became one."""
    dropped: tuple[str, ...] = ()
    """Paths of documents that are agentflow's to write, and that the agent changed."""


@record
class Criterion:
    """One box of a checklist, and what is known about it."""

    text: str
    state: Literal["met", "unmet", "claimed", "unaddressed"]
    """`met` and `unmet` were measured."""
    by: str = ""
    """The gate or the look that measured it."""


@record
class Evidence:
    """The measured result of one gate."""

    gate: str
    status: Status
    summary: str
    """One line."""
    detail: str = ""
    """What the agent and the user need to mend it; the last lines of an output."""
    seconds: float = 0.0
    notices: tuple[str, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    """What the task asks for point by point, from an audit of the checklist."""
    fingerprint: str = ""
    """Of a command's failure, in hexadecimal: the same for the same failure. Empty if it passed,
    or said too much to tell."""
    answer: Json | None = None
    """The agent's answer, from an audit that found it in the form that the prompt promises."""
    faults: tuple[Fault, ...] = ()
    """What `detail` says of single files, for who shows it at its line."""


LEFT_TO_CI = "left to CI"
"""The summary of a gate that only a CI job runs."""


@record
class Verdict:
    """All evidence on one candidate."""

    evidence: tuple[Evidence, ...] = ()

    @property
    def passed(self) -> bool:
        """True if at least one build gate passed and none failed."""
        return not self.failures and any(
            e.status == "passed" and e.gate.startswith("build") for e in self.evidence
        )

    @property
    def failures(self) -> tuple[Evidence, ...]:
        """The evidence of the gates that failed."""
        return tuple(e for e in self.evidence if e.status == "failed")

    @property
    def left_to_ci(self) -> tuple[str, ...]:
        """The names of the gates that only a CI job runs."""
        return tuple(e.gate for e in self.evidence if e.summary == LEFT_TO_CI)


@record
class Bookkeeping:
    """What agentflow writes down about verified commits, in a commit of its own on top of them."""

    message: str
    files: Mapping[str, bytes]
    """Contents by path."""


@record
class Ledger:
    """The document that a run's task stands in, which agentflow alone writes."""

    paths: tuple[str, ...]
    """What an agent changes in these files is dropped."""
    message: str
    """Of the one commit that an agent's several commits become."""
    entry: Callable[[str], Bookkeeping]
    """What is written once a commit, given by its name, is verified."""
    batch: str = ""
    """The id of the batch that the task is."""
    held: str = ""
    """The commit of the base that holds the work already; it is the batch's if nothing is to be
    mended."""


@record
class Landed:
    """Where the verified commits went."""

    ref: str | None
    """The full name of the ref that was moved; None with `--land none`."""
    tip: str
    replaced: str | None = None
    """The ref that keeps an older tip of the branch, if one was replaced."""
