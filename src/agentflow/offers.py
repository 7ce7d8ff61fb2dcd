"""What a packed run says of itself: its conversation and its checkpoints, as far as their form is right.

Whoever can write the file can write anything into it, so what cannot be read, folded or counted is
refused here, before anything of it is in this repository.
"""

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, replace
from itertools import takewhile

from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.events import (
    AssistantMessage,
    Combined,
    ConnectionClosed,
    ContextReduced,
    ContextSummarized,
    Event,
    FallbackStarted,
    HandoffAsked,
    LandingDone,
    LimitNear,
    Notice,
    RepairStarted,
    ReplyFailed,
    RetryScheduled,
    RunFinished,
    RunResumed,
    RunStarted,
    ToolFinished,
    UserMessage,
    Verified,
)
from agentflow.frozen import record
from agentflow.history import FINAL, History, Line, decode, messages_to_send, read_history
from agentflow.messages import ToolCall
from agentflow.order import Order, read_order
from agentflow.packed_runs import PackedRun
from agentflow.report import MADE_UP
from agentflow.runs import MAX_JOURNAL
from agentflow.strict_json import parse_object
from agentflow.tasks.task import names_a_file
from agentflow.workspace.bundles import MAX_PACK, MAX_UNPACKED, bundle_tips, index_bundle
from agentflow.workspace.checkpoint import Checkpoint, read_checkpoints, ref_of
from agentflow.workspace.extents import extents
from agentflow.workspace.git import Git, GitError
from agentflow.workspace.objects import NAME, sizes

SAID = (
    *(
        AssistantMessage,
        UserMessage,
        ToolFinished,
        ContextReduced,
        ContextSummarized,
        FallbackStarted,
    ),
    *(ReplyFailed, RetryScheduled, ConnectionClosed, LimitNear, Notice),
)
"""What is taken of the lines beyond the last checkpoint, up to the first of another kind."""
JUDGED = (Verified, Combined, LandingDone)
MOST_CHECKPOINTS = 10_000
MOST_FILES = 1_000_000
"""How many more files than its base a run's commits may have, folders too."""
ANEW = "Begin the task anew."


@record
class Offer:
    """What a packed run says of itself, in the right form."""

    packed: PackedRun
    lines: Sequence[Line]
    started: RunStarted
    order: Order
    """With the flags that it was begun with, which count for nothing here."""
    ended: RunFinished | None
    """How it ended where it was packed."""


def read_offer(packed: PackedRun) -> Offer:
    """Read the journal of a packed run. Raises `UsageError` for what no run of ours has written, and
    for a run whose task was made from a document."""
    with told(packed):
        lines = decode(map(parse_object, packed.journal.split(b"\n")[:-1]))
        started = [line.event for line in lines if isinstance(line.event, RunStarted)][-1]
        if (started.run, started.task) != (packed.run, packed.task):
            raise ValueError("its journal is of another run")
        order = read_order(started.order, base=started.base, resume="")
    ended = lines[-1].event if isinstance(lines[-1].event, RunFinished) else None
    if order.made is not None or any(isinstance(line.event, HandoffAsked) for line in lines):
        raise UsageError(
            f"the task of {packed.run} was made from a document or a handoff, and such a run is not taken in",
            hint="Begin it anew from there; what has landed stays.",
        )
    if order.task is not None and names_a_file(order.task) and not _is_inside(order.task):
        raise UsageError(f"the task of {packed.run} is a file outside its repository", hint=ANEW)
    return Offer(packed, lines, started, replace(order, shared_target=False), ended)


def _is_inside(path: str) -> bool:
    return not path.startswith(("/", "~")) and ".." not in path.split("/")


@contextmanager
def told(packed: PackedRun) -> Generator[None]:
    """Turn whatever a made-up file leads to into one sentence; a full disk is none of its faults."""
    try:
        yield
    except (EnvironmentFailure, RecursionError, *MADE_UP) as error:
        if isinstance(error, GitError) and error.hint:
            raise
        raise UsageError(
            f"the packed run {packed.run} is damaged, or was changed ({error})", hint=ANEW
        ) from error


def checkpoints_in(state: Git, offer: Offer) -> list[Checkpoint]:
    """Index the checkpoints, and return them as far as their form is right; no ref names them then."""
    packed, base, ref = offer.packed, offer.started.base, ref_of(offer.packed.run)
    tips = bundle_tips(packed.checkpoints)
    if list(tips) != [ref]:
        raise ValueError("its checkpoints are of another run")
    index_bundle(state, packed.checkpoints, tips[ref], base)
    names = state.text("rev-list", "--first-parent", tips[ref], f"^{base}").split()
    if len(names) > MOST_CHECKPOINTS or sum(sizes(state, names).values()) > 2 * MAX_JOURNAL:
        raise ValueError("it has too many checkpoints")
    state.run("update-ref", ref, tips[ref])
    kept = read_checkpoints(state, packed.run, base)
    state.run("update-ref", "-d", ref)
    lines = size = 0
    for each in kept:
        lines, size = lines + each.journal.count(b"\n"), size + len(each.journal)
        if (each.lines, each.size) != (lines, size):
            raise ValueError("a checkpoint does not say what it holds")
    if not kept or not packed.journal.startswith(b"".join(each.journal for each in kept)):
        raise ValueError("its journal and its checkpoints differ")
    whole = [_whole(each) for each in kept]
    _check_extents(state, base, [tips[ref], *(each.head for each in whole)])
    return whole


def _check_extents(state: Git, base: str, commits: Sequence[str]) -> None:
    """Raise `ValueError` if the files of these commits, or of one between the base and them, are far
    more than those of the base: a few small trees can name one file a billion times."""
    named = "".join(f"{each}\n" for each in (*commits, f"^{base}"))
    shown = ("log", "--no-show-signature", "--format=%T", "--stdin")
    own = state.text("rev-parse", f"{base}^{{tree}}")
    trees = {own, *state.text(*shown, stdin=named.encode()).split()}
    found = extents(state, trees, MAX_PACK)
    files, size = found[own].files + MOST_FILES, found[own].size + MAX_UNPACKED
    if any(found[tree].files > files or found[tree].size > size for tree in trees):
        raise ValueError(f"its files are more than {MOST_FILES}, or than {MAX_UNPACKED} bytes")


def _whole(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with facts of the right types: they were read as they stood there. Raises
    `ValueError`."""
    from pydantic import TypeAdapter

    found: Checkpoint = TypeAdapter(Checkpoint).validate_python(asdict(checkpoint))
    turns = range(found.lines)
    if not re.fullmatch(NAME, found.head) or found.turn not in turns:
        raise ValueError("a checkpoint says what it cannot hold")
    return found


def taken_lines(offer: Offer, tip: int) -> list[Line]:
    """The lines of the checkpoints, and what was said beyond them."""
    beyond = takewhile(lambda line: isinstance(line.event, SAID), offer.lines[tip:])
    return [*offer.lines[:tip], *beyond]


def story_of(lines: Sequence[Line], edges: Sequence[int]) -> History:
    """The story; folded here once, so that what cannot be folded is refused before it is here.

    `edges`: how many lines each checkpoint holds, in order. Raises `ValueError`.
    """
    from pydantic import TypeAdapter

    history = read_history(lines, edges[-1])
    messages_to_send(lines)
    if history.started is None:
        raise ValueError("it does not say how the run began")
    judged = history.verified or history.combined or history.landed or history.finished
    if judged or _is_judged_at(lines, frozenset(edges)):
        raise ValueError("it says that its result was judged, and no run that goes on says so")
    if any(line.at.tzinfo is None for line in lines):
        raise ValueError("a time has no zone")
    if any(amount < 0 for line in lines for amount in _amounts(line.event)):
        raise ValueError("an amount is negative")
    pending = history.conversation.pending
    for call in pending.calls if pending else ():
        TypeAdapter(ToolCall).validate_python(asdict(call))
    return history


def _is_judged_at(lines: Sequence[Line], edges: frozenset[int]) -> bool:
    """Whether a judgement counts where a checkpoint ends. A run that is forked there has the lines up
    to it, without a later one that voids them; a run that was set back has none there."""
    living: list[int] = []
    for line in lines:
        event = line.event
        while isinstance(event, RunResumed) and living and living[-1] >= event.kept:
            living.pop()
        if isinstance(event, JUDGED) or (isinstance(event, RunFinished) and event.outcome in FINAL):
            living.append(line.number)
        if living and line.number + 1 in edges:
            return True
    return False


def _amounts(event: Event) -> Iterator[float]:
    """What an event adds to what a run has used."""
    match event:
        case AssistantMessage() | ContextSummarized():
            yield from (event.cost or 0.0, *astuple(event.usage), *astuple(event.discarded))
        case ReplyFailed():
            yield from (event.cost or 0.0, *astuple(event.usage))
        case ConnectionClosed():
            yield from (event.uploaded, event.seconds)
        case RepairStarted():
            yield event.attempt - 1
        case _:
            pass
