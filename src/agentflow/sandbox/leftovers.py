"""What a dead agentflow left alive where no PID namespace ends it: recorded by the toolbox, and ended
before anything is done in the same place again."""

import contextlib
import glob
import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from agentflow.journal import open_regular
from agentflow.strict_json import parse_object
from agentflow.toolbox.ending import KILL_SECONDS, below
from agentflow.toolbox.record import started

_RECORD = "{tree}.{sandbox}.processes.json"
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
MAX_RECORD = 1 << 20
"""Bytes."""


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
        served, processes = _read(record)
        if not _alive(served):
            _end_all(processes)
            record.unlink(missing_ok=True)


def end_all_leftovers(folder: Path) -> None:
    """The same for all trees of a run: they lie in folders of its folder, which no sandbox can write
    to."""
    for tree in folder.glob("*/tree"):
        end_leftovers(tree)


def _read(record: Path) -> tuple[dict[int, str], dict[int, str]]:
    """Whom the processes served, and the processes, by their numbers; nothing of what no toolbox
    writes."""
    try:
        with open_regular(record) as file:
            said = parse_object(file.read(MAX_RECORD))
    except (OSError, ValueError, RecursionError):
        return {}, {}
    return _numbered(said.get("agentflow")), _numbered(said.get("processes"))


def _numbered(said: object) -> dict[int, str]:
    entries = cast("dict[str, object]", said) if isinstance(said, dict) else {}
    return {
        int(number): began
        for number, began in entries.items()
        if _NUMBER.fullmatch(number) and isinstance(began, str)
    }


def _alive(processes: Mapping[int, str]) -> list[int]:
    """Those that are still what they were, and the user's; never this process or one above it."""
    above = _ancestors()
    return [
        process
        for process, began in processes.items()
        if process not in above and started(process) == began and _is_ours(process)
    ]


def _is_ours(process: int) -> bool:
    try:
        return Path(f"/proc/{process}").stat().st_uid == os.geteuid()
    except OSError:
        return False


def _ancestors() -> set[int]:
    """This process and all above it."""
    found, process = {1}, os.getpid()
    while process > 1 and process not in found:
        found.add(process)
        process = _parent(process)
    return found


def _end_all(processes: Mapping[int, str]) -> None:
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
            children.setdefault(_parent(int(entry.name)), []).append(int(entry.name))
    return children


def _parent(process: int) -> int:
    """The parent of a process; 0 if it is gone."""
    try:
        stat = Path(f"/proc/{process}/stat").read_bytes()
    except OSError:
        return 0
    return int(stat.rpartition(b")")[2].split()[1])


def _send(how: Callable[[int, int], None], process: int, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        how(process, signum)
