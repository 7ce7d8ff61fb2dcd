"""The prompts that can be named here, and what is wrong with those that cannot."""

from pathlib import Path

from agentflow.frozen import record
from agentflow.prompts.search import Found, search


@record
class Listed:
    """One prompt file of the repository or of agentflow's own."""

    name: str
    """What a task or a flag calls it."""
    path: Path
    builtin: bool
    shadowed: bool
    """Whether another file of the same name is taken in its place."""
    shadowed_by: Path | None
    """That file."""
    description: str = ""
    """The first paragraph of what its header says, on one line."""
    tools: tuple[str, ...] = ()
    problem: str = ""
    """Why it cannot be used; empty if it can."""


def list_prompts(root: Path, known_tools: tuple[str, ...]) -> list[Listed]:
    """All prompts that can be given by name: the repository's first, then the built-in ones."""
    return [_listed(each) for each in search(root, known_tools)]


def _listed(found: Found) -> Listed:
    reading = found.reading
    where = (found.path, found.builtin, found.shadowed_by is not None, found.shadowed_by)
    error = reading.error if reading else None
    if reading is None or error is not None:
        told = f"{found.path}:{error.line}: {error.message}" if error else ""
        problem = found.problem or told
        return Listed(found.name, *where, problem=problem)
    told = reading.header.fields.get("description")
    paragraph = told.strip().split("\n\n")[0] if isinstance(told, str) else ""
    description, tools = " ".join(paragraph.split()), reading.grant.tools
    return Listed(found.name, *where, description, tools)
