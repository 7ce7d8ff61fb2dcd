"""References: `@path`, `@folder/` and `@glob` in a prompt, answered from the base commit.

What is a reference is decided by existence alone: `@Injectable()`, `@scope/package` and addresses
name no file and are ordinary text. `@` must stand at a line's start, after a blank, or after one
of `([*|>`, outside of code fences and code spans. A folder needs its trailing `/`, because package
scopes are named after folders; `@/x` and `@~/x` are aliases of other tools and never references.

The prompt's own text stays as it is, byte for byte; what it refers to is attached at the end, each
once, so that no content is ever searched for references or placeholders.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Literal

from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.globs import check_glob, matches
from agentflow.neutral import one_line
from agentflow.prompts.base_tree import BaseTree
from agentflow.prompts.prose import prose_lines

Kind = Literal["file", "folder", "glob", "secret", "missing"]

MAX_TEXT = 32 * 1024
"""Characters of one file that are attached; a note says where the rest is."""
MAX_ATTACHED = 128 * 1024
"""Characters of all files together."""
MAX_LISTED = 200
"""Paths of one listing."""
MAX_REFERENCES = 500
"""Different texts after `@` in one prompt that are looked up; the most in one of 1,024 public
agent files is 24."""
MAX_GLOBS = 30
"""Different texts with wildcards among them: each is compared with every path."""

_REFERENCE = re.compile(r"(?<![^\s(\[*|>])@([\w.*?\[{][^\s`\"'<>|,;\ufffc]*)")
_WILD = re.compile(r"[*?{]")
_CLOSERS = ".:!?)]}*_"
_MAX_CLOSERS = 8
_MAX_LENGTH = 512
_PATH_SHAPED = re.compile(
    r"[\w./-]*(?:/|\.(?:md|mdx|txt|rst|json|ya?ml|toml|prisma|sql|proto|graphql|ts|tsx|js|py))"
)
"""What was meant as a path, to say that it is missing; `@app.route` and `@types/node` were not."""


@record
class Reference:
    """One reference of a prompt."""

    written: str
    """As in the prompt, `@` included, closing punctuation not."""
    line: int
    """Of the prompt's body, from 1."""
    kind: Kind
    path: str
    """Relative to the root, as written: of the file or folder; or the glob."""


def find_references(body: str, tree: BaseTree) -> tuple[Reference, ...]:
    """The references of a prompt's body: answered ones, secret files, and paths that are missing.

    Each written form once, at its first line.
    """
    tokens: dict[str, int] = {}
    wild: dict[str, int] = {}
    for number, line in prose_lines(body):
        for token in _REFERENCE.findall(line):
            into, limit = (wild, MAX_GLOBS) if _WILD.search(token) else (tokens, MAX_REFERENCES)
            if len(into) < limit:
                into.setdefault(token, number)
    tokens = dict(sorted((tokens | wild).items(), key=lambda each: each[1]))
    found = (_reference(token, line, tree) for token, line in tokens.items())
    by_path: dict[str, Reference] = {}
    for reference in found:
        if reference is not None:
            by_path.setdefault(reference.path, reference)
    return tuple(by_path.values())


def _reference(token: str, line: int, tree: BaseTree) -> Reference | None:
    """What a token refers to, or None for ordinary text. A file comes before a folder, a folder
    before a glob, and the longer text before one without its closing punctuation."""
    candidates = list(_candidates(token))
    for decide in (_file, _folder, _glob):
        for candidate in candidates:
            kind = decide(candidate.removeprefix("./"), tree)
            if kind:
                return Reference(f"@{candidate}", line, kind, candidate.removeprefix("./"))
    meant = next((each for each in candidates if _PATH_SHAPED.fullmatch(each)), None)
    return Reference(f"@{meant}", line, "missing", meant) if meant else None


def _candidates(token: str) -> Iterator[str]:
    """The token, and what is left of it without closing punctuation, character by character."""
    if len(token) > _MAX_LENGTH or ".." in token.split("/"):
        return
    yield token
    for length in range(len(token) - 1, max(0, len(token) - _MAX_CLOSERS - 1), -1):
        if token[length] not in _CLOSERS:
            return
        yield token[:length]


def _file(path: str, tree: BaseTree) -> Kind | None:
    real = tree.resolve(path)
    if path.endswith("/") or real not in tree.paths or tree.size(real) is None:
        return None
    return "secret" if tree.secret(path) or tree.secret(real) else "file"


def _folder(path: str, tree: BaseTree) -> Kind | None:
    real = tree.resolve(path) if path.endswith("/") else None
    return "folder" if real and tree.below(real) else None


def _glob(path: str, tree: BaseTree) -> Kind | None:
    wild = _WILD.search(path) and re.search(r"\w", path)
    return "glob" if wild and _matching(path, tree) else None


def _matching(glob: str, tree: BaseTree) -> list[str]:
    try:
        normal = check_glob(glob, where="reference")
    except UsageError:
        return []
    return sorted(path for path in tree.paths if matches(normal, path))


def attached(references: Sequence[Reference], tree: BaseTree) -> str:
    """What a prompt refers to, as a section that stands after its text; empty without any."""
    left = MAX_ATTACHED
    sections: list[str] = []
    for reference in references:
        if reference.kind in {"missing", "secret"}:
            continue
        section = _section(reference, tree, min(left, MAX_TEXT))
        left = max(0, left - len(section))
        sections.append(section)
    if not sections:
        return ""
    return "\n".join(("# Files named above, as of the base commit\n", *sections))


def _section(reference: Reference, tree: BaseTree, limit: int) -> str:
    path = reference.path
    if reference.kind != "file":
        folder = tree.resolve(path) if reference.kind == "folder" else None
        listed = tree.below(folder) if folder else _matching(path, tree)
        return f"## `{path}`\n\n{_listing(listed, limit)}"
    return f"## `{path}`\n\n{excerpt(tree.text(path), path, limit)}"


def _listing(paths: Sequence[str], limit: int) -> str:
    """The paths that fit, one a line, and how many do not."""
    lengths = itertools.accumulate(len(path) + 1 for path in paths[:MAX_LISTED])
    shown = paths[: sum(length <= limit for length in lengths)]
    rest = len(paths) - len(shown)
    note = f"({rest} more are not listed: use Glob.)\n" if rest else ""
    return (fenced("\n".join(shown)) if shown else "") + (f"\n{note}" if shown and note else note)


def excerpt(text: str | None, path: str, limit: int) -> str:
    """A file's text in a fence, cut at a line's end after `limit` characters, with a note."""
    if text is None:
        return f"(It is too large, or no text: read what you need of `{path}`.)\n"
    if len(text) <= limit:
        return fenced(text)
    shown = text[:limit].rpartition("\n")[0]
    note = f"(Cut: {len(shown)} of {len(text)} characters. Read the rest in `{path}`.)\n"
    return (fenced(shown) if shown else "") + note


def fenced(text: str) -> str:
    """The text in a fence that nothing in it can close."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}{'' if text.endswith(chr(10)) else chr(10)}{fence}\n"


def reference_notices(references: Sequence[Reference], where: str, above: int) -> tuple[str, ...]:
    """What a user should know of references that are not answered. `above` is how many lines of
    the file precede its body."""
    reasons = {"missing": "is not in the base", "secret": "may be a secret file and is not read"}
    return tuple(
        f"{where}:{each.line + above}: {one_line(each.written)} {reasons[each.kind]}"
        for each in references
        if each.kind in reasons
    )
