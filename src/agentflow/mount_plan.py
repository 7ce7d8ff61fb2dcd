"""Boundaries as far as mounts can say them: what the kernel enforces, and what is left to the import."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

from agentflow.boundaries import PROTECTED, names_protected
from agentflow.frozen import record
from agentflow.globs import literal_prefix
from agentflow.records import Boundaries

Label = Literal["kernel-exact", "kernel-parent+import", "import-only"]


@record
class MountPlan:
    """Boundaries as far as mounts can say them; the import check is exact and has the last word."""

    writable: tuple[str, ...]
    """Directories mounted read-write; `.` is the whole tree."""
    protected: tuple[str, ...]
    """Paths mounted read-only on top, if they exist."""
    labels: tuple[tuple[str, Label], ...]
    """Each glob, denials with a leading `!`, and who enforces it."""


def plan_mounts(boundaries: Boundaries, is_directory: Callable[[str], bool]) -> MountPlan:
    """Compile boundaries to mounts.

    `is_directory` answers for a path at the base, relative to the root. Directories are mounted,
    never single files: a rename over a mounted file fails.
    """
    writable: list[str] = []
    labels: list[tuple[str, Label]] = []
    for glob in boundaries.allow:
        directory, label = _allowed_directory(glob, is_directory)
        if label == "kernel-exact" and not _is_within(directory, boundaries.within):
            label = "kernel-parent+import"
        writable.append(directory)
        labels.append((glob, label))
    protected: list[str] = []
    for glob in boundaries.deny:
        prefix = literal_prefix(glob)
        whole = _is_directory_glob(glob, is_directory)
        protected += [prefix] if whole or glob == prefix else []
        labels.append((
            f"!{glob}",
            "kernel-exact" if whole and is_directory(prefix) else "import-only",
        ))
    for glob in PROTECTED:
        prefix = literal_prefix(glob)
        if prefix and not names_protected(boundaries.allow, glob):
            protected.append(prefix)
    return MountPlan(_outermost(writable or ["."]), tuple(dict.fromkeys(protected)), tuple(labels))


def without_denials(plan: MountPlan) -> MountPlan:
    """What is left of a plan where nothing can be denied within what is allowed.

    A denial of a path outside all writable directories holds as it is.
    """
    labels: Iterator[tuple[str, Label]] = (
        (glob, "import-only" if _denies_within(glob, plan.writable) else label)
        for glob, label in plan.labels
    )
    return MountPlan(plan.writable, (), tuple(labels))


def _denies_within(glob: str, writable: Sequence[str]) -> bool:
    path = literal_prefix(glob.removeprefix("!"))
    return glob.startswith("!") and any(
        outer == "." or f"{path}/".startswith(f"{outer}/") for outer in writable
    )


def _is_directory_glob(glob: str, is_directory: Callable[[str], bool]) -> bool:
    """Whether a glob covers exactly what lies in the directory of its literal prefix."""
    prefix = literal_prefix(glob)
    return glob in {f"{prefix}/", f"{prefix}/**"} or (glob == prefix and is_directory(prefix))


def _allowed_directory(glob: str, is_directory: Callable[[str], bool]) -> tuple[str, Label]:
    prefix = literal_prefix(glob)
    if prefix and _is_directory_glob(glob, is_directory):
        return prefix, "kernel-exact"
    parent = prefix.rpartition("/")[0] if glob == prefix else prefix
    return (parent, "kernel-parent+import") if parent else (".", "import-only")


def _is_within(directory: str, layers: Iterable[Sequence[str]]) -> bool:
    """Whether each layer allows a directory as a whole."""
    return all(
        any(
            glob == "**" or f"{directory}/".startswith(f"{glob.rstrip('/').removesuffix('/**')}/")
            for glob in layer
            if glob == "**" or _is_directory_glob(glob, lambda _: True)
        )
        for layer in layers
        if layer
    )


def _outermost(directories: Sequence[str]) -> tuple[str, ...]:
    """The directories that lie in no other one of the list, sorted."""
    if "." in directories:
        return (".",)
    kept: list[str] = []
    for directory in sorted(set(directories)):
        if not any(directory.startswith(f"{outer}/") for outer in kept):
            kept.append(directory)
    return tuple(kept)
