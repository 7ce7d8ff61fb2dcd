"""Suites: found beside their prompts, and read without a doubt left about what they say."""

import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from agentflow.errors import UsageError
from agentflow.frontmatter import check_inside, read_limited
from agentflow.frozen import record
from agentflow.globs import check_glob, is_path
from agentflow.models.scripted.script import read_turn
from agentflow.nearest import nearest
from agentflow.prompt_tests.case import (
    Case,
    CommitExpectation,
    Expectation,
    Fields,
    FileExpectation,
    Flags,
    Words,
)
from agentflow.prompts.loader import find_prompt
from agentflow.prompts.reading import stem
from agentflow.prompts.search import builtin_folder, plain_name, search
from agentflow.settings import CONFIG, shared_table
from agentflow.strict_yaml import Document, Malformed, parse_yaml
from agentflow.tasks.task import FOLDER, check_id, read_task
from agentflow.wrong_values import in_words

MAX_CASE = 256 * 1024
"""Bytes of one file; the largest of our own has 4 KiB. Reading one so long takes 5 seconds."""
MAX_NAME = 255
"""Bytes of a file's name: NAME_MAX of Linux."""
MAX_CASES = 500
"""Files of one suite."""
DEFAULT_GATE = {"name": "check", "command": "true"}
"""The gate of a case whose configuration has none: it passes."""
_KEYS: dict[str, type[BaseModel]] = {
    "": Fields,
    "expect": Expectation,
    "flags": Flags,
    "files": FileExpectation,
    "commits": CommitExpectation,
}
_KINDS = {
    "missing": "it is missing",
    "string_type": "it must be text: quote a number or a truth value",
    "tuple_type": "it must be a list, or one text",
    "list_type": "it must be a list",
    "dict_type": "it must be `key: value` lines",
    "model_type": "it must be `key: value` lines",
}
"""What pydantic's types of errors are in the words of YAML."""
_HINT = "The form of a case: docs/prompts-test.md."


@record
class Suite:
    """A prompt and the cases beside it."""

    prompt: Path
    cases: tuple[Case, ...]

    @property
    def name(self) -> str:
        """The prompt's, as its file says it."""
        return stem(self.prompt)


def find_suites(wanted: Sequence[str], root: Path) -> list[Suite]:
    """The suites of prompts by name or path, or of single files of them; of all prompts here if
    none is named.

    Raises `UsageError` for a prompt without a suite, and for a broken one.
    """
    if wanted:
        return [_suite(*_named(each, root)) for each in wanted]
    found: dict[str, Path] = {}
    for each in search(root, ()):
        found.setdefault(plain_name(each.name), each.path)
    return [
        _suite(check_inside(path, root, builtin_folder()), files)
        for path in found.values()
        if (files := case_files(path))
    ]


def suite_folder(prompt: Path) -> Path:
    """Where the suite of a prompt file is: `agent.tests` for `agent.md`."""
    return prompt.with_name(f"{prompt.name.removesuffix('.md')}.tests")


def case_files(prompt: Path) -> list[Path]:
    """The files of the suite beside a prompt, in order; none if it has no suite."""
    return sorted(suite_folder(prompt).glob("*.yaml"))[:MAX_CASES]


def _named(name: str, root: Path) -> tuple[Path, list[Path]]:
    path = Path(name)
    if path.suffix == ".yaml" and path.parent.suffix == ".tests" and path.is_file():
        return path.parent.with_suffix(".md"), [path]
    if path.suffix == ".tests" and path.is_dir():
        prompt = path.with_suffix(".md")
    else:
        prompt = find_prompt(name, root, trusted=True)
    files = case_files(prompt)
    if not files:
        raise UsageError(
            f"the prompt {name} has no suite",
            hint=f"Write cases as {suite_folder(prompt)}/<case>.yaml. {_HINT}",
        )
    return prompt, files


def _suite(prompt: Path, files: Iterable[Path]) -> Suite:
    if not prompt.is_file():
        raise UsageError(f"there is no prompt {prompt} that this suite could be for")
    return Suite(
        prompt.absolute(), tuple(read_case(check_inside(each, prompt.parent)) for each in files)
    )


def read_case(path: Path) -> Case:
    """Read a case.

    Raises `UsageError` naming file, line and key.
    """
    document = _document(path)
    try:
        fields = Fields.model_validate(document.value)
    except ValidationError as error:
        raise _refused(path, document, error) from error

    def where(*place: str | int) -> str:
        return f"{path}:{document.line(place)}"

    check_id(fields.id, where=where("id"))
    _check_task(fields, where("task"), document.line(("task",)))
    _check_paths(fields, {name: where("files", name) for name in fields.files})
    turns = tuple(
        read_turn(each, f"{where('conversation', number)}, turn {number + 1}")
        for number, each in enumerate(fields.conversation)
    )
    return Case(
        name=path.stem,
        id=fields.id,
        task=fields.task,
        files=fields.files,
        config=_config(fields.config, where("config")),
        flags=fields.flags,
        turns=turns,
        expect=fields.expect,
    )


def _document(path: Path) -> Document:
    try:
        return parse_yaml(read_limited(path, MAX_CASE).decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start})") from error
    except Malformed as error:
        raise UsageError(f"{path}:{error.line}: not valid YAML: {error.problem}", _HINT) from error


def _refused(path: Path, document: Document, error: ValidationError) -> UsageError:
    """What is wrong with the first wrong key, and where."""
    first = error.errors(include_url=False)[0]
    place = tuple(first["loc"])
    told = _KINDS.get(first["type"], in_words(first))
    if first["type"] == "extra_forbidden":
        known = _known(place[:-1])
        told = f"unknown key{nearest(str(place[-1]), known)}"
        told += f" (known: {', '.join(known)})"
    if not place:
        told = f"a case must be `key: value` lines with {', '.join(_known(()))}"
    key = ".".join(map(str, place))
    line = document.line(place)
    return UsageError(f"{path}:{line}: {f'{key}: ' if key else ''}{told}", hint=_HINT)


def _known(place: Sequence[str | int]) -> list[str]:
    """The keys of the mapping at a place."""
    names = [str(each) for each in place]
    model: type[BaseModel] = Fields
    if names:
        model = _KEYS.get(names[1] if names[0] == "expect" and len(names) > 1 else names[0], Words)
    return list(model.model_fields)


def _check_task(fields: Fields, where: str, first: int) -> None:
    """Read the task as a run would; its own line numbers become the suite's."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"{fields.id}.md")
        file.write_text(fields.task, "utf-8")
        try:
            _, warnings = read_task(file)
        except UsageError as error:
            told = error.message
        else:
            if not warnings:
                return
            told = warnings[0]
    place, _, rest = told.removeprefix(str(file)).partition(": ")
    line = re.fullmatch(r":(\d+)", place)
    at = f"{where.rpartition(':')[0]}:{first + int(line[1])}" if line else where
    raise UsageError(f"{at}: task: {rest if line else told.replace(f'{folder}/', '')}", hint=_HINT)


def _check_paths(fields: Fields, places: dict[str, str]) -> None:
    """Refuse paths that are none of a repository, above all what git would execute."""
    written = (*fields.files, f"{FOLDER}/{fields.id}.md")
    parents = {str(each) for name in written for each in Path(name).parents}
    for name, where in places.items():
        try:
            plain = check_glob(name, where=where)
        except UsageError as error:
            raise UsageError(error.message.replace("the boundary", "the path", 1)) from error
        long = max(map(len, name.encode().split(b"/"))) > MAX_NAME
        if plain != name or not is_path(name) or long:
            raise UsageError(f"{where}: {name!r} must be one file's path, in its plain form")
        if name in parents:
            raise UsageError(f"{where}: {name!r} is a folder, too: another file lies in it")
        if name == CONFIG or name == f"{FOLDER}/{fields.id}.md":
            key = "config" if name == CONFIG else "task"
            raise UsageError(f"{where}: {name} is written for the case: give it as `{key}`")


def _config(table: dict[str, Any], where: str) -> str:
    """The configuration's text. Raises `UsageError` for what a repository may not configure."""
    import tomlkit

    whole = {"gates": [DEFAULT_GATE], **table}
    try:
        text = tomlkit.dumps(whole)
        shared_table(text, {})
    except (UsageError, ValueError, TypeError) as error:
        told = error.message if isinstance(error, UsageError) else str(error)
        raise UsageError(f"{where}: {told}") from error
    return text
