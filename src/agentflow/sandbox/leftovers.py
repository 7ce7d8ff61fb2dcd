"""What a dead agentflow left alive where no PID namespace ends it: recorded by the toolbox, and ended
before anything is done in the same place again."""

import contextlib
import glob
import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from agentflow.toolbox.ending import KILL_SECONDS, below
from agentflow.toolbox.record import started

_RECORD = "{tree}.{sandbox}.processes.json"


def record_of(tree: Path) -> Path:
    """A new name for the record of a sandbox, beside its tree."""
    return tree.with_name(_RECORD.format(tree=tree.name, sandbox=os.urandom(4).hex()))


def end_leftovers(tree: Path) -> None:
    """Kill what sandboxes on a tree left alive whose agentflow is dead, as their records say.

    Who ends the others is asked first. Then each process that is recorded is killed with its group
    and with all that descends from it. A number that is another process's by now is left alone, and
    so is what left its session after its parents had died. Call before a run is continued.
    """
    for record in tree.parent.glob(_RECORD.format(tree=glob.escape(tree.name), sandbox="*")):
        known = _read(record)
        if not _alive(known.get("agentflow", {})):
            _end_all(known.get("processes", {}))
            record.unlink(missing_ok=True)


def end_all_leftovers(folder: Path) -> None:
    """The same for all trees of a run: they lie in folders of its folder."""
    for tree in folder.glob("*/tree"):
        end_leftovers(tree)


def _read(record: Path) -> dict[str, dict[str, str]]:
    """What is recorded; nothing if the file is torn."""
    try:
        return cast("dict[str, dict[str, str]]", json.loads(record.read_text("ascii")))
    except (OSError, ValueError):
        return {}


def _alive(processes: Mapping[str, str]) -> list[int]:
    return [int(number) for number, began in processes.items() if started(int(number)) == began]


def _end_all(processes: Mapping[str, str]) -> None:
    first = dict([*processes.items()][:1])
    for process in _alive(first):
        _send(os.kill, process, signal.SIGTERM)
    deadline = time.monotonic() + KILL_SECONDS
    while _alive(first) and time.monotonic() < deadline:
        time.sleep(0.01)
    for process in _alive(processes):
        _kill(process)


def _kill(process: int) -> None:
    """Kill a process, its group, and what descends from it; nothing forks meanwhile."""
    stopped = set[int]()
    while fresh := {process, *below({process}, _children())} - stopped:
        for each in fresh:
            _send(os.kill, each, signal.SIGSTOP)
        stopped |= fresh
    for each in stopped:
        _send(os.kill, each, signal.SIGKILL)
    _send(os.killpg, process, signal.SIGKILL)


def _children() -> dict[int, list[int]]:
    """The children of each process of this machine."""
    children = dict[int, list[int]]()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    return children


def _send(how: Callable[[int, int], None], process: int, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        how(process, signum)
