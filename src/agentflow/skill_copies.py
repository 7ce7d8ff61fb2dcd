"""The user's own skills as copies that an agent may read: its sandbox shows nothing else of them.

Copied are regular files of a skill's own folder: no links, no secret files, and no more than the
limits below.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from agentflow.prompts.base_tree import MAX_FILE
from agentflow.prompts.skills import folder_tree
from agentflow.records import SKILLS, Skill
from agentflow.sandbox.policy import Mount
from agentflow.words import counted

MAX_FILES = 500
"""Of one skill."""
MAX_BYTES = 16 << 20
"""Of all skills of a run together."""


def copy_skills(skills: Sequence[Skill], folder: Path) -> tuple[tuple[Mount, ...], tuple[str, ...]]:
    """Copy the skills that are not the repository's below `folder`, which must not exist.

    Returns what shows them to the agent at their paths, and what was left out, in words.
    """
    own = [skill for skill in skills if skill.source]
    if not own:
        return (), ()
    left, told = MAX_BYTES, list[str]()
    folder.mkdir()
    for skill in own:
        omitted = 0
        for source, target in _files(skill, folder):
            size = _copy(source, target, min(left, MAX_FILE)) if target else None
            left -= size or 0
            omitted += size is None
        if omitted:
            files = counted(omitted, "file")
            told.append(f"{files} of the skill {skill.name} not shown: secret, or too much")
    return (Mount(folder, SKILLS),), tuple(told)


def readable_skills(skills: Sequence[Skill]) -> tuple[Mount, ...]:
    """Show the same files where they are, for a sandbox without mounts."""
    return tuple(
        Mount(source, str(source))
        for skill in skills
        if skill.source
        for source, shown in _files(_at(skill), Path())
        if shown is not None and _is_regular(source)
    )


def _files(skill: Skill, folder: Path) -> Iterator[tuple[Path, Path | None]]:
    """Each file of a skill, with where its copy goes; None for one that is not to be shown."""
    source = skill.source
    if source is None:
        return
    target = folder / PurePosixPath(skill.path).relative_to(SKILLS).parts[0]
    if source.is_symlink() or not source.is_dir():
        yield source, target
        return
    tree = folder_tree(source)
    for number, path in enumerate(_first(PurePosixPath(skill.path).name, sorted(tree.paths))):
        hidden = number >= MAX_FILES or tree.secret(path)
        yield source / path, None if hidden else target / path


def _at(skill: Skill) -> Skill:
    """The skill as if it were shown below `SKILLS`."""
    return replace(skill, path=f"{SKILLS}/0/{PurePosixPath(skill.path).name}")


def _is_regular(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)


def _first(wanted: str, paths: Iterable[str]) -> list[str]:
    return sorted(paths, key=lambda path: path != wanted)


def _copy(source: Path, target: Path, limit: int) -> int | None:
    """Copy a regular file of at most `limit` bytes; return its size, or None if it is none."""
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > limit:
            return None
        data = file.read(limit + 1)
    if len(data) > limit:
        return None
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    target.chmod(0o755 if facts.st_mode & stat.S_IXUSR else 0o644)
    return len(data)
