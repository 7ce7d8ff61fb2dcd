"""YAML that somebody else wrote: plain data with line numbers, no alias, no key twice, no objects.

Scalars are read as YAML 1.2's core schema reads them: `no` and `2026-01-01` are text, only `true`
and `false` are truth values. https://yaml.org/spec/1.2.2/#103-core-schema
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, cast

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from agentflow.frozen import record

Place = tuple[str | int, ...]
"""The keys and positions that lead to a value, from the top."""

_CORE = "tag:yaml.org,2002:"
_RESOLVED: Mapping[str, tuple[str, str]] = {
    "bool": (r"true|false", "tf"),
    "null": (r"null|~|", "n~\0"),
    "int": (r"[-+]?(?:0|[1-9]\d{0,17})", "-+0123456789"),
    "float": (r"[-+]?(?:0|[1-9]\d{0,17})(?:\.\d{1,17})?(?:[eE][-+]?\d{1,2})?", "-+0123456789"),
}
"""Of a tag: the whole text of its plain scalars, and their first characters."""


@record
class Document:
    """What a file says, and where."""

    value: Any
    """Mappings with text as keys, lists, text, numbers, truth values, None."""
    lines: Mapping[Place, int]
    """The line of each value, from 1; of a value in a mapping, that of its key."""

    def line(self, place: Place) -> int:
        """The line of a value, or of the nearest one around it."""
        while place not in self.lines:
            place = place[:-1]
        return self.lines[place]


class Malformed(ValueError):
    """No such data: one line on what is wrong, and the line where."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


_UNCLOSED = {
    "while scanning a quoted scalar": "the quotation mark that begins here is not closed",
    "while parsing a flow sequence": "the list that `[` begins here is not closed with `]`",
    "while parsing a flow mapping": "what `{` begins here is not closed with `}`",
    "while scanning a simple key": "a line must be `key: value`, and this one has no `: `",
}
"""What is wrong where something that the library was reading began on an earlier line."""
_PLAIN = {"mapping values are not allowed here": "`: ` stands where no key can be"}
"""Problems of the library in other words."""


class _Loader(yaml.SafeLoader):
    """Refuses what makes a small text large (aliases) or ambiguous (a key twice)."""

    yaml_implicit_resolvers: ClassVar[Any] = {}

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:  # pyright: ignore[reportImplicitOverride]
        if self.check_event(yaml.AliasEvent):
            event = cast(Any, self).peek_event()  # its stubs name two kinds of marks
            raise Malformed(
                "aliases (*name) are not accepted; quote a text that starts with `*`",
                event.start_mark.line + 1,
            )
        return super().compose_node(parent, index)


for _tag, (_expression, _first) in _RESOLVED.items():
    _Loader.add_implicit_resolver(  # pyright: ignore[reportUnknownMemberType]
        _CORE + _tag, re.compile(rf"(?:{_expression})\Z"), ["" if c == "\0" else c for c in _first]
    )


def explained(error: yaml.MarkedYAMLError) -> tuple[int, str]:
    """The line that is wrong, from 0, and why. What is not closed is noticed lines below, often at
    the end: there it is the line where it begins."""
    begin, end = error.context_mark, error.problem_mark
    problem = " ".join(str(error.problem or error.context).split())
    told = _UNCLOSED.get(str(error.context)) if begin and end and begin.line < end.line else None
    if told and begin:
        return begin.line, told
    mark = end or begin
    return mark.line if mark else 0, _PLAIN.get(problem, problem)


def parse_yaml(text: str) -> Document:
    """Return the one document of a text. Raises `Malformed` for anything else."""
    loader: Any = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        lines: dict[Place, int] = {(): 1}
        return Document(None if node is None else _value(node, (), lines), lines)
    except yaml.MarkedYAMLError as error:
        line, problem = explained(error)
        raise Malformed(problem, line + 1) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Malformed(f"it holds the character U+{int(error.character):04X}", line) from error
    except RecursionError as error:
        raise Malformed("it nests too deeply", 1) from error
    finally:
        if loader is not None:
            loader.dispose()


def _value(node: Node, place: Place, lines: dict[Place, int]) -> Any:
    lines.setdefault(place, node.start_mark.line + 1)
    match node:
        case MappingNode():
            return _mapping(node, place, lines)
        case SequenceNode(tag="tag:yaml.org,2002:seq"):
            return [_value(each, (*place, number), lines) for number, each in enumerate(node.value)]
        case ScalarNode():
            return _scalar(node)
        case _:
            raise _tagged(node)


def _mapping(node: MappingNode, place: Place, lines: dict[Place, int]) -> dict[str, Any]:
    if node.tag != f"{_CORE}map":
        raise _tagged(node)
    found: dict[str, Any] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, ScalarNode):
            raise Malformed("a key must be text", line)
        name = str(key.value)
        if name in found:
            raise Malformed(f"the key {name!r} stands twice", line)
        lines[*place, name] = line
        found[name] = _value(value, (*place, name), lines)
    return found


def _scalar(node: ScalarNode) -> Any:
    text = str(node.value)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise Malformed("it holds half a character (a surrogate)", node.start_mark.line + 1)
    match node.tag.removeprefix(_CORE):
        case "str":
            return text
        case "bool" if text in {"true", "false"}:
            return text == "true"
        case "null":
            return None
        case "int" | "float" as kind if re.fullmatch(_RESOLVED[kind][0], text):
            return int(text) if kind == "int" else float(text)
        case _:
            raise _tagged(node)


def _tagged(node: Node) -> Malformed:
    return Malformed(f"{node.tag[:60]} is not accepted here", node.start_mark.line + 1)
