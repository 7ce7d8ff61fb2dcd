"""Prints the outputs of the action, from the result object of a run; copies the run's own files.

`outputs.py FOLDER [PREFIX]`: with a prefix as variables of an environment, `PREFIX_OUTCOME=done`.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

KEPT = ("report.json", "journal.jsonl", "prompt.md")


def main(folder: Path, prefix: str = "") -> None:
    """Read `result.json` in a folder; print a line for each output."""
    lines = (folder / "result.json").read_text("utf-8", "replace").splitlines()
    try:
        result: dict[str, Any] = json.loads(lines[-1])
    except (IndexError, ValueError):
        result = {}
    landed: dict[str, Any] = result.get("landed") or {}
    run = result.get("run") or ""
    for name in KEPT if run else ():
        source = Path(".orchestrator/runs") / run / name
        if source.is_file() and not source.is_symlink():
            shutil.copyfile(source, folder / name)
    cost = result.get("total_cost_usd")
    values = {
        "outcome": result.get("outcome") or "unfinished",
        "run": run,
        "branch": (landed.get("ref") or "").removeprefix("refs/heads/"),
        "commit": landed.get("tip") or "",
        "report": str(folder),
        "cost": "" if cost is None else str(cost),
    }
    for name, value in values.items():
        key = f"{prefix}_{name}".upper() if prefix else name
        print(f"{key}={' '.join(str(value).split())}")


main(Path(sys.argv[1]), *sys.argv[2:])
