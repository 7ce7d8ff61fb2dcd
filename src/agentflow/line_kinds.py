"""What the lines of a journal are about, without what they say: a look that costs little memory."""

from collections.abc import Iterator
from pathlib import Path

from agentflow.journal import open_regular

PIECE = 1 << 20
"""Bytes that are read at once."""


def line_kinds(journal: Path, limit: int) -> Iterator[str]:
    """The types of a journal's lines, in order, of its first `limit` bytes; nothing for a file that
    cannot be read. A line that names no type has an empty one."""
    left, begins = limit, True
    try:
        with open_regular(journal) as file:
            while left > 0 and (piece := file.readline(min(left, PIECE))):
                if begins:
                    yield _kind(piece)
                begins = piece.endswith(b"\n")
                left -= len(piece)
    except OSError:
        return


def _kind(line: bytes) -> str:
    """The type of a line, which stands near its beginning."""
    _, _, rest = line[:400].partition(b'"type": "')
    return rest.partition(b'"')[0].decode("ascii", "replace")
