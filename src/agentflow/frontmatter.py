"""The YAML header of a Markdown file: find it, read it, keep the line numbers.

Every scalar is read as text (YAML's failsafe schema): an id like `1_000` or a country code like
`no` stays what its author wrote, and nothing in a file can build an object.
"""

import re
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node

from agentflow.errors import UsageError

MAX_HEADER = 64 * 1024
"""Characters. Larger than any header of 1,579 public agent files by a factor of ten."""
MAX_DEPTH = 50
"""Nested flow collections; PyYAML recurses once for each."""

_FENCE = re.compile(r"^---[ \t]*\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Header:
    """A Markdown file taken apart."""

    fields: dict[str, Any]
    """Text, lists and mappings of text; empty if the file has no header."""
    lines: dict[str, int]
    """The line of each top-level key, from 1."""
    body: str
    """Everything after the header, byte for byte."""
    present: bool
    """Whether there is a header at all."""


class _Loader(yaml.BaseLoader):
    """Text only; aliases are refused, because ten of them can name a billion values."""

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:  # pyright: ignore[reportImplicitOverride]
        if self.check_event(yaml.AliasEvent):
            mark: Any = self.peek_event().start_mark  # pyright: ignore[reportUnknownMemberType]
            raise yaml.MarkedYAMLError(
                problem="aliases (*name) are not accepted; quote a text that starts with `*`",
                problem_mark=mark,
            )
        return super().compose_node(parent, index)


def split_header(text: str) -> tuple[str | None, str]:
    """Return the raw header, without its fences, and the body. No header: None and the text."""
    opening = _FENCE.match(text)
    closing = _FENCE.search(text, opening.end() + 1) if opening else None
    if opening is None or closing is None:
        return None, text
    return text[opening.end() + 1 : closing.start()], text[closing.end() + 1 :]


def read_header(text: str, *, where: str) -> Header:
    """Read a file's header.

    Raises `UsageError` naming `where` and the line, for a header that is not a YAML mapping with
    distinct keys.
    """
    raw, body = split_header(text.removeprefix("\ufeff"))
    if raw is None:
        return Header({}, {}, body, present=False)
    if len(raw) > MAX_HEADER:
        raise UsageError(f"{where}: the header is longer than {MAX_HEADER} characters")
    if max(raw.count("["), raw.count("{")) > MAX_DEPTH:
        raise UsageError(f"{where}: the header nests more than {MAX_DEPTH} collections")
    loader = _Loader(raw)
    try:
        node = loader.get_single_node()
        if node is None:
            return Header({}, {}, body, present=True)
        lines = _key_lines(node, where)
        fields: dict[str, Any] = loader.construct_document(node)  # pyright: ignore[reportUnknownMemberType]
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 2 if error.problem_mark else 1
        raise UsageError(
            f"{where}:{line}: the header is not valid YAML: {error.problem}",
            hint="Quote values that hold `: ` or start with a special character.",
        ) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{where}: the header is not valid YAML: {error}") from error
    finally:
        loader.dispose()
    return Header(fields, lines, body, present=True)


def _key_lines(node: Node, where: str) -> dict[str, int]:
    if not isinstance(node, MappingNode):
        raise UsageError(f"{where}:2: the header must be `key: value` lines")
    lines: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 2
        name = str(key.value)
        if name in lines:
            raise UsageError(f"{where}:{line}: {name!r} stands twice in the header")
        lines[name] = line
    return lines
