"""Skills: files with instructions that a prompt names and that the agent reads when it needs them.

A skill is `<name>/SKILL.md`, found by its folder's name or by the `name` in its header, or any
Markdown file, found by the `id` in its header; `_` and `-` are equal. The folder's name counts
first: then nothing else need be read. The first place that has a skill wins: the repository's
`FOLDERS` as of the base commit, then the user's own.
"""

import hashlib
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from agentflow.configuration import user_folder
from agentflow.frontmatter import MAX_HEADER
from agentflow.neutral import one_line
from agentflow.prompts.base_tree import BaseTree
from agentflow.prompts.dialects import read_dialect
from agentflow.prompts.search import plain_name
from agentflow.records import SKILLS, Prompt, Skill

FOLDERS = (".orchestrator/skills", ".claude/skills")
"""In the repository, searched at any depth."""
MAX_LISTED = 5_000
"""Files of one place that are looked at; as many again behind links."""
MAX_LINKS = 100
"""Links of one place that are followed."""
MAX_TRIED = 5
"""Folders of one name whose SKILL.md is tried, until one can be read."""
MAX_READ = 200
"""Files of one place whose headers are read, those called SKILL.md first."""

_FILE = "SKILL.md"
_ODD = re.compile(r"[^\w.+-]")
_SKIPPED = {".git", "node_modules", "__pycache__", ".venv"}


@dataclass(frozen=True)
class Place:
    """A folder of skills."""

    told: str
    """What people call it."""
    tree: BaseTree
    folder: str = ""
    """Within the tree; empty for all of it."""
    own: Path | None = None
    """The tree's root on this machine, if the skills are the user's own."""

    def find(self, name: str) -> Skill | None:
        """The skill of this name."""
        wanted = plain_name(name)
        read = (self._read(path) for path in self._folders.get(wanted, ())[:MAX_TRIED])
        found = next(filter(None, read), None)
        return found[0] if found else self._named.get(wanted)

    @cached_property
    def files(self) -> tuple[str, ...]:
        """The Markdown files, relative to the tree; SKILL.md ones first, the highest first."""
        listed = itertools.islice(self._below(), 2 * MAX_LISTED)
        found = {path for path in listed if path.endswith(".md") and _is_plain(path)}
        return tuple(sorted(found, key=lambda each: (not _is_skill(each), each.count("/"), each)))

    def _below(self) -> Iterator[str]:
        """Paths below the folder, through links that stay in the tree."""
        tree, folder = self.tree, self.folder
        inside = tree.resolve(folder) if folder else ""
        listed = tree.below(inside) if inside else [] if folder else sorted(tree.paths)
        listed = [f"{folder}{path[len(inside or '') :]}" for path in listed[:MAX_LISTED]]
        links = [path for path in listed if path in tree.links][:MAX_LINKS]
        yield from listed
        for link in links:
            target = tree.resolve(link)
            found = tree.below(target)[:MAX_LISTED] if target else []
            yield from (f"{link}{path[len(target or '') :]}" for path in found)

    @cached_property
    def _folders(self) -> Mapping[str, list[str]]:
        """The SKILL.md files by their folder's name."""
        found: dict[str, list[str]] = {}
        for path in filter(_is_skill, self.files):
            folder = PurePosixPath(path).parent.name
            if folder:
                found.setdefault(plain_name(folder), []).append(path)
        return found

    @cached_property
    def _named(self) -> Mapping[str, Skill]:
        """Skills by what their headers call them."""
        found: dict[str, Skill] = {}
        for path in self.files[:MAX_READ]:
            read = self._read(path)
            if read is None:
                continue
            skill, fields = read
            for name in (fields.get("id"), fields.get("name") if _is_skill(path) else None):
                if isinstance(name, str) and name.strip():
                    found.setdefault(plain_name(name.strip()), skill)
        return found

    def _read(self, path: str) -> tuple[Skill, Mapping[str, Any]] | None:
        """A file as a skill, with its header; None for what is not to be read."""
        text = self.tree.text(path)
        if text is None:
            return None
        fields = read_dialect(text[: 2 * MAX_HEADER]).header.fields
        here = PurePosixPath(path)
        folder = here.parent.name if _is_skill(path) else ""
        names = (fields.get("name"), fields.get("id"), folder, here.stem)
        named = (one_line(each, 64) for each in names if isinstance(each, str))
        told = fields.get("description", "")
        skill = Skill(
            name=next(filter(None, named), here.stem),
            description=one_line(told, 1024) if isinstance(told, str) else "",
            path=path,
            sha256=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
            source=self.own / (here.parent if folder else here) if self.own else None,
        )
        return skill, fields


def _is_skill(path: str) -> bool:
    return PurePosixPath(path).name == _FILE


def _is_plain(path: str) -> bool:
    """Whether a path can stand in a prompt between backticks."""
    return path.isprintable() and "`" not in path


def repository_places(tree: BaseTree) -> tuple[Place, ...]:
    """The places of a repository, as of a commit."""
    return tuple(Place(folder, tree, folder) for folder in FOLDERS)


def own_places(environment: Mapping[str, str]) -> tuple[Place, ...]:
    """The user's own places: `$XDG_CONFIG_HOME/agentflow/skills`, then `~/.claude/skills`."""
    home = Path(environment.get("HOME", "/"))
    folders = (user_folder(environment) / "skills", home / ".claude/skills")
    return tuple(Place(str(each), folder_tree(each), own=each) for each in folders)


def folder_tree(folder: Path) -> BaseTree:
    """The files below a folder of this machine, at most `MAX_LISTED`; no link is followed."""
    paths: set[str] = set()
    for where, folders, names in os.walk(folder):
        linked = [name for name in folders if Path(where, name).is_symlink()]
        folders[:] = sorted(set(folders) - _SKIPPED - set(linked))
        paths.update(Path(where, name).relative_to(folder).as_posix() for name in names)
        if len(paths) > MAX_LISTED:
            break
    return BaseTree(
        paths=frozenset(sorted(path for path in paths if _is_file(folder / path))[:MAX_LISTED]),
        size=lambda path: _size(folder / path),
        read=lambda path: _text(folder / path),
    )


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _size(path: Path) -> int | None:
    try:
        return path.lstat().st_size
    except OSError:
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return None


def find_skills(
    names: Iterable[str], places: Sequence[Place]
) -> tuple[tuple[Skill, ...], tuple[str, ...]]:
    """The skills of these names, each once, with `path` as their place has it; and the names that
    no place has. Names are compared and never part of a path, so none leads out of a place."""
    found: dict[tuple[str, str], Skill] = {}
    missing: list[str] = []
    for name in names:
        skill = next(filter(None, (place.find(name) for place in places)), None)
        if skill is None:
            missing.append(name)
        else:
            found.setdefault((str(skill.source or ""), skill.path), skill)
    return tuple(found.values()), tuple(missing)


def missing_skills(missing: Sequence[str], places: Sequence[Place]) -> str:
    """What a user should know of skills that were not found; empty if all were."""
    if not missing:
        return ""
    names = ", ".join(one_line(name, 64) for name in missing)
    return f"no skill is called {names} (looked in {', '.join(each.told for each in places)})"


def shown_to_agent(skills: Iterable[Skill], *, mounted: bool) -> tuple[Skill, ...]:
    """The skills with the paths that the agent reads: the user's own are shown below `SKILLS`, or,
    without a sandbox, are read where they are."""
    shown: list[Skill] = []
    for number, skill in enumerate(skills, 1):
        source = skill.source
        if source is None:
            shown.append(skill)
            continue
        folder = PurePosixPath(skill.path).name == _FILE and source.name != _FILE
        here = source / _FILE if folder else source
        place = f"{SKILLS}/{number}-{_ODD.sub('-', source.name)[:64]}"
        inside = f"{place}/{_FILE}" if folder else place
        shown.append(replace(skill, path=inside if mounted else str(here)))
    return tuple(shown)


def skills_section(skills: Sequence[Skill]) -> str:
    """What the agent is told of its skills, as a section after the prompt's text."""
    if not skills:
        return ""
    lines = [f"- {each.name} (`{each.path}`): {each.description}".rstrip(": ") for each in skills]
    told = "# Skills\n\nRead a skill's file before you do what it is about.\n"
    return "\n".join((told, *lines)) + "\n"


def skill_notices(prompt: Prompt, missing: str) -> tuple[str, ...]:
    """What a user should know of a prompt's skills."""
    unread = prompt.skills and not {"Read", "Bash"}.intersection(prompt.tools)
    told = "it has neither Read nor Bash, so it cannot read its skills" if unread else ""
    return tuple(f"{prompt.name}: {each}" for each in (missing, told) if each)
