"""Loads every Markdown file of a folder as a prompt: `python tests/acceptance/prompts_load.py FOLDER`.

Prints how they were read and why some cannot be run. Exits with 1 if a file makes the loader crash,
if a prompt got a tool that an independent reading of the raw lines does not find granted, if a body
is not the file's own bytes, if rendering changes more of it than the placeholders that agentflow
documents, or if a fallback was not reported.
"""

import re
import sys
from collections import Counter
from pathlib import Path

from agentflow.errors import UsageError
from agentflow.prompts.first_message import Briefing
from agentflow.prompts.loader import load_prompt
from agentflow.prompts.reading import read_prompt
from agentflow.prompts.render import render
from agentflow.prompts.tool_names import ALIASES
from agentflow.records import Boundaries, Task
from agentflow.tools import DEFAULT_TOOLS

_FENCE = re.compile(r"[^\w#]{0,4}---\s*")
_KEY = re.compile(r"[\"']?(?:allowed[-_]?)?tools[\"']?\s*:(.*)", re.IGNORECASE)
_PLAN = re.compile(r"[\s\"']*permission[-_]?mode[\"']?\s*:\s*[\"']?plan\b", re.IGNORECASE)
_MENTION = re.compile(
    r"[\w\"'-]*(?<!disallowed)(?<!disallowed[-_])(?:tool|permission(?!mode))[\w\"'-]*\s*:",
    re.IGNORECASE,
)
_VARIABLES = ("CURRENT_PHASE", "IMPLEMENTATION_PLAN", "RELEVANT_LESSONS", "PARALLEL_AGENTS",
              "RECENT_CHANGES")  # fmt: skip
_PLACEHOLDERS = {
    "\ue000id\ue001": ("{TASK_ID}", "TASK-XXX"),
    "\ue000text\ue001": ("$TASK_DESCRIPTION",),
    "- `\ue000glob\ue001`": ("$FILE_BOUNDARIES",),
    **{f"\ue000{name}\ue001": (f"${name}",) for name in _VARIABLES},
}
"""What a value looks like that stands nowhere else, and what it may stand for."""
_VALUE = re.compile("(" + "|".join(map(re.escape, _PLACEHOLDERS)) + ")")


def changed(path: Path) -> bool:
    """Whether rendering changes anything of a prompt's text but the documented placeholders."""
    prompt = load_prompt(path, DEFAULT_TOOLS)
    task = Task("\ue000id\ue001", "title", "\ue000text\ue001")
    values = {name: f"\ue000{name}\ue001" for name in _VARIABLES}
    briefing = Briefing(task, Boundaries(allow=("\ue000glob\ue001",)), ())
    system = render(prompt, briefing, values).system
    rest = prompt.body
    for piece in _VALUE.split(system):
        known = _PLACEHOLDERS.get(piece, (piece,))
        written = next((each for each in known if rest.startswith(each)), None)
        if written is None:
            return True
        rest = rest[len(written) :]
    return rest != ""


def granted(text: str) -> set[str] | None:
    """The names after `tools:` in what looks like a header, line by line; None if all are.

    Knows nothing of YAML: a comment's or a quoted text's names count, which only errs to one side
    for a loader that grants what is not written at all.
    """
    header = _header(text)
    if header is None:
        return None
    for number, line in enumerate(header):
        found = _KEY.match(line)
        if found:
            value = found[1].split(" #")[0].strip()
            return None if value.strip("'\"") == "*" else _items(value, header[number + 1 :])
    return set() if any(_MENTION.match(line) for line in header) else None


def _header(text: str) -> list[str] | None:
    """The lines of what looks like a header; None if nothing does."""
    lines = re.split(r"\r\n|\r|\n", text)
    start = next((i for i, line in enumerate(lines) if line.strip("\ufeff\u200b \t")), 0)
    if not lines or not _FENCE.fullmatch(lines[start]):
        return None
    rest = lines[start + 1 :]
    return rest[: next((i for i, line in enumerate(rest) if line.strip() == "---"), len(rest))]


def denied(text: str) -> set[str]:
    """The names before any `(` after `disallowedTools:`, wherever that stands in the file, and the
    tools that change something for an agent that plans."""
    found = re.findall(r"^disallowed[-_]?tools\s*:(.*)$", text, re.IGNORECASE | re.MULTILINE)
    names = {name.partition("(")[0] for value in found for name in _items(value, [])}
    plans = any(_PLAN.match(line) for line in _header(text) or ())
    return names | ({"Write", "Edit", "Bash"} if plans else set())


def _items(value: str, following: list[str]) -> set[str]:
    """Names of a one-line list, or of the indented lines and dashes below."""
    parts = [value]
    for line in following:
        if line.strip() and not line.startswith((" ", "\t", "-", "]")):
            break
        parts.append(line)
    names = (part.strip(" \t\"'[]-") for part in re.split(r",(?![^()\n]*\))|\n", "\n".join(parts)))
    return {name for name in names if name}


def permitted(names: set[str]) -> set[str]:
    """The tools that these names may give at most."""
    found: set[str] = set()
    for name in names:
        found.update(DEFAULT_TOOLS if name == "*" else {name.partition("(")[0]})
        found.update(ALIASES.get(name.lower(), ()))
    return found


def examine(path: Path) -> list[tuple[str, str]]:
    """What became of one file: what was granted, how it was read, and what must never happen."""
    try:
        reading = read_prompt(path, DEFAULT_TOOLS)
    except UsageError as error:
        return [("refused", re.sub(r"\(.*|\d+", "", error.message.replace(str(path), ""))[:80])]
    except Exception as error:  # noqa: BLE001 - the point is to find any
        return [("crashed", f"{path}: {error!r}")]
    text = path.read_bytes().decode("utf-8-sig")
    names = granted(text)
    extra = set(reading.grant.tools) - permitted(names) if names is not None else set[str]()
    extra |= set(reading.grant.tools) & denied(text)
    results = [("read", reading.parse), ("profile", reading.detected.name)]
    results.append(("tools", "the default ones" if names is None else "at most those it lists"))
    if extra:
        told = f"{path}: {', '.join(sorted(extra))} not among {sorted(names or ())}"
        results.append(("widened", told))
    if any("(" in name for name in names or ()) and "Bash" in reading.grant.tools:
        bare = any(name in {"*", "Bash"} or name.lower() in ALIASES for name in names or ())
        results += [] if bare or reading.grant.scopes else [("widened", f"{path}: Bash")]
    if not reading.encoding and not text.endswith(reading.header.body):
        results.append(("changed", f"{path}: the body is not the end of the file"))
    if reading.error is None and changed(path):
        results.append(("changed", f"{path}: rendering changes more than placeholders"))
    if reading.parse in {"repaired", "scanned"} and not reading.problems:
        results.append(("silent", f"{path}: a fallback without a word"))
    results += [("error", each.code) for each in reading.problems if each.severity == "error"]
    return results


def main(folder: Path) -> int:
    """Examine a folder; return the exit code."""
    files = sorted(folder.rglob("*.md"))
    counts = Counter(result for path in files for result in examine(path))
    for (result, reason), count in sorted(counts.items()):
        sys.stdout.write(f"{count:6} {result:8} {reason}\n")
    sys.stdout.write(f"{len(files):6} files\n")
    bad = any(result in {"crashed", "widened", "changed", "silent"} for result, _ in counts)
    return 1 if bad or not counts else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
