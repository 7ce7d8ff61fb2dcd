"""Bytes of a prompt file to text: UTF-8, and UTF-8 that was once read as something else."""

import unicodedata

from agentflow.frozen import record

_MISREADINGS = {"mac_roman": "Mac Roman", "cp1252": "Windows-1252"}
"""Encodings that editors on macOS and Windows assume, with their names."""
_ODD = {"Cn", "Co", "Cs", "Cc", "Mn"}
"""Unicode categories that are rare in prose: unassigned, private, surrogates, controls, marks."""
_USUAL = "\n\r\t\ufe0f"
"""Of these categories, and usual all the same; the last one follows symbols."""


@record
class Decoded:
    """The text of a file."""

    text: str
    repaired: str = ""
    """The encoding that the file's UTF-8 was mistaken for; empty if nothing was repaired."""

    @property
    def warning(self) -> str:
        """What was done, in a sentence; empty if nothing was."""
        if not self.repaired:
            return ""
        name = _MISREADINGS[self.repaired]
        return f"the file is UTF-8 that was read as {name} and saved again; it was read back"


def decode(data: bytes) -> Decoded:
    """Decode UTF-8 with or without a byte order mark, and undo one misreading.

    A misreading is undone only if the whole text goes back to exactly the same bytes, and only one
    encoding explains it. Raises `UnicodeDecodeError` for what is not UTF-8.
    """
    text = data.decode("utf-8-sig")
    if text.isascii():
        return Decoded(text)
    found = {name: clean for name in _MISREADINGS if (clean := _undone(text, name)) is not None}
    if len(found) > 1:
        found = {name: clean for name, clean in found.items() if _is_prose(clean)}
    if len(found) != 1:
        return Decoded(text)
    name, clean = found.popitem()
    return Decoded(clean.removeprefix("\ufeff"), name)


def _undone(text: str, encoding: str) -> str | None:
    try:
        clean = text.encode(encoding).decode("utf-8")
    except UnicodeError:
        return None
    return clean if clean.encode("utf-8").decode(encoding) == text else None


def _is_prose(text: str) -> bool:
    """Whether no character is odd, and none is a mark that another one should carry."""
    return all(
        character in _USUAL or unicodedata.category(character) not in _ODD for character in text
    )
