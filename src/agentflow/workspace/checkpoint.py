"""Checkpoints: what an agent has done so far, as one commit of ours after each batch of calls.

Each is a commit on `refs/agentflow/runs/<run>` in our repository: its tree is the work tree, its
first parent the checkpoint before, its second the agent's own commit, its message a line of facts
and the journal's lines since. So files and conversation move by one update of one ref.
"""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import field, replace
from pathlib import Path

from agentflow.errors import ANEW, EnvironmentFailure
from agentflow.frozen import record
from agentflow.records import Json
from agentflow.strict_json import parse_object
from agentflow.workspace.clone import GIT_INSIDE, Clone
from agentflow.workspace.git import Git, GitError
from agentflow.workspace.loose import write_commit
from agentflow.workspace.objects import contents
from agentflow.workspace.refs import move_ref

KEPT_INSIDE = "/run/agentflow/checkpoint"
"""Where the folder is mounted in which git keeps an index and leaves its pack."""

SCRIPT = r"""
set -eu
cd "$AGENTFLOW_TREE"
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_ATTR_NOSYSTEM=1
export GIT_NO_REPLACE_OBJECTS=1 GIT_GRAFT_FILE=/dev/null GIT_OPTIONAL_LOCKS=0
head=
line() { if [ -f "$1" ]; then read -r head < "$1" || true; fi; }
line "$AGENTFLOW_GIT/HEAD"
case $head in 'ref: refs/'*) name=${head#ref: }; head=; line "$AGENTFLOW_GIT/$name"; esac
case $head in *[!0-9a-f]*) head=; esac
[ "${#head}" -ge 40 ] || head=$(git --git-dir="$AGENTFLOW_GIT" rev-parse --verify 'HEAD^{commit}')
export GIT_DIR="$AGENTFLOW_KEPT/git" GIT_WORK_TREE="$AGENTFLOW_TREE"
lock="$GIT_DIR/index.lock"
if [ -e "$lock" ] || [ -L "$lock" ]; then rm -f "$lock"; fi
git -c advice.addEmbeddedRepo=false add -A --ignore-errors || echo incomplete
tree=$(git write-tree)
printf '%s\n%s\n' "$head" "$tree" > "$AGENTFLOW_KEPT/tips"
if [ "$head $tree" = "$AGENTFLOW_LAST" ]; then
  if [ -e "$AGENTFLOW_KEPT/pack" ]; then rm -f "$AGENTFLOW_KEPT/pack"; fi
  exit 0
fi
printf '%s\n' "$head" "$tree" $(printf '^%s ' $AGENTFLOW_LAST) |
  git pack-objects --quiet --revs --stdout > "$AGENTFLOW_KEPT/pack"
"""
"""Run in the agent's own sandbox between its calls: by a git directory with our configuration, so
what the agent configured decides nothing. It may spoil its own checkpoint; that is data.

It runs after every turn that may have changed something, and each process takes a millisecond: HEAD
is read here where it is a plain file, and nothing is removed that is not there."""

PATIENCE = 1.0
"""Seconds that a lock may belong to a git that is alive."""
_AUTHOR = "agentflow <agentflow@localhost> {seconds} +0000"


@record
class Checkpoint:
    """One moment of a run from which it can go on."""

    commit: str
    """Empty before the first one is written."""
    turn: int
    """How many replies of the model the conversation holds."""
    lines: int
    size: int
    """Lines and bytes of the journal that this checkpoint and those before it hold."""
    head: str
    """The agent's commit."""
    tree: str
    """The files."""
    session: Json = field(default_factory=dict[str, object])
    """What a later toolbox needs to continue: `Session.state`."""
    owner: str = ""
    """Who claimed the run with this checkpoint, where several machines may."""
    journal: bytes = field(default=b"", repr=False)
    """The lines since the checkpoint before."""


def ref_of(run: str) -> str:
    """The ref of a run's checkpoints, in our repository."""
    return f"refs/agentflow/runs/{run}"


def make_place(clone: Clone, folder: Path) -> None:
    """Prepare the folder in which the script works: a git directory with the clone's configuration
    and index, as they are before a process of the agent has run."""
    if folder.exists():
        return
    target = folder / "git"
    shutil.copytree(clone.git_dir, target, ignore=shutil.ignore_patterns("objects", "*.lock"))
    info = target / "objects" / "info"
    info.mkdir(parents=True)
    borrowed = (clone.git_dir / "objects" / "info" / "alternates").read_bytes()
    inside = Path(clone.tree, ".git").read_text("utf-8").removeprefix("gitdir: ").strip()
    (info / "alternates").write_bytes(borrowed + f"{inside}/objects\n".encode())


def script_variables(clone: Clone, folder: Path, *, mounted: bool) -> dict[str, str]:
    """Where the script finds what it works on."""
    return {
        "AGENTFLOW_GIT": GIT_INSIDE if mounted else str(clone.git_dir),
        "AGENTFLOW_KEPT": KEPT_INSIDE if mounted else str(folder),
    }


def write_checkpoint(
    state: Git, run: str, previous: Checkpoint, made: Checkpoint, seconds: int, also: str = ""
) -> Checkpoint:
    """Write a checkpoint on top of the previous one, by compare-and-swap; return it with its name.

    `also` is a commit that goes where the checkpoint goes.

    Raises `RefMoved` if another process has moved the run on.
    """
    parents = [each for each in (previous.commit, made.head, also) if each]
    facts = {name: getattr(made, name) for name in ("turn", "lines", "size", "head", "session")}
    facts |= {"owner": made.owner} if made.owner else {}
    who = _AUTHOR.format(seconds=seconds)
    header = [f"tree {made.tree}", *(f"parent {each}" for each in parents)]
    header += [f"author {who}", f"committer {who}"]
    text = f"checkpoint {made.turn}\n\n{json.dumps(facts)}\n"
    data = ("\n".join(header) + f"\n\n{text}").encode() + made.journal
    name = write_commit(state.directory, data, sha256=len(made.tree) == 64)
    move_ref(state.directory, ref_of(run), name, previous.commit)
    return replace(made, commit=name)


def read_checkpoints(state: Git, run: str, base: str) -> list[Checkpoint]:
    """All checkpoints of a run, oldest first; none if there are none.

    Raises `EnvironmentFailure` for a ref that we did not write.
    """
    try:
        listing = state.text("rev-list", "--first-parent", "--reverse", ref_of(run), f"^{base}")
    except GitError:
        return []
    names = listing.split()
    texts = contents(state, names)
    return [_parsed(name, texts[name]) for name in names]


def _parsed(name: str, raw: bytes) -> Checkpoint:
    try:
        header, message = raw.split(b"\n\n", 1)
        _, _, facts, journal = message.split(b"\n", 3)
        tree = header.split(b"\n", 1)[0].removeprefix(b"tree ").decode()
        return Checkpoint(name, tree=tree, journal=journal, **parse_object(facts))
    except (ValueError, TypeError) as error:
        raise EnvironmentFailure(
            f"the checkpoint {name[:12]} is damaged ({error})", hint=ANEW
        ) from error


def bundle(state: Git, run: str, base: str) -> bytes:
    """A git bundle of a run's checkpoints, without what the run began from: who opens it needs that
    commit, as `git bundle verify` says."""
    return state.run("bundle", "create", "--quiet", "-", ref_of(run), f"^{base}")


def diff(state: Git, old: str, new: str, *, stat: bool) -> str:
    """How the files of two checkpoints differ, as git prints it; by no program that a repository
    names."""
    form = ["--stat=100"] if stat else ["--patch"]
    return state.text("diff-tree", "-r", "--no-ext-diff", "--no-textconv", *form, old, new)


def move_to(state: Git, run: str, new: str, old: str) -> None:
    """Set a run back to one of its checkpoints."""
    move_ref(state.directory, ref_of(run), new, old)


def take_over(state: Git, run: str, source: Git, of: str, commit: str) -> None:
    """Bring the checkpoints of another run up to one of them, with their objects, into the
    repository of a new run."""
    state.run(
        "-c",
        "protocol.file.allow=always",
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-write-fetch-head",
        "--no-auto-maintenance",
        str(source.directory),
        f"+{ref_of(of)}:{ref_of(run)}",
    )
    move_ref(state.directory, ref_of(run), commit)


def remove_locks(git_dir: Path) -> None:
    """Remove what a killed git left in a repository of ours; only while no run works in it.

    A git that outlived its run for a moment gets that moment.
    """
    deadline = time.monotonic() + PATIENCE
    while any(_locks(git_dir)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for lock in _locks(git_dir):
        lock.unlink(missing_ok=True)


def _locks(git_dir: Path) -> Iterator[Path]:
    yield from git_dir.glob("*.lock")
    yield from (git_dir / "refs").rglob("*.lock")
