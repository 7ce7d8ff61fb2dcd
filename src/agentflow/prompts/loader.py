"""Prompt files: find them by name or path and read them without ever widening their tools."""

from collections.abc import Sequence
from pathlib import Path

from agentflow.errors import UsageError
from agentflow.frontmatter import check_inside
from agentflow.nearest import nearest
from agentflow.prompts.reading import Reading, read_prompt, stem
from agentflow.prompts.search import FOLDERS, builtin_folder, is_builtin, plain_name, search
from agentflow.records import Prompt


def find_prompt(name: str, root: Path, *, trusted: bool = False) -> Path:
    """Return the file of a prompt given by name or by path.

    The repository's prompts come before the built-in ones; `_` and `-` are equal in names. A
    prompt's own name counts before the name of its file.
    A path that is not `trusted`, given by the user, is relative to the root and stays within.
    Raises `UsageError` naming the nearest prompt.
    """
    if "/" in name or name.endswith((".md", ".md.j2", ".toml")):
        file = Path(name) if trusted else check_inside(root / name, root)
        if file.is_file():
            return file
        raise UsageError(f"there is no prompt file {name}")
    found = search(root, (), name)
    wanted = plain_name(name)
    path = next((each.path for each in found if plain_name(each.name) == wanted), None)
    path = path or next(
        (each.path for each in found if plain_name(stem(each.path)) == wanted), None
    )
    if path is None:
        known = {plain_name(each.name): each.path for each in search(root, ())}
        raise UsageError(
            f"there is no prompt {name!r}{nearest(name, known)}",
            hint=f"Known prompts: {', '.join(sorted(known))}. Others are read from "
            + f"{', '.join(FOLDERS)}.",
        )
    return check_inside(path, root, builtin_folder())


def load_prompt(path: Path, known_tools: Sequence[str]) -> Prompt:
    """Read a prompt file that is to be run.

    A prompt that says nothing of tools gets all known ones. Raises `UsageError` for a file that
    cannot be read, or whose tools cannot be told for certain.
    """
    reading = read_prompt(path, known_tools)
    error = reading.error
    if error is not None:
        hint = ""
        if error.code in {"tools-none", "tools-unclear"}:
            hint = "List the tools that the prompt may use under `tools`, and nowhere else. "
            hint += f"Available tools: {', '.join(known_tools)}."
        raise UsageError(f"{path}:{error.line}: {error.message}", hint=hint)
    return as_prompt(reading)


def as_prompt(reading: Reading) -> Prompt:
    """The record of a file, whether it can be run or not."""
    path = reading.path
    return Prompt(
        name=reading.name,
        path=path,
        body=reading.header.body,
        tools=reading.grant.tools,
        model=reading.model,
        profile=reading.detected.profile,
        sha256=reading.sha256,
        builtin=is_builtin(path),
        warnings=tuple(f"{path}:{each.line}: {each.message}" for each in reading.problems),
        scopes=reading.grant.scopes,
        max_turns=reading.wishes.max_turns,
        effort=reading.wishes.effort,
        skills=reading.wishes.skills,
        initial_prompt=reading.wishes.initial_prompt,
        lines_above=reading.lines_above,
        profile_name=reading.detected.name,
        profile_sign=reading.detected.sign,
    )
