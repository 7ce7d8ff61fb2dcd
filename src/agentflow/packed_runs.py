"""A run in a file, as `runs export` writes it: read, and believed nothing but its form.

A gzipped tar of regular files `<run>/<name>` with the names of `MEMBERS`. Whoever can write the file
chose every byte of it.
"""

import gzip
import tarfile
import zlib
from pathlib import Path

from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.journal import open_regular
from agentflow.run_reports import MAX_REPORT, REPORT
from agentflow.runs import JOURNAL, MAX_JOURNAL, started_at
from agentflow.tasks.task import check_id
from agentflow.workspace.bundles import MAX_PACK

PROMPT, CHECKPOINTS = "prompt.md", "checkpoints.bundle"
MEMBERS = {JOURNAL: MAX_JOURNAL, REPORT: MAX_REPORT, PROMPT: MAX_REPORT, CHECKPOINTS: MAX_PACK}
"""What may stand in the file, and how many bytes each may have."""
MADE_BY = "It is a file that `agentflow runs export RUN` writes."
_REGULAR = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE})


@record
class PackedRun:
    """What such a file holds; nothing of it is proven."""

    run: str
    task: str
    journal: bytes
    checkpoints: bytes
    """A git bundle."""


def read_packed(file: Path) -> PackedRun:
    """Read a packed run. Raises `UsageError` for what is none, or has no checkpoints."""
    refused = f"{file} is no packed run of agentflow, or was changed"
    try:
        with open_regular(file.resolve()) as raw, gzip.GzipFile(fileobj=raw) as unpacked:
            run, members = _members(unpacked)
        task = check_id(run.rsplit("-", 2)[0])
    except gzip.BadGzipFile as error:
        raise UsageError(f"{refused} ({error})", hint=MADE_BY) from error
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}", hint=MADE_BY) from error
    except (EOFError, LookupError, UsageError, ValueError, tarfile.TarError, zlib.error) as error:
        raise UsageError(f"{refused} ({error})", hint=MADE_BY) from error
    if CHECKPOINTS not in members or not members.get(JOURNAL):
        raise UsageError(
            f"{file} holds no checkpoints, so the run cannot go on",
            hint="It is for reading. Begin the task anew.",
        )
    return PackedRun(run, task, members[JOURNAL], members[CHECKPOINTS])


def _members(unpacked: gzip.GzipFile) -> tuple[str, dict[str, bytes]]:
    """The run's name, and its files by theirs. Raises `ValueError` for anything else.

    The headers of POSIX ustar are read one by one, because `tarfile` follows chains of long names and
    extended headers, of any length, before it says what an entry is.
    """
    found: dict[str, bytes] = {}
    runs: set[str] = set()
    while any(header := _exactly(unpacked, tarfile.BLOCKSIZE)):
        entry = tarfile.TarInfo.frombuf(header, "utf-8", "replace")
        run, _, name = entry.name.partition("/")
        if name not in MEMBERS or name in found or entry.type not in _REGULAR:
            raise ValueError(f"it holds {entry.name[:100]!r}")
        if not 0 <= entry.size <= MEMBERS[name]:
            raise ValueError(f"{name} has {entry.size} bytes")
        runs.add(run)
        found[name] = _exactly(unpacked, entry.size)
        _exactly(unpacked, -entry.size % tarfile.BLOCKSIZE)
    if any(unpacked.read(tarfile.RECORDSIZE)) or unpacked.read(1):
        raise ValueError("something follows its end")
    if len(runs) != 1 or started_at(run := runs.pop()) is None:
        raise ValueError("it is not the folder of one run")
    return run, found


def _exactly(stream: gzip.GzipFile, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError("it ends early")
    return data
