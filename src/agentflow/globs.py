"""Globs: the language in which paths of a repository are named.

Globs are relative to the repository's root, with `/` between names: `*` and `?` stay within one
name, `**` stands for any number of names, `{a,b}` alternates within a name. Brackets are ordinary
characters, as in `app/[id]/page.tsx`. A glob whose last name has no wildcard covers a file of that
name or everything in the directory of that name; a trailing `/` leaves only the directory, which
is created if it is absent.
"""

import itertools
import math
import re
import unicodedata
from collections.abc import Sequence
from functools import cache

from agentflow.errors import UsageError

_WILDCARDS = re.compile(r"[*?{]")
_BRACES = re.compile(r"\{([^{}/]*)\}")
_MAX_LENGTH = 4096
_MAX_ALTERNATIVES = 64


def check_glob(glob: str, *, where: str) -> str:
    """Return the glob in normal form: no `.` names, no doubled `/`.

    Raises `UsageError`, which names `where` it stands, for a glob that is empty, absolute, a
    negation, ambiguous, leaves the repository or reaches into `.git`.
    """
    text = glob.strip()
    names = [name for name in text.split("/") if name not in {"", "."}]
    normal = "/".join(names) + ("/" if text.endswith(("/", "/.")) else "")
    problem = _malformed(text) or _leaving(text) or _malformed(normal) or _leaving(normal)
    if problem:
        raise UsageError(f"{where}: the boundary {glob[:200]!r} {problem}")
    return normal


def as_written(glob: str) -> str:
    """The glob as people write it: braces around one name are ours, and say that nobody named the file
    in `allow` (`prompts.file_boundaries`)."""
    return _BRACES.sub(lambda found: found[0] if "," in found[1] else found[1], glob)


def is_path(glob: str) -> bool:
    """Whether a checked glob names one file, without wildcards or a trailing `/`."""
    return not _WILDCARDS.search(glob) and not glob.endswith("/")


def _malformed(text: str) -> str | None:
    """Why the text cannot be read as one glob."""
    count = math.prod(braces.count(",") + 1 for braces in _BRACES.findall(text))
    problems = {
        "is longer than a path can be": len(text) > _MAX_LENGTH,
        "is a negation; write it under `deny`, without `!`": text.startswith("!"),
        "holds control, direction or undecodable characters": unprintable(text) is not None,
        "holds a name that begins or ends with a blank": any(
            name != name.strip() for name in text.split("/")
        ),
        "holds braces that do not match, nest, or hold a `/`": re.search(
            r"[{}]", _BRACES.sub("", text)
        ),
        "stands for too many alternatives": count > _MAX_ALTERNATIVES,
        "holds `**` beside other characters; `**` must be a whole name": any(
            "**" in name and name != "**" for name in text.split("/")
        ),
    }
    return next((problem for problem, found in problems.items() if found), None)


def _leaving(text: str) -> str | None:
    """Why one of the alternatives does not stay in the repository's tree."""
    for alternative in alternatives(text):
        names = alternative.split("/")
        problems = {
            "leaves the repository": ".." in names,
            "is empty": {"", "."}.issuperset(names),
            "must be relative to the repository, with `/` between names": alternative.startswith((
                "/",
                "~",
            ))
            or "\\" in alternative,
            "reaches into .git": any(name.lower() == ".git" for name in names),
            "puts `*` beside braces that hold one": alternative.count("**") != text.count("**"),
        }
        problem = next((problem for problem, found in problems.items() if found), None)
        if problem:
            return problem
    return None


def alternatives(glob: str) -> tuple[str, ...]:
    """The globs without braces that a glob stands for."""
    parts = _BRACES.split(glob)
    choices = [part.split(",") if i % 2 else [part] for i, part in enumerate(parts)]
    return tuple(map("".join, itertools.product(*choices)))


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    """The regular expression of a normal glob; it matches a file's whole path."""
    return re.compile(rf"(?:{'|'.join(map(_translate, alternatives(glob)))})\Z", re.DOTALL)


def _translate(glob: str) -> str:
    """One alternative as an expression.

    The shortest match of what stands between two wildcards is as good as any other, so it is
    atomic: a glob of many wildcards would otherwise take exponential time on a chosen path.
    """
    first, *others = [
        [_name(name) for name in run] for run in _split(glob.rstrip("/").split("/"), "**")
    ]
    if glob.endswith("/"):
        end = "/.+"
    else:
        end = "" if _WILDCARDS.search(glob.rsplit("/", 1)[-1]) else "(?:/.+)?"
    if not others:
        return "/".join(first) + end
    *middle, last = others
    return "".join((
        *(f"{name}/" for name in first),
        *(f"(?>(?:[^/]+/)*?{'/'.join(run)}/)" for run in middle if run),
        f"(?:[^/]+/)*{'/'.join(last)}{end}" if last else f".+{end}",
    ))


def _split(names: Sequence[str], separator: str) -> list[list[str]]:
    runs: list[list[str]] = [[]]
    for name in names:
        if name == separator:
            runs.append([])
        else:
            runs[-1].append(name)
    return runs


def _name(name: str) -> str:
    """One name of a glob as an expression."""
    first, *others = (re.escape(chunk).replace(r"\?", "[^/]") for chunk in re.split(r"\*+", name))
    if not others:
        return first
    *middle, last = others
    return first + "".join(f"(?>[^/]*?{chunk})" for chunk in middle) + f"[^/]*{last}"


def matches(glob: str, path: str) -> bool:
    """Whether the glob covers the file at this path."""
    return _pattern(glob).match(path) is not None


def literal_prefix(glob: str) -> str:
    """The leading names without wildcards: `src` for `src/**`, `a/b` for `a/b/*.py`."""
    names: list[str] = []
    for name in glob.rstrip("/").split("/"):
        if _WILDCARDS.search(name):
            break
        names.append(name)
    return "/".join(names)


def unprintable(path: str) -> str | None:
    """Why the path's own characters are refused: control, format (bidi), line-ending and
    undecodable ones."""
    if any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in path):
        return "its name holds control, direction or undecodable characters"
    return None
