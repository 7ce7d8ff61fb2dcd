"""Reads every task_queue.md of a folder: `python tests/acceptance/task_queues.py FOLDER`.

Exits with 1 if one makes the reader crash, or if tasks, statuses or dependencies are not those that
a plain search of the lines finds.
"""

import re
import sys
from collections import Counter
from pathlib import Path

from agentflow.tasks.queue import read_queue

HEADING = re.compile(r"^#{3,4} ([A-Z][A-Z0-9]*(?:-[A-Z0-9]+)*-\d+):", re.MULTILINE)
STATUS = re.compile(r"^(?:\*\*Status:\*\* |\| Status \| )(\w+)", re.MULTILINE)
DEPENDS = re.compile(r"^(?:\*\*Depends On:\*\* |\| Depends On \| )\[(.*?)\]", re.MULTILINE)


def main(folder: Path) -> int:
    """Read a folder; return the exit code."""
    files, wrong = sorted(folder.rglob("task_queue.md*")), 0
    for path in files:
        text = path.read_text("utf-8")
        queue = read_queue(text, where=path.name)
        names = [entry.id for entry in queue.entries]
        statuses = Counter(entry.status for entry in queue.entries)
        needs = sum(len(entry.depends_on) for entry in queue.entries)
        same = (
            names == HEADING.findall(text)
            and statuses == Counter(STATUS.findall(text))
            and needs == sum(len(re.findall(r"[\w-]+", each)) for each in DEPENDS.findall(text))
        )
        wrong += not same
        sys.stdout.write(
            f"{'same' if same else 'DIFFERENT'}  {path.name}: {len(names)} tasks, "
            f"{dict(statuses)}, {needs} dependencies, {len(queue.problems)} problems, "
            f"{len(queue.ready())} ready\n"
        )
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
