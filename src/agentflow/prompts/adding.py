"""Adding prompts: files from elsewhere, copied unchanged, with where each came from.

Origins are recorded beside the copies and not in them, in `origins.json`: by the copy's path, the
source as it was given, the SHA-256 of the bytes, and the commit if git tracks the source there.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from agentflow.errors import UsageError
from agentflow.frontmatter import check_inside
from agentflow.frozen import record
from agentflow.records import Json, Prompt
from agentflow.strict_json import parse_object
from agentflow.workspace.repository import open_repository

ORIGINS = "origins.json"
ENDINGS = (".md", ".md.j2")
"""Of files that are found as prompts in every folder."""
MAX_FILES = 2_000
"""Files of one folder."""
MAX_BYTES = 1 << 20
"""Of one file."""

_NO_PROMPT = re.compile(r"(?:readme|changelog|contributing|license)(?:[._-].*)?", re.IGNORECASE)

State = Literal["added", "present", "skipped"]


@record
class Added:
    """What became of one file."""

    source: Path
    path: Path
    """Of the copy."""
    state: State
    problem: str = ""
    """Why it was skipped."""


@record
class _Copy:
    source: Path
    target: Path
    data: bytes


def _check_source(source: Path, *, single: bool) -> None:
    if not source.exists():
        raise UsageError(
            f"cannot read {source}: No such file or directory",
            hint="Name a prompt file, or a folder of prompt files.",
        )
    if single and not source.name.endswith(ENDINGS):
        raise UsageError(f"{source} does not end with .md, so it would not be found as a prompt")


def add_prompts(
    source: Path,
    folder: Path,
    root: Path,
    environment: Mapping[str, str],
    load: Callable[[Path], Prompt],
    suite: Callable[[Path], Sequence[Path]],
) -> list[Added]:
    """Copy a prompt, or all prompts of a folder with their subfolders, into a folder of a root.

    The files of a prompt's `suite` come with it. `load` reads a prompt; one of a folder that it
    refuses, or whose suite cannot be read, is skipped, a single one is an error.
    Raises `UsageError`, before anything is written, if a copy would replace another file or lie
    outside of the root.
    """
    single = not source.is_dir()
    _check_source(source, single=single)
    top = source.parent if single else source
    copies: list[_Copy] = []
    added: list[Added] = []
    for path in [source] if single else _files(source):
        try:
            data = {path: _read(path if single else check_inside(path, source))}
            load(path)
            data |= {case: _read(check_inside(case, top)) for case in suite(path)}
        except UsageError as error:
            if single:
                raise
            target = folder / path.relative_to(top)
            added.append(Added(path, target, "skipped", error.message))
            continue
        for each, held in data.items():
            target = check_inside(folder / each.relative_to(top), root)
            copies.append(_Copy(each, target, held))
    if not copies:
        raise UsageError(f"there is no prompt file in {source}")
    new = [copy for copy in copies if not _is_there(copy)]
    _record(new, folder / ORIGINS, root, environment)
    for copy in new:
        _write(copy.target, copy.data)
    states: dict[Path, State] = {copy.target: "added" for copy in new}
    added += [
        Added(each.source, each.target, states.get(each.target, "present")) for each in copies
    ]
    return sorted(added, key=lambda each: each.path)


def _files(folder: Path) -> list[Path]:
    """The Markdown files of a folder, without those that describe it."""
    listed = (path for ending in ENDINGS for path in folder.rglob(f"*{ending}"))
    found = sorted(path for path in listed if not _NO_PROMPT.fullmatch(path.name.partition(".")[0]))
    if len(found) > MAX_FILES:
        raise UsageError(f"{folder} holds more than {MAX_FILES} Markdown files")
    return found


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise UsageError(f"{path} is larger than {MAX_BYTES} bytes")
    return data


def _is_there(copy: _Copy) -> bool:
    """Whether the copy was made before. Raises `UsageError` if something else is there."""
    if not os.path.lexists(copy.target):
        return False
    if copy.target.is_file() and copy.target.read_bytes() == copy.data:
        return True
    raise UsageError(
        f"{copy.target} is there already and differs from {copy.source}",
        hint="Nothing was copied. Remove or rename one of them.",
    )


def _record(copies: list[_Copy], path: Path, root: Path, environment: Mapping[str, str]) -> None:
    """Write where the copies come from, before they are made: no copy is without its origin."""
    if not copies:
        return
    check_inside(path, root)
    known = _known(path)
    commit = _commit(copies[0].source, environment)
    for copy in copies:
        known[copy.target.relative_to(path.parent).as_posix()] = {
            "source": str(copy.source),
            "sha256": hashlib.sha256(copy.data).hexdigest(),
            **({"commit": commit} if commit else {}),
        }
    text = json.dumps(known, indent=2, sort_keys=True, ensure_ascii=True) + "\n"
    temporary = path.with_suffix(".new")
    _write(temporary, text.encode())
    temporary.replace(path)


def _known(path: Path) -> Json:
    if not os.path.lexists(path):
        return {}
    try:
        return parse_object(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"cannot read {path}: {error}", hint="Mend or remove it.") from error


def _commit(source: Path, environment: Mapping[str, str]) -> str:
    """The commit that is checked out where a file lies; empty if git does not track it."""
    try:
        repository = open_repository(source.resolve().parent, environment)
        inside = source.resolve().relative_to(repository.root.resolve()).as_posix()
        return repository.resolve("HEAD") if repository.tracks(inside) else ""
    except UsageError:
        return ""


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(data)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
