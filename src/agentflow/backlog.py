"""The backlog: the tasks that are to be run together, in the order in which they are named.

Each with what it may write and whom it waits for. Everything that can be refused by looking at
tasks alone is refused here, before any of them starts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentflow.configuration import Settings
from agentflow.done_before import DoneBefore
from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.order import Order
from agentflow.outline import make_outline
from agentflow.records import Landing, Neighbour, Task
from agentflow.refusals import Refusals
from agentflow.scheduler import Job
from agentflow.setting_tables import DocumentsSetting
from agentflow.settings import CONFIG, load_settings
from agentflow.tasks.task import FOLDER, names_a_file
from agentflow.trust import read_trust
from agentflow.words import word
from agentflow.workspace.land import check_name, target_tip
from agentflow.workspace.repository import Repository, open_repository
from agentflow.world import World

if TYPE_CHECKING:
    from agentflow.whole_documents import Whole


@record
class Item:
    """One task of a backlog."""

    name: str
    """As the caller gave it: an id or a path."""
    task: Task
    settings: Settings
    waits_for: tuple[str, ...] = ()
    """Ids of others of the backlog."""
    builds_on: Mapping[str, str] = field(default_factory=dict[str, str])
    """Commits of tasks that were done before and that the start does not hold, by the task's id."""
    notices: tuple[str, ...] = ()
    """What is odd about the task, and does not prevent it: its run says it as well."""
    whole: "Whole | None" = None
    """The document whose batches are the task."""

    @property
    def job(self) -> Job:
        """The task as the scheduler sees it."""
        return Job(self.task.id, self.waits_for, self.settings.allow)

    @property
    def neighbour(self) -> Neighbour:
        """The task as the agents beside it see it."""
        return Neighbour(self.task.id, self.task.title, self.settings.allow)


@record
class Backlog:
    """What is to be run, and what is not."""

    items: tuple[Item, ...]
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])
    """Why a task that is there is not ready, by its id."""
    notices: tuple[str, ...] = ()


@record
class Start:
    """Where tasks begin that wait for nobody."""

    repository: Repository
    base: str
    flags: Mapping[str, Any]
    land: Landing = "branch"
    target: str = ""
    """The branch that all land on; empty if each lands on its own."""
    is_given: bool = False
    """Whether the caller named the base: then no task names another one."""
    documents: DocumentsSetting = field(default_factory=DocumentsSetting)

    @property
    def shared(self) -> bool:
        """Whether all land on one branch."""
        return self.land == "current" or (self.land == "branch" and bool(self.target))

    @property
    def where(self) -> str:
        """The option that names where all land, as the rest of a command."""
        if self.land == "current":
            return " --land current"
        return f" --target {word(self.target)}" if self.shared else ""

    def done_before(self) -> DoneBefore:
        """What was done before tasks begin here."""
        return DoneBefore(self.repository, self.base, self.documents, shared=self.shared)

    def order(self, name: str) -> Order:
        """The order to run a task from here, or from where it says itself."""
        base = self.base if self.shared or self.is_given else None
        return Order(name, base=base, flags=self.flags, shared_target=self.shared)


def find_start(base: str | None, flags: Mapping[str, Any], world: World) -> Start:
    """Where tasks begin: on the branch that they land on, if there is one already.

    Raises `UsageError` for a `base` that is not where such a branch is.
    """
    repository = open_repository(world.directory, world.environment)
    commit = repository.head if base is None else repository.resolve(base)
    trust = read_trust(repository.common_dir, world.environment)
    config = repository.read(commit, CONFIG)
    settings = load_settings(flags, world.environment, config, Task("", "", ""), trust)
    start = Start(
        repository,
        commit,
        flags,
        settings.land,
        settings.target or "",
        base is not None,
        settings.documents,
    )
    if start.land == "branch" and start.target:
        check_name(repository, start.target)
    tip = target_tip(repository, start.land, start.target) if start.shared else None
    if tip and base and tip != commit:
        raise UsageError(
            f"{base} is not where {start.target or 'HEAD'} is, on which all tasks land",
            hint="Leave out --base, or give another --target.",
        )
    return replace(start, base=tip or commit)


def named_tasks(
    names: Sequence[str], start: Start, world: World, *, fresh: bool = False
) -> Backlog:
    """The backlog of tasks that the caller names; `fresh` says that those that are done are not.

    Raises `UsageError` for what cannot be run, and for a dependency that is neither named nor done
    where all land.
    """
    refusals, items = Refusals(), list[Item]()
    for name in names:
        with refusals.kept():
            items.append(_document(name, start, world) or item_of(name, start, world))
    refusals.check()
    known = {batch: item.task.id for item in items if item.whole for batch in item.whole.batches}
    known |= {item.task.id: item.task.id for item in items}
    done = start.done_before()
    _check_documents(items)
    whole = {item.task.id for item in items if item.whole}
    for item in items:
        for name in item.task.depends_on:
            # What is given as well is run before, but for what is done elsewhere than where all land.
            apart = start.shared and not (fresh or known.get(name) in whole or name == item.task.id)
            if name in known and not apart:
                continue
            if not (done.is_held(name) or done.commit(name)):
                done.check(item.task, name, place=start.target, given=name in known)
        missing = [
            name
            for name in item.task.depends_on
            if name not in known and not done.is_held(name) and not done.commit(name)
        ]
        if missing:
            left = "; ".join(filter(None, map(done.left_of, missing)))
            raise UsageError(
                f"{item.task.id} depends on {', '.join(missing)}, which is neither done"
                + (" on the target" if start.shared else "")
                + " nor among the tasks that were given"
                + (f": {left}" if left else ""),
                hint=f"Give it as well: agentflow run {' '.join(map(word, (*missing, *names)))}{start.where}",
            )
    if not fresh:
        anew = f"agentflow run {' '.join(map(word, names))}{start.where} --fresh"
        own = [item.task.id for item in items if not item.whole]
        done.check_there(own, place=start.target, anew=anew)
    return Backlog(tuple(linked(item, known, done) for item in items))


def item_of(name: str, start: Start, world: World) -> Item:
    """The item of a task of its own, be it of a file or a queue. Raises `UsageError`."""
    outline = make_outline(start.order(name), world, start.repository)
    return Item(name, outline.task, outline.settings, notices=outline.notices)


def _document(name: str, start: Start, world: World) -> Item | None:
    """The item of a document with batches; None if the name means another task."""
    if names_a_file(name) or Path(start.repository.root, FOLDER, f"{name}.md").exists():
        return None
    from agentflow.whole_documents import find_whole  # it brings all that reads documents

    target = {"target": start.target} if start.shared else {}
    flags = {**start.flags, **target}
    whole = find_whole(
        name, start.base, start.repository, flags, start.documents, world, shared=start.shared
    )
    if whole and start.land != "branch":
        raise UsageError(
            f"{name} is a document, and its batches land on a branch: --land {start.land} is not "
            "for them",
            hint=f"Give --land branch, or run it by itself: agentflow phase-6 {word(name)}",
        )
    return Item(name, whole.task, whole.settings, whole=whole) if whole else None


def _check_documents(items: Sequence[Item]) -> None:
    """Refuse who depends on a document that no run can complete, before anything is paid."""
    aside = {item.task.id: item.whole.aside for item in items if item.whole and item.whole.aside}
    for item in items:
        for name in item.task.depends_on:
            if name in aside:
                raise UsageError(
                    f"{item.task.id} depends on {name}, which stays incomplete: {aside[name][0]}",
                    hint="Take it up or give it up, and commit that: "
                    + f"agentflow tasks set {word(name)} --batch N --status PENDING or SKIPPED",
                )


def linked(item: Item, known: Mapping[str, str], done: DoneBefore) -> Item:
    """The item with what it waits for, and what it builds on. `known` are the items by the ids that
    others may depend on: their own, and those of batches."""
    waits, commits = dict[str, None](), dict[str, str]()
    for name in item.task.depends_on:
        if known.get(name) == name:
            waits[name] = None
        elif not done.is_held(name):
            commit = done.commit(name)
            if commit:
                commits[name] = commit
            else:
                waits[known[name]] = None
    return replace(item, waits_for=tuple(waits), builds_on=commits)
