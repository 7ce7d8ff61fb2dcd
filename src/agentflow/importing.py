"""Taking in a run that was packed on another machine, so that it can go on here.

Whoever can write the file can write anything into it. So only what was said and what the agent's files
were comes from there, and of the order which task it was. How a run begins (prompt, tools, boundaries,
gates, limits, sandbox, target) is planned here, as if this user began it, and a story in which something
was verified or has landed is refused: what is judged is judged here.
"""

import itertools
import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from agentflow.checkouts import STATE
from agentflow.configuration import Settings
from agentflow.disk import write_atomically
from agentflow.errors import UsageError
from agentflow.events import Event, RunFinished, RunResumed, RunStarted
from agentflow.folders import remove_folder
from agentflow.frozen import record
from agentflow.history import PAID, History, Line
from agentflow.journal import line_text
from agentflow.markers import own_folder
from agentflow.offers import Offer, checkpoints_in, story_of, taken_lines, told
from agentflow.order import Order
from agentflow.packed_runs import PROMPT
from agentflow.plan import Plan
from agentflow.records import Json
from agentflow.redacted import redacted_event
from agentflow.redaction import Redact
from agentflow.report import Summary
from agentflow.resuming import run_started, state_folder
from agentflow.run_reports import REPORT, read_report
from agentflow.runs import FOLDER, JOURNAL, RESUMABLE, next_of, task_lock
from agentflow.staging import redactor_of
from agentflow.words import word
from agentflow.workspace.checkpoint import Checkpoint, write_checkpoint
from agentflow.workspace.clone import make_repository
from agentflow.workspace.git import Git
from agentflow.workspace.land import base_ref, branch_tip, check_target, pin_base
from agentflow.workspace.objects import NAME
from agentflow.workspace.repository import Repository
from agentflow.world import World


@record
class Imported:
    """A run that is here now."""

    run: str
    turn: int
    """How many replies of the model its last checkpoint holds."""


def order_here(
    offer: Offer, repository: Repository, flags: Mapping[str, Any], onto: str, *, drop_flags: bool
) -> Order:
    """The order by which a packed run goes on here, with these flags and no others.

    `onto` is a revision whose history must hold the commit that the run began from; `drop_flags`
    says that flags which the run was begun with may be missing. Raises `UsageError`.
    """
    run, base = offer.packed.run, offer.started.base
    _check_absent(repository, run)
    missing = [name for name in flag_names(offer.order.flags) if name not in flag_names(flags)]
    if missing and not drop_flags:
        raise UsageError(
            f"the run was begun with {', '.join(missing)}, and flags are not taken from a file",
            hint="Give again those that you want, and --drop-flags if that is not all of them.",
        )
    tip = repository.resolve(onto)
    if not re.fullmatch(NAME, base) or not repository.git.succeeds(
        "cat-file", "-e", f"{base}^{{commit}}"
    ):
        raise UsageError(
            f"the commit {base[:12]} that the run began from is not in this repository",
            hint="Get it: git fetch\nThen import the run again.",
        )
    if not repository.git.succeeds("merge-base", "--is-ancestor", base, tip):
        raise UsageError(
            f"the commit {base[:12]} that the run began from is not in the history of {onto}",
            hint="Check out a branch that holds it, or name one that you trust: --onto BRANCH.",
        )
    _check_not_landed(repository, run, tip, onto)
    return replace(offer.order, base=base, resume=None, flags=flags)


def _check_not_landed(repository: Repository, run: str, tip: str, name: str) -> None:
    if run in repository.landed_runs(tip):
        raise UsageError(
            f"the run {run} has landed: it is in the history of {name}",
            hint=f"Look at it: git log {word(name)}",
        )


def flag_names(flags: Mapping[str, Any]) -> list[str]:
    """The options of the command line that settings were given by, without those that are none."""
    words = {name: name.replace("_", "-") for name in Settings.model_fields} | {"gates": "gate"}
    return [f"--{words[name]}" if name in words else "other settings" for name in flags]


def take_in(plan: Plan, world: World, offer: Offer) -> Imported:
    """Make a packed run one of this repository, as planned here; it goes on when it is resumed.

    If it is refused, nothing of it is here. Raises `UsageError`, `EnvironmentFailure`, and `Conflict`
    for a branch that was named and is elsewhere.
    """
    packed, repository, run = offer.packed, plan.repository, offer.packed.run
    if plan.task.id != packed.task or plan.task.sha256 != offer.started.task_sha256:
        raise UsageError(
            f"the text of {packed.task} here is not the one that the run {run} began with",
            hint="Check out the commit where it began, or begin the task anew.",
        )
    target = branch_tip(repository, plan.branch) if plan.settings.land == "branch" else None
    if target:
        _check_not_landed(repository, run, target, plan.branch)
    if plan.joins:  # what moved before the run is begun here is not joined
        hint = "Give --target another name."
        check_target(repository, "branch", plan.branch, plan.base, replaceable=None, hint=hint)
    cache = state_folder(repository, world.cache, run).parent
    folder = own_folder(repository.root, FOLDER)
    part, begun = (each.with_name(f"{run}.part") for each in (cache, folder / run))
    with task_lock(repository.locks(world.cache), packed.task), ExitStack() as undo:
        _check_absent(repository, run)
        for each in (part, begun):
            remove_folder(each)
            undo.callback(remove_folder, each)
        turn = _build(plan, world, offer, part, begun)
        _set_aside(cache, undo)
        part.rename(cache)
        undo.callback(remove_folder, cache)
        undo.callback(repository.git.succeeds, "update-ref", *_pinned(repository, run))
        pin_base(repository, run, plan.base)
        begun.rename(folder / run)
        undo.pop_all()
    return Imported(run, turn)


def _build(plan: Plan, world: World, offer: Offer, part: Path, begun: Path) -> int:
    """Make the run's two folders beside their places; return its last turn."""
    packed, repository, run = offer.packed, plan.repository, offer.packed.run
    state = make_repository(part / STATE, repository, repository.object_stores)
    with told(packed):
        kept = checkpoints_in(state, offer)
        lines = taken_lines(offer, kept[-1].lines)
        history = story_of(lines, [each.lines for each in kept])
    redact = redactor_of(plan, world.environment)
    started = cast(RunStarted, redacted_event(run_started(plan, run, None), redact))
    texts = _texts(lines, started, redact)
    seconds = int(world.now().timestamp())
    with told(packed):
        _rewrite(state, run, plan.base, kept, [_encoded(each) for each in texts], seconds)
    begun.mkdir()
    write_atomically(begun / JOURNAL, "".join(texts), mode=0o600)
    write_atomically(begun / PROMPT, f"{started.system}\n---\n\n{started.first_message}")
    report = _report(offer, started, history, redact)
    if report:
        write_atomically(begun / REPORT, json.dumps(report, indent=2) + "\n")
    return kept[-1].turn


def _check_absent(repository: Repository, run: str) -> None:
    """Raise `UsageError` if a work tree of this repository has the run: they share its refs, and those
    with one folder name its checkpoints."""
    here = repository.root / FOLDER / run
    if os.path.lexists(here):
        raise UsageError(f"the run {run} is here already", hint=next_of(read_report(here)))
    for line in repository.git.text("worktree", "list", "--porcelain").splitlines():
        word, _, place = line.partition(" ")
        there = Path(place) / FOLDER / run
        if word == "worktree" and os.path.lexists(there):
            raise UsageError(
                f"the run {run} is in another work tree: {place}",
                hint=f"{next_of(read_report(there))} (there)",
            )


def _set_aside(cache: Path, undo: ExitStack) -> None:
    """Keep what the cache has of a run whose folder in the work tree somebody removed or moved."""
    if not os.path.lexists(cache):
        return
    names = (cache.with_name(f"{cache.name}.{number}") for number in itertools.count(1))
    aside = next(name for name in names if not os.path.lexists(name))
    cache.rename(aside)
    undo.callback(aside.rename, cache)


def _pinned(repository: Repository, run: str) -> list[str]:
    """What `git update-ref` is told so that the run's base is kept, or not kept, as it is now."""
    ref = base_ref(run)
    named = repository.git.text("for-each-ref", "--format=%(objectname)", ref)
    return [ref, named] if named else ["-d", ref]


def _texts(lines: Sequence[Line], begun: RunStarted, redact: Redact) -> list[str]:
    """The journal's lines as agentflow writes them here; the run begins as it was planned here, and
    whoever went on with it there asked for nothing."""
    texts: list[str] = []
    for line in lines:
        match line.event:
            case RunStarted():
                event: Event = begun
            case RunResumed():
                event = redacted_event(replace(line.event, asked={}), redact)
            case _:
                event = redacted_event(line.event, redact)
        texts.append(line_text(line.number, line.at, event))
    return texts


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _rewrite(
    state: Git,
    run: str,
    base: str,
    kept: Sequence[Checkpoint],
    texts: Sequence[bytes],
    seconds: int,
) -> None:
    """Write the checkpoints anew, with these lines."""
    last = Checkpoint("", 0, 0, 0, base, "")
    for each in kept:
        journal = b"".join(texts[last.lines : each.lines])
        size = last.size + len(journal)
        made = replace(each, commit="", size=size, journal=journal, owner="")
        last = write_checkpoint(state, run, last, made, seconds)
    state.run("rev-list", "--objects", "--quiet", last.commit, f"^{base}")  # the heads are there


def _report(offer: Offer, begun: RunStarted, history: History, redact: Redact) -> Json | None:
    """What is known of the run's end, for whoever looks for runs that can go on. None of a conflict: that
    says that something was verified. What agentflow says there is said here; of the file is only how it
    ended, and what was asked."""
    ended = offer.ended
    if ended is None or ended.outcome not in RESUMABLE - {"conflict"}:
        return None
    at = history.lines[0].at
    summary = Summary(lambda: at, history.spent.seconds)
    spent = (line.event for line in history.paid if isinstance(line.event, PAID))
    for event in (begun, *spent, _end(ended, begun.run)):
        summary(redacted_event(event, redact))
    return {**summary.as_json(), "marker": None, "work_tree": None}


def _end(ended: RunFinished, run: str) -> RunFinished:
    if ended.outcome == "blocked":
        return replace(ended, hint="")
    return replace(ended, reason="", hint=f"agentflow resume {word(run)}")
