"""Loads every Markdown file of a folder as a prompt: `python tests/acceptance/prompts_load.py FOLDER`.

Prints how many load and why others do not. Exits with 1 if a file makes the loader crash, or if a
prompt got a tool that an independent reading of the raw lines does not find granted.
"""

import re
import sys
from collections import Counter
from pathlib import Path

from agentflow.errors import UsageError
from agentflow.prompts.loader import load_prompt
from agentflow.prompts.render import render
from agentflow.records import Boundaries, Task
from agentflow.tools import DEFAULT_TOOLS

_FENCE = re.compile(r"[^\w#]{0,4}---\s*")
_KEY = re.compile(r"[\"']?(?:allowed[-_]?)?tools[\"']?\s*:(.*)", re.IGNORECASE)
_MENTION = re.compile(r"[\w\"'-]*(?:tool|permission(?!mode))[\w\"'-]*\s*:", re.IGNORECASE)


def granted(text: str) -> set[str] | None:
    """The names after `tools:` in what looks like a header, line by line; None if all are.

    Knows nothing of YAML: a comment's or a quoted text's names count, which only errs to one side
    for a loader that grants what is not written at all.
    """
    lines = re.split(r"\r\n|\r|\n", text)
    start = next((i for i, line in enumerate(lines) if line.strip("\ufeff\u200b \t")), 0)
    if not lines or not _FENCE.fullmatch(lines[start]):
        return None
    rest = lines[start + 1 :]
    end = next((i for i, line in enumerate(rest) if line.strip() == "---"), len(rest))
    header = rest[:end]
    for number, line in enumerate(header):
        found = _KEY.match(line)
        if found:
            value = found[1].split(" #")[0].strip()
            return None if value.strip("'\"") == "*" else _items(value, header[number + 1 :])
    return set() if any(_MENTION.match(line) for line in header) else None


def _items(value: str, following: list[str]) -> set[str]:
    """Names of a one-line list, or of the indented lines and dashes below."""
    parts = [value]
    for line in following:
        if line.strip() and not line.startswith((" ", "\t", "-", "]")):
            break
        parts.append(line)
    names = (part.strip(" \t\"'[]-") for part in re.split(r"[,\n]", "\n".join(parts)))
    return {name for name in names if name}


def examine(path: Path) -> tuple[str, str]:
    """What became of one file: `loaded`, `refused`, `crashed` or `widened`, and why."""
    try:
        prompt = load_prompt(path, DEFAULT_TOOLS)
        render(prompt, Task("TASK-1", "title", "text"), Boundaries(), ())
    except UsageError as error:
        reason = re.sub(r"\(.*|\d+", "", error.message.replace(str(path), ""))
        return "refused", reason.strip(": ")[:80]
    except Exception as error:  # noqa: BLE001 - the point is to find any
        return "crashed", f"{path}: {error!r}"
    names = granted(path.read_text("utf-8-sig"))
    extra = set(prompt.tools) - names if names is not None else set[str]()
    if extra:
        return "widened", f"{path}: {', '.join(sorted(extra))} not among {sorted(names or ())}"
    some = "all tools by default" if names is None else "the tools it lists"
    return "loaded", some


def main(folder: Path) -> int:
    """Examine a folder; return the exit code."""
    counts = Counter(examine(path) for path in sorted(folder.rglob("*.md")))
    for (result, reason), count in sorted(counts.items()):
        sys.stdout.write(f"{count:6} {result:8} {reason}\n")
    sys.stdout.write(f"{counts.total():6} files\n")
    bad = any(result in {"crashed", "widened"} for result, _ in counts)
    return 1 if bad or not counts else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
