"""Where prompts are looked for, in which order, and what each is called."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from agentflow.errors import UsageError
from agentflow.frontmatter import check_inside, read_limited
from agentflow.frozen import record
from agentflow.prompts.reading import MAX_PROMPT, Reading, read_prompt, stem

FOLDER = ".orchestrator/prompts"

FOLDERS: dict[str, bool] = {
    FOLDER: False,
    ".claude/agents": True,
    ".claude/commands": False,
    ".agent/workflows": False,
    ".cursor/agents": True,
    ".github/agents": True,
    ".codex/agents": True,
}
"""The repository's folders, first wins; whether a file there is a prompt only with a header that
says what it is. Agents have one in all of these tools, commands and workflows need none."""

_SAYING = {"name", "agent", "description", "tools", "model"}
_OTHERS = {"CHANGELOG", "LICENSE", "CONTRIBUTING", "AGENTS", "CLAUDE"}
"""Files that are about a folder, as READMEs are. In small letters, a command may be called so."""
_CODEX = re.compile(r"(?:\A|/)\.codex/agents(?:/|\Z)")
_PLAIN = re.compile("[a-z0-9.-]+")
_MOST = 5_000
"""Files of one folder; none of 44 public repositories has a tenth."""


@record
class Found:
    """One prompt file on the way of the search."""

    name: str
    path: Path
    builtin: bool
    shadowed_by: Path | None
    """The file of the same name that is taken in its place."""
    reading: Reading | None = None
    problem: str = ""
    """Why it could not be read."""


def builtin_folder() -> Path:
    """Where the built-in prompts are: inside the wheel, or at the top of a source tree."""
    shipped = Path(__file__).parent / "builtin"
    return shipped if shipped.is_dir() else Path(__file__).parents[3] / "prompts"


def is_builtin(path: Path) -> bool:
    """Whether a prompt is one of agentflow's own."""
    return path.parent == builtin_folder()


def search_folder(path: Path, root: Path | None) -> str:
    """Which of `FOLDERS` a file is in; its own folder if none."""
    known = (folder for folder in FOLDERS if root and path.is_relative_to(root / folder))
    return next(known, str(path.parent))


def plain_name(name: str) -> str:
    """The name as names are compared."""
    return name.lower().replace("_", "-")


def search(root: Path, known_tools: Sequence[str], wanted: str = "") -> list[Found]:
    """All prompts that can be given by name, in the order in which they are taken.

    Files that cannot be called `wanted` are left out unread: a header takes a millisecond.
    """
    found: list[Found] = []
    taken: dict[str, Path] = {}
    for folder, needs_header in FOLDERS.items():
        for path in candidate_files(root / folder):
            if not _may_be_called(wanted, path, root):
                continue
            each = _found(path, root, known_tools, taken)
            if each.reading is None or not needs_header or says_what_it_is(each.reading):
                taken.setdefault(plain_name(each.name), path)
                found.append(each)
    ours = sorted(builtin_folder().glob("*.md"))
    possible = [path for path in ours if _may_be_called(wanted, path, root)]
    return [*found, *(_found(path, root, known_tools, taken) for path in possible)]


def _may_be_called(wanted: str, path: Path, root: Path) -> bool:
    """Whether a file's name or text holds a name. A backslash may spell it in many ways."""
    name = plain_name(wanted)
    if not _PLAIN.fullmatch(name) or plain_name(stem(path)) == name:
        return True
    try:
        data = read_limited(check_inside(path, root, builtin_folder()), MAX_PROMPT)
    except UsageError:
        return True
    return b"\\" in data or name.encode() in data.lower().replace(b"_", b"-")


def says_what_it_is(reading: Reading) -> bool:
    """Whether the file has a header with a key that a prompt has."""
    return not _SAYING.isdisjoint(reading.header.fields)


def candidate_files(folder: Path) -> Iterator[Path]:
    """Files that may be prompts at any depth, in the order of their paths; none behind a linked
    folder. They are Markdown, and TOML in Codex's folder."""
    paths: list[Path] = []
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.endswith(".tests")]
        ends = (".md", ".md.j2", ".toml") if _CODEX.search(where) else (".md", ".md.j2")
        paths += [Path(where, name) for name in names if _may_be_prompt(name, ends)]
        if len(paths) > _MOST:
            break
    yield from sorted(paths[:_MOST])


def _may_be_prompt(name: str, ends: tuple[str, ...]) -> bool:
    first = name.partition(".")[0]
    return name.endswith(ends) and first not in _OTHERS and first.lower() != "readme"


def _found(path: Path, root: Path, known_tools: Sequence[str], taken: Mapping[str, Path]) -> Found:
    builtin = is_builtin(path)
    name, reading, problem = stem(path), None, ""
    try:
        reading = read_prompt(check_inside(path, root, builtin_folder()), known_tools)
        name = reading.name
    except UsageError as error:
        problem = error.message
    return Found(name, path, builtin, taken.get(plain_name(name)), reading, problem)
