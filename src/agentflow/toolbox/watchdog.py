"""The watchdog: what all processes below the toolbox use together, and when that is too much.

The kernel's own limits count a process or a user, and some do not bind root. Here everything below
the toolbox counts, services too. A look is cheap and may take too much for memory (pages that
processes share) or overlook some (swap, memory without a mapping); what it suspects is then measured
exactly, from `smaps_rollup`, open memory files and System V segments (proc(5)).

No `dataclasses` here: their import would be a quarter of a session's start.
"""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from agentflow.toolbox import ending

INTERVAL = 0.1
"""Seconds between two looks."""
SHARE = 5
"""A look takes at most one part in so many of the time: with many processes they become rarer."""
RESERVE = 256 << 20
"""Bytes of a disk that stay free where the limit would allow to fill it."""
CLEANING_SPACE, CLEANING_FILES = 64 << 20, 5000
"""Where a session has reached its limit, a command may grow by so much: what removes files must be
able to run, also while others write to the same disk."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Excess:
    """A limit that was reached."""

    def __init__(self, limit: str, reason: str) -> None:
        self.limit = limit
        self.reason = reason
        """What happened and what to do, for the model."""


class Process:
    """One process below the toolbox."""

    def __init__(self, threads: int, resident: int) -> None:
        self.threads = threads
        self.resident = resident
        """Bytes; what it shares with others is in it."""


class Usage:
    """How full a file system is."""

    def __init__(self, space: int, free: int, files: int) -> None:
        self.space = space
        self.free = free
        """Bytes."""
        self.files = files


class Watchdog:
    """Watches one command after the other; `begin`, then `look` as often as you like."""

    def __init__(self, limits: Mapping[str, int], disks: Iterable[str]) -> None:
        self._limits = limits
        self._disks = tuple(disks)
        self._memory_folders = tuple(_memory_folders()) if os.getpid() == 1 else ()
        self._start = {path: _usage(path) for path in (*self._disks, *self._memory_folders)}
        self._before = self._start
        self._hidden_before = _hidden()
        self._due = 0.0

    def begin(self) -> None:
        """A command begins."""
        self._before = {path: _usage(path) for path in self._start}
        self._due = time.monotonic() + INTERVAL

    def look(self) -> Excess | None:
        """Return the limit that is exceeded, if it is time to look."""
        now = time.monotonic()
        if now < self._due:
            return None
        excess = self.measure() or self._growth()
        self._due = time.monotonic() + max(INTERVAL, (SHARE - 1) * (time.monotonic() - now))
        return excess

    def measure(self) -> Excess | None:
        """Return the limit that the living processes exceed."""
        found = _census()
        most, memory = self._limits.get("processes"), self._limits.get("memory")
        if most is not None and sum(each.threads for each in found.values()) > most:
            return Excess(
                "processes",
                f"more than {most:,} processes and threads ran at once. Start fewer of them in "
                "parallel.",
            )
        if memory is None:
            return None
        hidden = max(0, _hidden() - self._hidden_before)
        resident = sum(each.resident for each in found.values())
        if resident + hidden <= memory or _exact(found, hidden) <= memory:
            return None
        return Excess(
            "memory",
            f"its processes together used more than {size(memory)} of memory. Run fewer of them at "
            "once, or work on less data.",
        )

    def explain(self, code: int, output: str) -> list[str]:
        """Return a line for each limit of the kernel that a failed command seems to have met."""
        file, files, cpu = (self._limits.get(n) for n in ("file_size", "open_files", "cpu"))
        told = list[str]()
        if file is not None and (code == 153 or os.strerror(27) in output):  # SIGXFSZ, EFBIG
            told.append(f"A file may have at most {size(file)}: write less, or several files.")
        if files is not None and os.strerror(24) in output:  # EMFILE
            told.append(
                f"A process may have at most {files:,} files open: close some, or work on fewer at "
                "once."
            )
        if cpu is not None and code == 152:  # SIGXCPU
            told.append(
                f"A process may use at most {cpu:,} s of processor time: do less in one process."
            )
        if os.strerror(28) in output:  # ENOSPC
            told += [
                f"{path} is full: it is in memory, and holds {size(usage.space + usage.free)}. "
                "Remove files from it, or write into the work tree."
                for path in self._memory_folders
                if (usage := _usage(path)).free < _PAGE
            ]
        return told

    def _growth(self) -> Excess | None:
        """Space and files, counted since the toolbox started: a command each would add up."""
        disk, inodes = self._limits.get("disk"), self._limits.get("inodes")
        for path, start in self._start.items():
            now, before = _usage(path), self._before[path]
            if disk is not None and path in self._disks:
                most = allowance(disk, start.free)
                grown = before.space - start.space
                if now.space - start.space > max(most, grown + CLEANING_SPACE):
                    return Excess(
                        "disk",
                        f"files grew by more than {size(most)} since this session began. Remove "
                        "what you do not need, and write less.",
                    )
            made = before.files - start.files
            if inodes is not None and now.files - start.files > max(inodes, made + CLEANING_FILES):
                return Excess(
                    "inodes",
                    f"more than {inodes:,} files were made since this session began. Remove what "
                    "you do not need, and make fewer.",
                )
        return None


def size(count: int) -> str:
    """Return bytes as people read them: `4 GiB`, `1.5 MiB`."""
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if count >= 1 << power:
            return f"{count / (1 << power):.4g} {unit}"
    return f"{count} bytes"


def allowance(limit: int, free: int) -> int:
    """Return how many bytes a session may add to a disk with so many free: a reserve stays."""
    return max(min(limit, free - RESERVE), min(limit, RESERVE))


def _usage(path: str) -> Usage:
    """How full the file system of a path is.

    Files are counted as used ones: XFS takes what is free from the free space.
    """
    facts = os.statvfs(path)
    return Usage(
        (facts.f_blocks - facts.f_bfree) * facts.f_frsize,
        facts.f_bavail * facts.f_frsize,
        facts.f_files - facts.f_ffree,
    )


def _memory_folders() -> Iterator[str]:
    """Writable folders in memory, of our own mount namespace."""
    for line in Path("/proc/self/mounts").read_text("utf-8", "surrogateescape").splitlines():
        _, place, kind, options, *_ = line.split(" ")
        path = place.encode("utf-8", "surrogateescape").decode("unicode_escape")
        if kind == "tmpfs" and "rw" in options.split(",") and os.access(path, os.W_OK):
            yield path


def _census() -> dict[int, Process]:
    """Every process below this one."""
    children = dict[int, list[int]]()
    found = dict[int, Process]()
    for name in os.listdir("/proc"):  # noqa: PTH208  (in a hurry)
        if not name.isdigit():
            continue
        try:
            fields = Path("/proc", name, "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(name))
        found[int(name)] = Process(int(fields[17]), int(fields[21]) * _PAGE)
    if os.getpid() == 1:
        found.pop(1, None)
        return found
    return {each: found[each] for each in ending.below({os.getpid()}, children)}


def _hidden() -> int:
    """Bytes of this machine that may be memory of processes and are resident in none: files in
    memory, segments, swap."""
    facts = dict[str, int]()
    for line in Path("/proc/meminfo").read_text("ascii").splitlines():
        name, _, value = line.partition(":")
        facts[name] = int(value.split()[0]) * 1024
    return facts["Shmem"] + facts["SwapTotal"] - facts["SwapFree"]


def _exact(found: Mapping[int, Process], hidden: int) -> int:
    """Bytes of processes, each shared page counted once, and of memory that none has mapped."""
    mapped = sum(_mapped(number, each) for number, each in found.items())
    try:
        unmapped = sum(dict(each for number in found for each in _files(number)).values())
    except PermissionError:  # one hides: it gets all that came into being meanwhile
        unmapped = hidden
    return mapped + unmapped + _segments()


def _mapped(number: int, process: Process) -> int:
    try:
        lines = Path("/proc", str(number), "smaps_rollup").read_text("ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    except OSError:
        return process.resident
    fields = (line.split() for line in lines)
    return sum(int(each[1]) * 1024 for each in fields if each[0] in {"Pss:", "SwapPss:"})


def _files(number: int) -> Iterator[tuple[tuple[int, int], int]]:
    """The files in memory that a process has open, each with its bytes. Raises PermissionError."""
    folder = f"/proc/{number}/fd"
    try:
        for name in os.listdir(folder):  # noqa: PTH208
            if os.readlink(f"{folder}/{name}").startswith("/memfd:"):  # noqa: PTH115
                facts = os.stat(f"{folder}/{name}")  # noqa: PTH116
                yield (facts.st_dev, facts.st_ino), facts.st_blocks * 512
    except (FileNotFoundError, ProcessLookupError):
        return


def _segments() -> int:
    """Bytes of System V segments that nobody has attached, of our own namespace only."""
    if os.getpid() != 1:
        return 0
    try:
        rows = Path("/proc/sysvipc/shm").read_text("ascii").splitlines()
    except OSError:
        return 0
    names = rows[0].split()
    attached, resident = names.index("nattch"), names.index("rss")
    values = [row.split() for row in rows[1:]]
    return sum(int(row[resident]) for row in values if row[attached] == "0")
