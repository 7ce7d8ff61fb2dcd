"""What `agentflow prompts lint` says of prompt files: how each is read, and what is wrong."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.prompts.base_tree import BaseTree
from agentflow.prompts.commit_signs import disagreement, disagreement_told
from agentflow.prompts.detection import PLACEHOLDERS
from agentflow.prompts.dialects import Problem
from agentflow.prompts.persona import load_personas, persona_told, texts
from agentflow.prompts.profile import VARIABLES
from agentflow.prompts.reading import Reading, read_prompt, stem
from agentflow.prompts.references import Reference, find_references
from agentflow.prompts.search import candidate_files, is_builtin, plain_name, search, search_folder
from agentflow.prompts.skills import Place, find_skills, missing_skills
from agentflow.prompts.templates import ENDING
from agentflow.records import Json


@record
class Surroundings:
    """What prompts are judged against."""

    known_tools: Sequence[str]
    resolve_model: Callable[[str], str]
    """Raises `UsageError` for a model that nobody knows."""
    tree: BaseTree | None = None
    """The files of the repository; None outside of one: no reference is then looked up."""
    skills: Sequence[Place] = ()
    """Where skills are looked for; empty: they are not looked up."""
    root: Path | None = None
    """The repository's folder."""
    templates: bool = False
    """Whether the user lets templates be rendered."""
    whole: bool = False
    """Whether the files are all prompts of the repository, in the order of the search: then the
    first of a name shadows the others, wherever they are."""


Taken = dict[tuple[Path | None, str], Path]
"""The first file of each plain name, in each folder or, where None stands, anywhere."""


def prompt_files(paths: Sequence[Path], root: Path | None) -> list[Path]:
    """The files to look at: those given, those in the folders given, else the repository's prompts.

    Raises `UsageError` for a path that is not there.
    """
    if not paths:
        return [each.path for each in search(root, ())] if root else []
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UsageError(
                f"there is no file or folder {path}",
                hint="Give one that is there, or none to check all: agentflow prompts lint",
            )
        found += candidate_files(path) if path.is_dir() else [path]
    return list(dict.fromkeys(found))


def lint(files: Iterable[Path], around: Surroundings) -> Json:
    """Examine prompt files; the result's form is documented under `agentflow prompts lint`.

    `ok` is whether a file can be run: warnings do not change it.
    """
    taken: Taken = {}
    results = [_examined(path, around, taken) for path in files]
    severities = Counter(each["severity"] for result in results for each in result["problems"])
    summary = {
        "files": len(results),
        "ok": sum(result["ok"] for result in results),
        "errors": severities["error"],
        "warnings": severities["warning"],
        "parse": dict(sorted(Counter(result["parse"] for result in results).items())),
        "profiles": dict(sorted(Counter(result["profile"] for result in results).items())),
        "default_tools": sum(each["ok"] and each["tools"] is None for each in results),
    }
    return {"files": results, "summary": summary}


def _examined(path: Path, around: Surroundings, taken: Taken) -> Json:
    try:
        reading = read_prompt(path, around.known_tools)
    except UsageError as error:
        problem = Problem(1, "error", "unreadable", error.message)
        return _entry(path, stem(path), [problem, *_name_problems(path, stem(path), around, taken)])
    problems = [*reading.problems, *_model_problems(reading, around)]
    if path.name.endswith(ENDING) and not (around.templates or is_builtin(path)):
        told = "it is a template, which is rendered only where your own configuration says so"
        problems.append(Problem(1, "warning", "template", f"{told} (`templates = true`)"))
    problems += _name_problems(path, reading.name, around, taken)
    references = _references(reading, around, problems)
    skills = _skills(reading, around, problems)
    personas = _personas(reading, around, problems)
    return _entry(path, reading.name, problems) | {
        "parse": reading.parse,
        "encoding": reading.encoding or "utf-8",
        "tools": None if reading.grant.declared is None else list(reading.grant.declared),
        "granted": list(reading.grant.tools),
        "scopes": list(reading.grant.scopes),
        "model": reading.model,
        "profile": reading.detected.name,
        "sign": reading.detected.sign,
        "variables": [name for name in (*PLACEHOLDERS, *VARIABLES) if name in reading.header.body],
        "references": references,
        "skills": skills,
        "personas": personas,
    }


def _entry(path: Path, name: str, problems: Sequence[Problem]) -> Json:
    """One file of the result, as it is for a file that cannot be read."""
    return {
        "path": str(path),
        "name": name,
        "ok": all(each.severity != "error" for each in problems),
        "parse": "none",
        "encoding": None,
        "tools": None,
        "granted": [],
        "scopes": [],
        "model": None,
        "profile": "default",
        "sign": "",
        "variables": [],
        "references": [],
        "skills": [],
        "personas": [],
        "problems": [
            {
                "line": each.line,
                "severity": each.severity,
                "code": each.code,
                "message": each.message,
            }
            for each in problems
        ],
    }


def _name_problems(path: Path, name: str, around: Surroundings, taken: Taken) -> list[Problem]:
    """A name that another file has; one of agentflow's own prompts is there to be replaced."""
    place = None if around.whole else path.parent
    first = taken.setdefault((place, plain_name(name)), path)
    if first is path or is_builtin(path):
        return []
    if search_folder(first, around.root) == search_folder(path, around.root):
        told = f"the name {name!r} is taken by {_below(first, path.parent, around.root)}"
        return [Problem(1, "warning", "name-taken", told)]
    told = f"the name {name!r} leads to {_below(first, path.parent, around.root)}, not to this file"
    return [Problem(1, "warning", "shadowed", told)]


def _below(path: Path, folder: Path, root: Path | None) -> str:
    """A path as short as it can be said beside another one."""
    if path.parent == folder or root is None or not path.is_relative_to(root):
        return path.name
    return str(path.relative_to(root))


def _model_problems(reading: Reading, around: Surroundings) -> list[Problem]:
    if reading.model is None:
        return []
    try:
        around.resolve_model(reading.model)
    except UsageError as error:
        line = reading.header.lines.get("model", 1)
        return [Problem(line, "error", "model-unknown", error.message)]
    return []


def _references(reading: Reading, around: Surroundings, problems: list[Problem]) -> list[str]:
    """The references that are answered; those that are not become problems."""
    if around.tree is None:
        return []
    found = find_references(reading.header.body, around.tree)
    above = reading.lines_above
    problems += [_reference_problem(each, above) for each in found if each.kind in _UNANSWERED]
    return [each.written for each in found if each.kind not in _UNANSWERED]


def _skills(reading: Reading, around: Surroundings, problems: list[Problem]) -> list[str]:
    """The names of the skills that were found; those that were not become a problem."""
    if not around.skills:
        return []
    found, missing = find_skills(reading.wishes.skills, around.skills)
    if missing:
        told = missing_skills(missing, around.skills)
        problems.append(Problem(reading.header.lines["skills"], "warning", "skill-missing", told))
    return [each.name for each in found]


def _personas(reading: Reading, around: Surroundings, problems: list[Problem]) -> list[str]:
    """The personas that are read. Others become problems, and so does what is said of commits."""
    own = (reading.header.body, reading.path, reading.lines_above)
    personas = (
        load_personas(own, around.root, around.tree, around.known_tools) if around.tree else ()
    )
    for each in personas:
        if each.reading is None:
            told = persona_told(each, around.known_tools)
            line = each.order.line + reading.lines_above
            problems.append(Problem(line, "warning", "persona-missing", told))
    commits = reading.detected.profile.commits
    said = () if is_builtin(reading.path) else disagreement(texts(own, personas), commits)
    if said:
        told = disagreement_told(said, commits)
        ordered = [each.order.line + reading.lines_above for each in personas]
        own_lines = [each.line for each in said if each.where == reading.path]
        line = (*own_lines, *ordered)[0]
        problems.append(Problem(line, "warning", "commits-unclear", told))
    return [each.order.path for each in personas if each.reading]


_UNANSWERED = {"missing": "is not in the repository", "secret": "may be secret and is not read"}


def _reference_problem(reference: Reference, above: int) -> Problem:
    told = f"{reference.written} {_UNANSWERED[reference.kind]}"
    return Problem(reference.line + above, "warning", f"reference-{reference.kind}", told)
