"""Colours of code, as classes; what is coloured is bounded, since lexers are regular expressions."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup, escape

from agentflow.details.records import FileDiff
from agentflow.neutral import visible

MAX_LINES = 1_500
MAX_LINE = 500
"""Longer files, or lines, stay without colours."""
LANGUAGES = {
    "bash": "bash", "c": "c", "cc": "cpp", "cpp": "cpp", "cs": "csharp", "css": "css", "go": "go",
    "h": "c", "html": "html", "java": "java", "js": "javascript", "json": "json", "jsx": "jsx",
    "kt": "kotlin", "md": "markdown", "mjs": "javascript", "php": "php", "py": "python",
    "rb": "ruby", "rs": "rust", "sh": "bash", "sql": "sql", "toml": "toml", "ts": "typescript",
    "tsx": "tsx", "xml": "xml", "yaml": "yaml", "yml": "yaml",
}  # fmt: skip
"""Lexers by the end of a file's name; others are not tried."""
_KINDS = ((".Comment.", "co"), (".Keyword.", "ke"), (".String.", "st"), (".Number.", "nu"),
          (".Name.Function.", "fu"), (".Name.Class.", "fu"), (".Name.Tag.", "ke"))  # fmt: skip


def coloured(file: FileDiff) -> list[list[Markup]]:
    """The text of each line of each hunk, escaped, with spans for what a language's words are."""
    texts = [[visible(line.text) for line in hunk.lines] for hunk in file.hunks]
    plain = [[Markup(escape(text)) for text in hunk] for hunk in texts]  # noqa: S704  # escaped
    name = LANGUAGES.get(file.path.rpartition(".")[2].lower())
    if name is None or sum(map(len, texts)) > MAX_LINES:
        return plain
    return [
        _hunk(name, [line.sign for line in hunk.lines], text, fallback)
        for hunk, text, fallback in zip(file.hunks, texts, plain, strict=True)
    ]


def _hunk(
    language: str, signs: Sequence[str], texts: Sequence[str], plain: Sequence[Markup]
) -> list[Markup]:
    """Each side of a hunk is read as a whole, so that what spans lines is seen."""
    found = list(plain)
    for side in ("-", "+"):
        places = [n for n, sign in enumerate(signs) if sign in {" ", side}]
        short = [n for n in places if len(texts[n]) <= MAX_LINE]
        lines = _lexed(language, "\n".join(texts[n] if n in set(short) else "" for n in places))
        for place, line in zip(places, lines, strict=False):
            if len(texts[place]) <= MAX_LINE:
                found[place] = line
    return found


def _lexed(language: str, text: str) -> list[Markup]:
    from pygments import lexers

    lexer: Any = lexers.get_lexer_by_name(language, stripnl=False, ensurenl=False)  # pyright: ignore[reportUnknownMemberType]
    lines = [Markup()]
    for kind, value in lexer.get_tokens(text):
        name = next((css for part, css in _KINDS if part in f"{kind}."), "")
        for number, part in enumerate(value.split("\n")):
            if number:
                lines.append(Markup())
            if part:
                span = Markup('<span class="{}">{}</span>')
                lines[-1] += span.format(name, part) if name else escape(part)
    return lines
