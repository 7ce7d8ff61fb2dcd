"""The record of a toolbox without a PID namespace: what must be killed if agentflow and all who would
do that are dead. Processes are named by their number and the moment when they began."""

import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path

_lock = threading.Lock()
_path: Path | None = None
_agentflow = 0
_running = dict[int, str | None]()


def started(process: int) -> str | None:
    """Return when a process began, in clock ticks since boot, with the boot; None if it is gone, or
    dead and nobody has looked yet."""
    try:
        fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
    return None if fields[0] in {b"Z", b"X"} else f"{boot} {int(fields[19])}"


def write(path: Path, agentflow: int, processes: Iterable[int]) -> None:
    """Write down whom the processes serve, and the processes; the first of them ends the others when
    it is asked to. The file is there as a whole or not at all."""
    record = {
        "agentflow": {str(agentflow): started(agentflow)},
        "processes": {str(process): started(process) for process in processes},
    }
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(record), encoding="ascii")
    partial.replace(path)


def keep(path: Path, agentflow: int) -> None:
    """Keep a record of this process and of what it starts, until `remove`."""
    global _path, _agentflow
    _path, _agentflow = path, agentflow
    note(os.getpid())


def note(process: int) -> None:
    """Add a process that was started, if a record is kept; those that have ended are left out."""
    if _path is None:
        return
    with _lock:
        _running[process] = started(process)
        for each in [each for each, began in _running.items() if started(each) != began]:
            del _running[each]
        write(_path, _agentflow, _running)


def remove() -> None:
    """Remove the record: all that it names is dead."""
    if _path is not None:
        _path.unlink(missing_ok=True)
