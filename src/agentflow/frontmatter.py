"""The YAML header of a Markdown file: find it, read it, keep the line numbers.

A header begins at the first line that is not blank, with `---`, and ends at the next `---` line.
Every scalar is read as text (YAML's failsafe schema): an id like `1_000` or a country code like
`no` stays what its author wrote, and nothing in a file can build an object.
"""

import re
from pathlib import Path
from typing import Any, cast

import yaml
from yaml.nodes import MappingNode, Node

from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.strict_yaml import explained

MAX_HEADER = 64 * 1024
"""Characters. Larger than any header of 1,579 public agent files by a factor of ten."""
_OPENING = re.compile(r"\s*^---[ \t]*\r?\n", re.MULTILINE)
_CLOSING = re.compile(r"^---[ \t]*\r?(?:\n|\Z)", re.MULTILINE)


@record
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
    """Text only, and no key twice; aliases are refused, because ten of them can name a billion
    values."""

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:  # pyright: ignore[reportImplicitOverride]
        if self.check_event(yaml.AliasEvent):
            event = cast(Any, self).peek_event()  # its stubs name two kinds of marks
            raise yaml.MarkedYAMLError(
                problem="aliases (*name) are not accepted; quote a text that starts with `*`",
                problem_mark=event.start_mark,
            )
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: Any) -> MappingNode:  # pyright: ignore[reportImplicitOverride]
        node: MappingNode = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark
                )
            seen.add(str(key.value))
        return node


def check_inside(path: Path, *roots: Path) -> Path:
    """Return the path if it leads into one of the folders.

    Raises `UsageError` otherwise: a repository's file or link must not name any file of the user's.
    """
    real = path.resolve()
    if any(real.is_relative_to(root.resolve()) for root in roots):
        return path
    raise UsageError(
        f"{path} leads to {real}, outside of the repository",
        hint="Only a flag may name a file outside.",
    )


def read_limited(path: Path, limit: int, hint: str = "") -> bytes:
    """Read a file of at most `limit` bytes. Raises `UsageError` naming the file; `hint` says where such
    a file is to be had."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint) from error
    if len(data) > limit:
        raise UsageError(f"{path} is larger than {limit} bytes")
    return data


def read_markdown(path: Path, *, limit: int) -> tuple[bytes, Header]:
    """Read a Markdown file of at most `limit` bytes; return its bytes and what they say.

    Raises `UsageError` naming the file, for one that cannot be read, is not UTF-8 text, or has a
    malformed header.
    """
    data = read_limited(path, limit)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start})") from error
    if "\0" in text:
        raise UsageError(f"{path} is not text (a NUL byte at {data.index(0)})")
    return data, read_header(text, where=str(path))


def split_header(text: str) -> tuple[str | None, str, int]:
    """Return the raw header without its fences, the body, and the header's first line, from 1.

    Without a closed header: None, the whole text, and 1.
    """
    opening = _OPENING.match(text)
    closing = _CLOSING.search(text, opening.end()) if opening else None
    if opening is None or closing is None:
        return None, text, 1
    line = text.count("\n", 0, opening.end()) + 1
    return text[opening.end() : closing.start()], text[closing.end() :], line


def read_header(text: str, *, where: str) -> Header:
    """Read a file's header.

    Raises `UsageError` naming `where` and the line, for a header that is not closed or is not a
    YAML mapping with distinct keys.
    """
    raw, body, first = split_header(text.removeprefix("\ufeff"))
    if raw is None:
        if re.match(r"[\s\ufeff\u200b]*---(?!-)", text):
            raise UsageError(
                f"{where}: the header that `---` begins is not closed",
                hint="Write `---` alone on a line, below the header.",
            )
        return Header({}, {}, body, present=False)
    if len(raw) > MAX_HEADER:
        raise UsageError(f"{where}: the header is longer than {MAX_HEADER} characters")
    fields, lines = _checked(raw, first, where, "the header")
    return Header(fields, lines, body, present=True)


def read_mapping(text: str, *, where: str) -> dict[str, Any]:
    """Read a YAML file of `key: value` lines, every scalar as text.

    Raises `UsageError` naming `where` and the line, for anything else.
    """
    return _checked(text, 1, where, "it")[0]


def _checked(raw: str, first: int, where: str, what: str) -> tuple[dict[str, Any], dict[str, int]]:
    try:
        return _parse(raw, first)
    except yaml.MarkedYAMLError as error:
        line, problem = explained(error)
        raise UsageError(
            f"{where}:{line + first}: {what} is not valid YAML: {problem}",
            hint="Quote values that hold `: ` or start with a special character.",
        ) from error
    except yaml.reader.ReaderError as error:
        line = raw.count("\n", 0, error.position) + first
        raise UsageError(
            f"{where}:{line}: {what} holds the character U+{int(error.character):04X}"
        ) from error
    except RecursionError as error:
        raise UsageError(f"{where}: {what} nests too deeply") from error


def _parse(raw: str, first: int) -> tuple[dict[str, Any], dict[str, int]]:
    loader = _Loader(raw)
    try:
        node = loader.get_single_node()
        if node is None:
            return {}, {}
        if not isinstance(node, MappingNode):
            raise yaml.MarkedYAMLError(
                problem="it must be `key: value` lines", problem_mark=node.start_mark
            )
        lines = {str(key.value): key.start_mark.line + first for key, _ in node.value}
        return loader.construct_document(node), lines  # pyright: ignore[reportUnknownMemberType]
    finally:
        loader.dispose()
