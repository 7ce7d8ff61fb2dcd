"""Text that a model or a repository wrote, made harmless where it is shown: the only such place.

For a terminal and a CI log (`neutral`, and `stopped_commands` around all that a run prints;
`annotation`), for Markdown (`code_span`, `code_block`), for XML (`xml_text`), for a line of JSON
(`json_line`). On an HTML page text is `visible`, and what prints it escapes it
(`pages/environment.py`).
"""

import json
import re
import unicodedata

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: titles, links, clipboard
    r"|\x1b[PX^_][^\x1b]*\x1b\\"  # DCS, SOS, PM, APC
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b[ -/]*[0-~]"
)
_COMMANDS = re.compile(r"^([^\S\n]*):(?=:)|#(?=#\w*\[)", re.MULTILINE)
"""Workflow commands: `::name::` at a line's start, `##[name]` and `##vso[name]` anywhere."""
_REPLACED = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Unicode categories: control, format (direction, zero width, tags), surrogate, private, and the
separators that some readers take for a line's end."""


class _Shown(dict[int, int]):
    """What each character becomes, found out once for each."""

    def __missing__(self, code: int) -> int:
        kept = code in (9, 10) or unicodedata.category(chr(code)) not in _REPLACED
        self[code] = code if kept else 0xFFFD
        return self[code]


_SHOWN = _Shown()


def visible(text: str) -> str:
    """Return the text without escape sequences, control and direction characters. Line ends and
    tabs stay."""
    return _ESCAPES.sub("", text).replace("\r\n", "\n").translate(_SHOWN)


def neutral(text: str) -> str:
    """The same without commands to a CI system: for a terminal and a log."""
    return _COMMANDS.sub(lambda found: f"{found[1] or ''}{found[0][-1]} ", visible(text))


def one_line(text: str, width: int = 100) -> str:
    """The neutral text on one line of at most `width` characters."""
    line = " ".join(neutral(text).split())
    return line if len(line) <= width else line[: width - 1] + "…"


def stopped_commands(token: str) -> tuple[str, str]:
    """The lines after which GitHub's runner obeys no command in a log, and obeys them again.

    `token` must be one that nobody who writes into the log can guess.
    """
    return f"::stop-commands::{token}", f"::{token}::"


def annotation(message: str, *, title: str, path: str = "", line: int = 0) -> str:
    """A command to GitHub's runner that shows an error, at a line of a file if one is named."""
    given = {"file": path, "line": str(line or 1) if path else "", "title": title}
    pairs = (
        f"{name}={_escaped(one_line(value, 500), ':,')}" for name, value in given.items() if value
    )
    return f"::error {','.join(pairs)}::{_escaped(neutral(message)[:4000])}"


def _escaped(text: str, more: str = "") -> str:
    """As `@actions/core` escapes the data of a command, and with `:,` its properties."""
    for character in f"%\r\n{more}":
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def code_span(text: str, width: int = 200) -> str:
    """The neutral text on one line of Markdown, where it is no markup, mention or link."""
    line = one_line(text, width) or " "
    fence = "`" * (_longest_run(line) + 1)
    return f"{fence} {line} {fence}"


def code_block(text: str) -> str:
    """The neutral text as a block of Markdown."""
    shown = neutral(text).rstrip()
    fence = "`" * max(3, _longest_run(shown) + 1)
    return f"{fence}text\n{shown}\n{fence}"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def xml_text(text: str) -> str:
    """The neutral text without the characters that no XML document can hold (XML 1.0, 2.2)."""
    return re.sub("[\ufffe\uffff]", "\ufffd", neutral(text))


def json_line(value: object) -> str:
    """A value as JSON on one line of ASCII, surrogates included. Raises `ValueError` for NaN."""
    return json.dumps(value, allow_nan=False)
