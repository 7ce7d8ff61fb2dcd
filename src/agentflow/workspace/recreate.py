"""Re-creation: commits made anew in our repository with the agent's trees, and nothing else."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from agentflow.frozen import record
from agentflow.results import Candidate, Commit, FileStat
from agentflow.workspace.git import Git
from agentflow.workspace.objects import printable
from agentflow.workspace.refs import CANDIDATE, move_ref
from agentflow.workspace.signing import Draft, Signing, identity_variables, make_commit

MAX_MESSAGE = 8000
"""Characters."""
MAX_STAT = 200
"""Files whose changed lines are told one by one."""

_FORGEABLE = re.compile(
    r"^[ \t]*(?:agentflow-[\w-]+|assisted-by|signed-off-by|co-authored-by|co-developed-by"
    + r"|reviewed-by|acked-by|approved-by|tested-by|verified-by)[ \t]*:.*$\n?"
    + r"(?:[ \t]+\S.*$\n?)*",
    re.IGNORECASE | re.MULTILINE,
)
"""Trailers with their folded lines that an agent cannot vouch for: ours, and words of people."""
_TRAILER = re.compile(r"[A-Za-z0-9-]+: \S")


@record
class Authorship:
    """What every re-created commit gets."""

    name: str
    email: str
    seconds: int
    """Unix time, from the journal, so that the same run makes the same commits."""
    trailers: tuple[str, ...]
    rest_message: str
    """The message of the commit that agentflow makes of what an agent left uncommitted."""
    signing: Signing | None = None


def trailers_for(
    task: str,
    run: str,
    model: str,
    assisted_by: str,
    sign_off: tuple[str, str] | None,
) -> tuple[str, ...]:
    """The trailers of every commit of a run, in the order in which git would add them.

    `assisted_by` is a template with `{model}`; an empty one leaves that trailer out. `sign_off`
    is the name and e-mail of who signs off.
    """
    assistant = " ".join(assisted_by.replace("{model}", model).split())
    return (
        f"Agentflow-Task: {task}",
        f"Agentflow-Run: {run}",
        *([f"Assisted-by: {assistant}"] if assistant else []),
        *([f"Signed-off-by: {sign_off[0]} <{sign_off[1]}>"] if sign_off else []),
    )


def recreate(
    state: Git,
    base: str,
    walked: Sequence[Commit],
    leftovers: tuple[str, ...],
    authorship: Authorship,
) -> Candidate:
    """Make the walked commits anew, oldest first, and a candidate of them.

    Raises `EnvironmentFailure` if they cannot be signed as they should.
    """
    identity = identity_variables(authorship.name, authorship.email, authorship.seconds)
    renamed: dict[str, str] = {}
    created: list[Commit] = []
    tip = base
    for commit in walked:
        parents = tuple(renamed.get(parent, parent) for parent in commit.parents)
        message = with_trailers(clean_message(commit.message), authorship.trailers)
        draft = Draft(commit.tree, parents, message, identity)
        tip = make_commit(state, draft, authorship.signing)
        renamed[commit.sha] = tip
        created.append(Commit(tip, commit.tree, parents, message, commit.changes))
    move_ref(state.directory, CANDIDATE, tip)
    stat = statistics(state, base, tip)
    return Candidate(
        base,
        tip,
        tuple(created),
        {claimed: name for claimed, name in renamed.items() if claimed},
        leftovers,
        files_changed=len(stat),
        insertions=inserted(stat),
        deletions=deleted(stat),
        stat=stat[:MAX_STAT],
    )


def signed(state: Git, candidate: Candidate, authorship: Authorship) -> Candidate:
    """The candidate with signed commits: the same trees, messages and dates, other names.

    Raises `EnvironmentFailure` if the signing program fails.
    """
    again = recreate(state, candidate.base, candidate.commits, candidate.leftovers, authorship)
    names = {c.sha: new.sha for c, new in zip(candidate.commits, again.commits, strict=True)}
    claimed = {said: names.get(name, name) for said, name in candidate.claimed.items()}
    return replace(candidate, tip=again.tip, commits=again.commits, claimed=claimed)


def clean_message(message: str) -> str:
    """The agent's message without control characters and without forgeable trailers."""
    kept = "".join(c for c in message if c in "\n\t" or c.isprintable())
    honest = re.sub(r"\n{3,}", "\n\n", _FORGEABLE.sub("", kept))
    return honest[:MAX_MESSAGE].strip() or "Change without a message"


def with_trailers(message: str, trailers: Sequence[str]) -> str:
    """Add trailers to a clean message: to its last paragraph if that consists of trailers."""
    head, _, last = message.rpartition("\n\n")
    joined = bool(head) and all(_TRAILER.match(line) for line in last.splitlines())
    return "\n".join((message, *([] if joined else [""]), *trailers)) + "\n"


def statistics(state: Git, base: str, tip: str) -> tuple[FileStat, ...]:
    """The files that differ between two commits, each with its changed lines."""
    listing = state.text("diff-tree", "-r", "-z", "--numstat", "--no-renames", base, tip)
    rows = (row.split("\t", 2) for row in listing.split("\0") if row)
    return tuple(FileStat(printable(path), _count(new), _count(old)) for new, old, path in rows)


def inserted(stat: Sequence[FileStat]) -> int:
    """Inserted lines of all files."""
    return sum(each.insertions or 0 for each in stat)


def deleted(stat: Sequence[FileStat]) -> int:
    """Deleted lines of all files."""
    return sum(each.deletions or 0 for each in stat)


def _count(column: str) -> int | None:
    return int(column) if column.isdigit() else None


def with_files_of(state: Git, tip: str, base: str, paths: Sequence[str]) -> str:
    """Make a commit like `tip` in which `paths` are as in `base`, absent ones included.

    The same arguments make the same commit. No ref names it.
    """
    index = Path(state.directory) / "base-files-index"
    environment = {"GIT_INDEX_FILE": str(index)}
    state.run("read-tree", tip, environment=environment)
    # Mode 0 removes a path; the object's name is then ignored but must be there.
    lines = {path: f"0 {'0' * len(tip)}\t{path}" for path in paths}
    listing = state.text("ls-tree", "-r", "-z", "--full-tree", base)
    for entry in filter(None, listing.split("\0")):
        meta, path = entry.split("\t", 1)
        mode, _, blob = meta.split(" ")
        if path in lines:
            lines[path] = f"{mode} {blob}\t{path}"
    state.run(
        "update-index",
        "-z",
        "--index-info",
        stdin="".join(f"{line}\0" for line in lines.values()).encode("utf-8", "surrogateescape"),
        environment=environment,
    )
    tree = state.text("write-tree", environment=environment)
    index.unlink()
    identity = identity_variables("agentflow", "agentflow@localhost", 0)
    return make_commit(state, Draft(tree, (tip,), "measures of the base\n", identity))
