"""Personas: another agent's file that a prompt orders its reader to become, from the base commit.

An order is a path to a `.md` file below a folder named `agents`, outside of fences, close to words
such as `impersonate` or `adopt`. The file's text without its header is attached after the
prompt's; its header gives nothing: the prompt's own tools hold. What a persona orders in turn is
not followed.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.neutral import one_line
from agentflow.prompts.base_tree import BaseTree
from agentflow.prompts.prose import unfenced_lines
from agentflow.prompts.reading import Reading, take_apart
from agentflow.prompts.references import MAX_TEXT, excerpt

Text = tuple[str, Path, int]
"""A body, its file's path, and how many lines of the file precede it."""

MAX_PERSONAS = 5
"""Files of one prompt. One role has one; a few are a choice."""
MAX_PATHS = 500
"""Paths of agents' files in one prompt that are looked at."""

_FOLDERS = {"agents", "subagents", "personas"}
_BEFORE, _AFTER = 160, 120
"""Characters around a path in which the words of an order are looked for."""
_MAX_LINE = 4_000
_PATH = re.compile(r"(?<![\w.~/@-])@?([\w.~/-]+\.md)\b")
_ORDER = (
    r"\b(?:impersonat(?:e|ing)|adopt(?:ing)?|embody|act\s+as"
    r"|(?:assume|take\s+on)\s+(?:the\s+|its\s+)?(?:role|identity|persona)"
    r"|(?:read|load|follow|use|apply|internali[sz]e)\b.{0,80}?\b(?:persona|agent\s+system\s+prompt))\b"
)
"""Compiled by the first text that names an agent's file."""
_NEGATION = re.compile(
    r"(?:\b(?:not|never|without|instead\s+of)|n['\u2019]t)\s+(?:\w+\s+){0,3}\Z", re.IGNORECASE
)
_APART = re.compile(r"\s*(?:[-*+]\s|\d+[.)]\s|#|\||>?\s*$)")
"""How a line begins that does not go on with the one above: an item, a heading, a row, nothing."""


@record
class Order:
    """A place where a prompt orders its reader to become another agent."""

    path: str
    """As written, relative to the root."""
    line: int
    """Of the prompt's body, from 1."""


@record
class Persona:
    """A file that a prompt orders its reader to adopt."""

    order: Order
    reading: Reading | None
    problem: str = ""
    """Why it is not read; empty if it is."""


def find_orders(body: str) -> tuple[Order, ...]:
    """The orders of a prompt's body, each path once, at its first line."""
    lines = [(number, line[:_MAX_LINE]) for number, line in unfenced_lines(body)]
    found: dict[str, Order] = {}
    looked = 0
    for index, (number, line) in enumerate(lines):
        for path, start, end in _agent_files(line):
            looked += 1
            above = lines[index - 1][1] if index and not _APART.match(line) else ""
            below = lines[index + 1][1] if index + 1 < len(lines) else ""
            below = "" if _APART.match(below) else below
            before = f"{above} {line[:start]}"[-_BEFORE:]
            if _ordered(before, f"{line[end:]} {below}"[:_AFTER]):
                found.setdefault(path, Order(path, number))
        if len(found) >= MAX_PERSONAS or looked >= MAX_PATHS:
            break
    return tuple(found.values())[:MAX_PERSONAS]


def _agent_files(line: str) -> Iterator[tuple[str, int, int]]:
    """The paths of agents' files in a line, with where each begins and ends."""
    if ".md" not in line:
        return
    for match in _PATH.finditer(line):
        path = re.sub(r"\A(?:\./|/)+", "", match[1])
        if _FOLDERS & {part.lower() for part in path.split("/")[:-1]}:
            yield path, match.start(), match.end()


def _ordered(before: str, after: str) -> bool:
    """Whether the words around a path, put as \ufffc, are an order."""
    text = f"{before}\ufffc{after}"
    return any(
        not _NEGATION.search(text[: found.start()])
        for found in re.finditer(_ORDER, text, re.IGNORECASE)
    )


def load_personas(
    prompt: Text, root: Path | None, tree: BaseTree, tools: Sequence[str]
) -> tuple[Persona, ...]:
    """The personas that a prompt orders, read from the base of the repository at `root`.

    `tools` are the prompt's. A file that names itself orders nothing.
    """
    body, path, _ = prompt
    own = None if root is None else root / path
    orders = (order for order in find_orders(body) if root is None or root / order.path != own)
    return tuple(_load(order, tree, tools) for order in orders)


def texts(prompt: Text, personas: Iterable[Persona]) -> tuple[Text, ...]:
    """The prompt's text and those of the personas that could be read."""
    read = (each.reading for each in personas if each.reading is not None)
    return (prompt, *((each.header.body, each.path, each.lines_above) for each in read))


def _load(order: Order, tree: BaseTree, tools: Sequence[str]) -> Persona:
    if tree.resolve(order.path) not in tree.paths:
        return Persona(order, None, "is not in the base")
    text = tree.text(order.path)
    if text is None:
        return Persona(order, None, "is not read: it may be secret, is too large, or no text")
    try:
        return Persona(order, take_apart(Path(order.path), text.encode(), tools))
    except UsageError as error:
        return Persona(order, None, f"is not read: {error.message}")


def attached_personas(personas: Iterable[Persona]) -> str:
    """The personas' texts, as a section that stands after the prompt's; empty without any."""
    read = [each.reading for each in personas if each.reading is not None]
    sections = (
        f"## `{each.path}`\n\n{excerpt(each.header.body, str(each.path), MAX_TEXT)}"
        for each in read
    )
    head = "# The agent named above whose persona you take on, as of the base commit\n"
    return "\n".join((head, *sections)) if read else ""


def persona_notices(
    personas: Iterable[Persona], prompt: Text, tools: Sequence[str]
) -> tuple[str, ...]:
    """What a user should know of them. `tools` are the prompt's."""
    _, where, above = prompt
    told = ((each.order.line + above, persona_told(each, tools)) for each in personas)
    return tuple(f"{where}:{line}: {said}" for line, said in told if said)


def persona_told(persona: Persona, tools: Sequence[str]) -> str:
    """What is to be said of a persona beside its text; empty if nothing is."""
    path = one_line(persona.order.path, 200)
    if persona.reading is None:
        return f"the persona {path} {persona.problem}"
    grant = persona.reading.grant
    if grant.declared is None or (set(tools) <= set(grant.tools) and not grant.scopes):
        return ""
    named = one_line(", ".join(grant.declared), 200) or "none"
    return f"the persona {path} names fewer tools ({named}); those of the prompt hold"
