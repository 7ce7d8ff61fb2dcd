"""Grep: ripgrep where it is installed, else `git grep`, with the same answer from both."""

import functools
import os
import re
import sys
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

from agentflow.toolbox import processes
from agentflow.toolbox.globbing import expand_braces, matches
from agentflow.toolbox.session import Json, Refusal, Session

SECONDS = 20.0
OUTPUT_BYTES = 8 << 20
HEAD_LIMIT = 250
CHARACTERS = 30_000
LINE_CHARACTERS = 500

TYPES: dict[str, tuple[str, ...]] = {
    "c": ("*.c", "*.h"),
    "cpp": ("*.cpp", "*.cc", "*.cxx", "*.hpp", "*.hh", "*.hxx", "*.h", "*.inl"),
    "css": ("*.css", "*.scss"),
    "go": ("*.go",),
    "html": ("*.html", "*.htm", "*.ejs"),
    "java": ("*.java", "*.jsp", "*.properties"),
    "js": ("*.js", "*.jsx", "*.vue", "*.cjs", "*.mjs"),
    "json": ("*.json", "composer.lock"),
    "kotlin": ("*.kt", "*.kts"),
    "md": ("*.md", "*.markdown", "*.mdx"),
    "php": ("*.php", "*.phtml"),
    "py": ("*.py", "*.pyi"),
    "ruby": ("*.rb", "*.gemspec", "Gemfile", "Rakefile", "config.ru"),
    "rust": ("*.rs",),
    "sh": ("*.sh", "*.bash", "*.zsh", ".bashrc", ".profile", ".zshrc"),
    "sql": ("*.sql", "*.psql"),
    "swift": ("*.swift",),
    "toml": ("*.toml", "Cargo.lock"),
    "ts": ("*.ts", "*.tsx", "*.cts", "*.mts"),
    "txt": ("*.txt",),
    "xml": ("*.xml", "*.xsd", "*.xsl", "*.svg"),
    "yaml": ("*.yaml", "*.yml"),
}
"""File types by name, after ripgrep's. `git grep` knows none; both engines use this table."""

MODES = {"files_with_matches": "-l", "count": "-c", "content": "-n"}
RG_LINE = rb"(?s)([^\0]+)\0(\d+)([:-])(.*)"
GIT_LINE = rb"(?s)([^\0]+)\0(\d+)\0(\d+\0)?(.*)"
"""Asked for columns, git prints one for a match and none for a line of context."""

Entry = tuple[str, int, str, str]
"""Path, line number, `:` for a match or `-` for context, text."""


def grep(session: Session, arguments: Json) -> Json:
    """Search contents. Files come newest first, ties by path; lines and counts by path."""
    base = session.resolve(arguments.get("path") or ".")
    if not base.exists():
        raise Refusal(f"{session.shown(base)} does not exist.")
    output, cut, is_git, directory = _search(session, arguments, base)

    def place(raw: bytes) -> str:
        path = Path(os.path.normpath(directory / os.fsdecode(raw)))
        wanted = path == base or _is_wanted(str(path.relative_to(base)), arguments)
        return session.shown(path) if wanted else ""

    mode: str = arguments.get("output_mode") or "files_with_matches"
    if mode == "content":
        form = GIT_LINE if is_git else RG_LINE
        lines = _content(_entries(output, form, functools.cache(place)), arguments)
    elif mode == "count":
        lines = _counts(output, place)
    else:
        lines = _newest(session, output, place)
    return {**_page(lines, cut, arguments), "hint": _hint(lines, arguments["pattern"])}


def _page(lines: list[str], cut: bool, arguments: Json) -> Json:
    start, limit = int(arguments.get("offset") or 0), arguments.get("head_limit")
    limit = HEAD_LIMIT if limit is None else int(limit) or len(lines)
    page, used = list[str](), 0
    for line in lines[start : start + limit]:
        used += len(line) + 1
        if used > CHARACTERS:
            break
        page.append(line)
    truncated = cut or start + len(page) < len(lines)
    return {"lines": page, "total": len(lines), "truncated": truncated}


def _hint(lines: list[str], pattern: str) -> str:
    if lines or "\\|" not in pattern:
        return ""
    better = pattern.replace("\\|", "|")
    return f"Alternatives are separated by `|` without a backslash here: try `{better}`."


def _search(session: Session, arguments: Json, base: Path) -> tuple[bytes, bool, bool, Path]:
    """Return the output, whether it was cut, if git made it, and what its paths start from."""
    rg, git = _program("rg"), _program("git")
    spans_lines = bool(arguments.get("multiline"))
    if rg:
        directory = base if base.is_dir() else base.parent
        command = [rg, *_rg_arguments(arguments, base)]
    elif git:
        inside = base.is_relative_to(session.root)
        directory = session.root if inside else base if base.is_dir() else base.parent
        command = [git, *_git_arguments(arguments, base, directory)]
        if spans_lines:
            command = [*_multiline_command(arguments), *command]
    else:
        raise Refusal("Neither ripgrep nor git is installed here: use grep in Bash.")
    # The tree's own `.git` decides nothing: it may point to what does not exist here.
    environment = {**os.environ, "GIT_DIR": os.devnull, "LC_ALL": "C.UTF-8"}
    try:
        output, complaints, cut = processes.run(
            command, directory, environment, SECONDS, OUTPUT_BYTES
        )
    except TimeoutError:
        raise Refusal(f"Grep took longer than {SECONDS:.0f} s: narrow path or glob.") from None
    except ValueError:
        raise Refusal("The pattern or glob holds a NUL or a lone surrogate.") from None
    if complaints and not output:
        raise Refusal(_complaint(complaints))
    return output, cut, rg is None and not spans_lines, directory


def _program(name: str) -> str | None:
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = f"{directory}/{name}"
        if directory and os.access(path, os.X_OK):
            return path
    return None


def _shared_arguments(arguments: Json) -> list[str]:
    mode = arguments.get("output_mode") or "files_with_matches"
    if mode not in MODES:
        raise Refusal(f"output_mode is one of {', '.join(MODES)}.")
    options = [MODES[mode]]
    if arguments.get("-i"):
        options.append("-i")
    if mode == "content":
        before, after = _context(arguments)
        options += [f"-B{before}", f"-A{after}"]
    return options


def _context(arguments: Json) -> tuple[int, int]:
    """Return the lines before and after; the engines do not agree on what `-C` with `-A` means."""
    around = arguments.get("-C") or 0
    return int(arguments.get("-B") or around), int(arguments.get("-A") or around)


def _rg_arguments(arguments: Json, base: Path) -> list[str]:
    # Ignore rules are those of the .gitignore files alone, as with the other engine.
    options = "--no-config --color=never --no-heading --with-filename --no-messages --null --hidden"
    ignore = "--no-require-git --no-ignore-global --no-ignore-dot --no-ignore-exclude"
    found = ["--engine=auto", *options.split(), *ignore.split(), *_shared_arguments(arguments)]
    if arguments.get("multiline"):
        found += ["--multiline", "--multiline-dotall"]
    globs = _globs(arguments)
    found += [f"--glob={glob}" for glob in globs if glob.startswith("!")]
    # A positive --glob would override .gitignore; a type does not, but sees the last name only.
    names = [glob.rpartition("/")[2] for glob in globs if not glob.startswith("!")]
    if names and base.is_dir():
        found += [*(f"--type-add=asked:{name}" for name in names), "--type=asked"]
    target = "./" if base.is_dir() else f"./{base.name}"
    return [*found, "--glob=!.git", "-e", arguments["pattern"], "--", target]


def _git_arguments(arguments: Json, base: Path, directory: Path) -> list[str]:
    # -I skips binary files; -z separates names; --column tells a match from context.
    options = ["grep", "--no-index", "-I", "-z", "-P", "--no-color"]
    shared, pattern = _shared_arguments(arguments), arguments["pattern"]
    if arguments.get("multiline"):
        shared, pattern = ["-l"], ""  # the files that may be searched: every one with a line
    elif arguments.get("output_mode") == "content":
        shared.append("--column")
    options += shared
    below = "" if base == directory else str(base.relative_to(directory))
    pathspecs = [f":(top,literal){below}"] if below else []
    if base.is_dir():
        options.append("--exclude-standard")
        pathspecs = _pathspecs(_globs(arguments), below) or pathspecs
    return [*options, "-e", pattern, "--", *pathspecs]


def _multiline_command(arguments: Json) -> list[str]:
    """Return what searches the files that the command behind it lists. Git matches single lines."""
    context = map(str, _context(arguments))
    mode, flags = arguments.get("output_mode") or "", "i" if arguments.get("-i") else ""
    script = Path(__file__).with_name("multiline.py")
    python = [sys.executable, "-I", "-S", "-B", str(script)]
    return [*python, mode, flags, *context, arguments["pattern"]]


def _globs(arguments: Json) -> list[str]:
    """Return the globs for the engine: those asked for, else those of the type."""
    kind: str | None = arguments.get("type")
    if kind and kind not in TYPES:
        raise Refusal(f"The type {kind} is not known; use glob, or one of {', '.join(TYPES)}.")
    glob: str | None = arguments.get("glob")
    if not glob:
        return list(TYPES[kind]) if kind else []
    return [g + "**" if g.endswith("/") else g for g in expand_braces(glob)]


def _pathspecs(globs: list[str], below: str) -> list[str]:
    """Translate ripgrep's globs: without a slash they match at any depth."""
    prefix = re.sub(r"([*?\[\\])", r"\\\1", below) + "/" if below else ""
    found, excluded = list[str](), list[str]()
    for glob in globs:
        plain = glob.removeprefix("!")
        place = plain.lstrip("/") if "/" in plain else f"**/{plain}"
        if plain is glob:
            found.append(f":(glob){prefix}{place}")
        else:
            excluded.append(f":(exclude,glob){prefix}{place}")
    if excluded and not found:
        found = [f":(literal){below}"] if below else ["."]
    return found + excluded


def _complaint(complaints: str) -> str:
    """Return the engine's own sentence on a bad pattern or glob."""
    lines = [line.strip() for line in complaints.splitlines() if line.strip("~ ")]
    errors = [line for line in lines if line.startswith("error: ")]
    return f"Grep: {(errors or lines)[-1 if errors else 0].removeprefix('fatal: ')[:500]}"


def _is_wanted(path: str, arguments: Json) -> bool:
    """Check type and globs again: an engine looks at the last name only, or not at both."""
    name = path.rpartition("/")[2]
    kind: str | None = arguments.get("type")
    if kind and not any(fnmatchcase(name, glob) for glob in TYPES[kind]):
        return False
    globs = [glob for glob in _globs(arguments) if not glob.startswith("!")]
    return not globs or any(matches(path if "/" in glob else name, glob) for glob in globs)


def _newest(session: Session, output: bytes, place: Callable[[bytes], str]) -> list[str]:
    found = dict[str, float]()
    for path in filter(None, map(place, output.split(b"\0")[:-1])):
        try:
            found[path] = (session.root / path).stat().st_mtime
        except OSError:
            found[path] = 0.0
    return sorted(found, key=lambda path: (-found[path], path))


def _counts(output: bytes, place: Callable[[bytes], str]) -> list[str]:
    pairs = (line.split(b"\0") for line in output.splitlines() if line.count(b"\0") == 1)
    counts = {place(path): int(count) for path, count in pairs if count.isdigit()}
    return [f"{path}:{counts[path]}" for path in sorted(counts) if path]


def _entries(output: bytes, form: bytes, place: Callable[[bytes], str]) -> list[Entry]:
    entries = list[Entry]()
    for line in output.split(b"\n"):
        match = re.fullmatch(form, line)
        path = place(match[1]) if match else ""
        if not match or not path:
            continue  # a separator, a remark on a binary file, or not wanted
        sign = ":" if match[3] == b":" or (form is GIT_LINE and match[3]) else "-"
        text = match[4].rstrip(b"\r").decode("utf-8", "replace")
        entries.append((path, int(match[2]), sign, text))
    return sorted(entries)


def _content(entries: list[Entry], arguments: Json) -> list[str]:
    """Print the lines as grep does, with `--` between pieces where context was asked for."""
    separate = any(_context(arguments))
    number = arguments.get("-n") is not False
    lines, last = list[str](), ("", -1)
    for path, line, sign, text in entries:
        if separate and lines and last != (path, line - 1):
            lines.append("--")
        last = (path, line)
        place = f"{line}{sign}" if number else ""
        cut = text if len(text) <= LINE_CHARACTERS else f"{text[:LINE_CHARACTERS]}… [line cut]"
        lines.append(f"{path}{sign}{place}{cut}")
    return lines
