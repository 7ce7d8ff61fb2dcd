"""The prompts that can be named here, and what is wrong with those that cannot."""

from dataclasses import dataclass
from pathlib import Path

from agentflow.errors import UsageError
from agentflow.frontmatter import check_inside, read_markdown
from agentflow.prompts.loader import FOLDER, builtin_folder, load_prompt, plain_name
from agentflow.prompts.reading import MAX_PROMPT


@dataclass(frozen=True, slots=True)
class Listed:
    """One prompt file of the repository or of agentflow's own."""

    name: str
    """What a task or a flag calls it."""
    path: Path
    builtin: bool
    shadowed: bool
    """Whether another file of the same name is taken in its place."""
    description: str = ""
    """The first paragraph of what its header says, on one line."""
    tools: tuple[str, ...] = ()
    problem: str = ""
    """Why it cannot be used; empty if it can."""


def list_prompts(root: Path, known_tools: tuple[str, ...]) -> list[Listed]:
    """All prompts that can be given by name: the repository's first, then the built-in ones."""
    found: list[Listed] = []
    seen: set[str] = set()
    for folder in (root / FOLDER, builtin_folder()):
        for path in sorted(folder.glob("*.md")):
            shadowed = plain_name(path.stem) in seen
            seen.add(plain_name(path.stem))
            found.append(_listed(path, root, known_tools, shadowed=shadowed))
    return found


def _listed(path: Path, root: Path, known_tools: tuple[str, ...], *, shadowed: bool) -> Listed:
    builtin = path.parent == builtin_folder()
    try:
        check_inside(path, root, builtin_folder())
        prompt = load_prompt(path, known_tools)
        _, header = read_markdown(path, limit=MAX_PROMPT)
    except UsageError as error:
        return Listed(path.stem, path, builtin, shadowed, problem=error.message)
    told = header.fields.get("description")
    paragraph = told.strip().split("\n\n")[0] if isinstance(told, str) else ""
    return Listed(path.stem, path, builtin, shadowed, " ".join(paragraph.split()), prompt.tools)
