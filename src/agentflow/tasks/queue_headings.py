"""Headings of tasks in a `task_queue.md`, and where such a file lies."""

import re
from pathlib import Path

PATHS = (".orchestrator/task_queue.md", "task_queue.md")
"""Of a repository's queue; the first that is there counts."""
ID = r"[A-Z0-9]+[a-z]?(?:[-_.][A-Z0-9]+[a-z]?){1,8}"
HEADING = re.compile(
    rf"#{{2,5}}[ \t]+\[?({ID})\]?(?:[ \t]*[:\u2013\u2014][ \t]*|[ \t]+-[ \t]+|[ \t]*\Z)(.*)"
)
_MAX_BYTES = 1 << 20


def is_queue(path: Path) -> bool:
    """Whether a file is read as a queue: `task_queue.md`, or a name like it."""
    return path.name.startswith("task_queue") and ".md" in path.name


def names_in_queues(root: Path) -> list[str]:
    """The ids in the queue of a folder, for the shell's completion: fast, and never an error."""
    for path in (root / name for name in PATHS):
        try:
            if path.is_file() and path.stat().st_size <= _MAX_BYTES:
                lines = path.read_text("utf-8", "replace").splitlines()
                found = (HEADING.fullmatch(line[:1_000].rstrip()) for line in lines)
                return [each[1] for each in found if each]
        except OSError:
            continue
    return []
