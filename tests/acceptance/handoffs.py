"""Reads every file of a folder as a handoff: `python tests/acceptance/handoffs.py FOLDER`.

Prints how many were read and why others were refused. Exits with 1 if a file makes the reader
crash, if a refusal has no reason, if a field of a block holds a line that the block does not, or
if a delimiter or `For: backend` entry that a plain search finds is in no block.
"""

import re
import sys
from collections import Counter
from pathlib import Path

from agentflow.errors import UsageError
from agentflow.tasks.handoff import Handoffs, read_handoffs
from agentflow.tasks.handoff_questions import read_against
from agentflow.tasks.service_match import make_workspace

MARK = re.compile(r"^(?:-+ .*HANDOFF.* -+|## For: backend)$", re.MULTILINE)
SOME = make_workspace("any", ["apps/api/a", "apps/web/b", "services/mail/c"])


def examine(path: Path) -> list[tuple[str, str]]:
    """What became of one file."""
    text = path.read_bytes().decode("utf-8", "replace")
    try:
        found = read_handoffs(text, where=path.name)
        return _read(found, text, path)
    except UsageError as error:
        reason = error.message.removeprefix(path.name).strip()
        return [("refused", reason) if reason else ("silent", str(path))]
    except Exception as error:  # noqa: BLE001 - the point is to find any
        return [("crashed", f"{path}: {error!r}")]


def _read(found: Handoffs, text: str, path: Path) -> list[tuple[str, str]]:
    results = [("read", "")]
    for block in found.blocks:
        results.append(("block", f"for {block.recipient or 'anybody'}"))
        results += [("field", name) for name in block.lines]
        results += [("question", each.id) for each in read_against(block, SOME).questions]
        parts = (block.work, block.context, block.contract, *(each.text for each in block.other))
        lost = [line for part in parts for line in part.split("\n") if line not in block.text]
        results += [("invented", f"{path}: {line!r}") for line in lost]
    fenceless = re.sub(r"^```.*?^```|<!--.*", "", text, flags=re.MULTILINE | re.DOTALL)
    starts = [mark for mark in MARK.findall(fenceless) if not mark.startswith("--- END")]
    if len(starts) > len(found.blocks):
        results.append(("missed", f"{path}: {len(starts)} marks, {len(found.blocks)} blocks"))
    return results


def main(folder: Path) -> int:
    """Examine a folder; return the exit code."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    counts = Counter(result for path in files for result in examine(path))
    for (result, reason), count in sorted(counts.items()):
        sys.stdout.write(f"{count:6} {result:8} {reason}\n")
    sys.stdout.write(f"{len(files):6} files\n")
    bad = {"crashed", "silent", "invented", "missed"} & {result for result, _ in counts}
    return 1 if bad or not counts else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
