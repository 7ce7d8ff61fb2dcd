"""Commands that are told for copying: what is put into one is one word of it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import agentflow

COMMAND = re.compile(
    r"(?:(?:^|[\s(:`])(?:"
    r"git (?:-C|add|branch|commit|diff|fetch|log|merge|push|rm|show|submodule|switch|symbolic-ref)|"
    r"agentflow (?:answer|attest|bundle|cluster|config|handoff|land|phase-6|pr|prompts|report|resume|"
    r"run|runs|submit|tasks|trust|verify|wait)|rm|cd|mkdir"
    r") [^.,;:(]*|--(?:target|base|onto) )$"
)
"""The end of a command whose next word is put in."""
WORD = re.compile(r"word\(|[A-Z]+$|turn$|.*\[:12\]$")
"""What one is made of: quoted words, constants, numbers, names of commits."""
OTHERS = {
    "' '.join(map(word, (*missing, *names)))",
    "_merges('git', branches)",
    "named",
    "start.where",
}
"""Rests of commands, made of words where they are made."""
NOT_TOLD = {"init", "gates", "toolbox", "prompts", "sandbox"}
"""Packages whose commands nobody copies."""


def put_in(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """What f-strings put into commands, with its line."""
    for string in (node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)):
        said = ""
        for part in string.values:
            if isinstance(part, ast.FormattedValue):
                if COMMAND.search(said):
                    yield part.lineno, ast.unparse(part.value)
                said += "X"
            elif isinstance(part, ast.Constant):
                said += str(part.value)


def test_whatever_is_put_into_a_command_is_quoted() -> None:
    folder = Path(agentflow.__file__).parent
    files = [
        file for file in folder.rglob("*.py") if file.relative_to(folder).parts[0] not in NOT_TOLD
    ]
    found = {
        f"{file.relative_to(folder)}:{line}": said
        for file in files
        for line, said in put_in(ast.parse(file.read_text("utf-8")))
    }
    assert len(found) > 80
    assert {
        where: said for where, said in found.items() if not WORD.match(said) and said not in OTHERS
    } == {}
