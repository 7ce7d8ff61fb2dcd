"""Bash: one command in a new process, everything it started dead when the answer is given."""

import os
import select
import time
from io import FileIO
from pathlib import Path

from agentflow.toolbox import ending, processes, services
from agentflow.toolbox.session import Json, Refusal, Session
from agentflow.toolbox.watchdog import INTERVAL, Excess, Watchdog

TIMEOUT = 120.0
HEAD_CHARACTERS = 10_000
MAX_SECRET = 8192
"""Characters of a secret that must not be shown in part."""
TAIL_CHARACTERS = 20_000
KEPT_BYTES = 4 * (HEAD_CHARACTERS + TAIL_CHARACTERS)
OUTPUT_BYTES = 64 << 20
HARD_SECONDS = 5
"""Of processor time, between a signal that explains itself and SIGKILL."""
KEPT_FILES = 8
"""Whole outputs that stay readable; 8 of 64 MB fill half of the scratch directory."""
READERS = {"cat", "head", "tail", "sed", "grep", "rg"}

_files: list[Path] = []
_numbers = iter(range(1, 1 << 62))


def bash(session: Session, arguments: Json) -> Json:
    """Run a command line and return its merged output, exit code and new directory."""
    command: str = arguments["command"]
    seconds = float(arguments.get("timeout") or TIMEOUT)
    directory = _directory(session, arguments.get("cwd"))
    started = time.monotonic()
    with _Output(session.scratch) as output:
        place = os.memfd_create("directory")
        try:
            code, killed = _run(session, command, directory, seconds, output, place)
            new = os.pread(place, 1 << 16, 0)
        finally:
            os.close(place)
        result = output.result()
    if not arguments.get("cwd"):
        _move(session, new)
    if code == 0 and not result["truncated"]:
        _mark_read(session, command, directory)
    limits = session.watchdog.explain(code, result["output"]) if code and not killed else []
    return {
        "exit_code": None if killed else code,
        "killed": killed.limit if killed else None,
        "reason": killed.reason if killed else None,
        **result,
        "notes": [] if arguments.get("silent") else [*limits, *services.notes()],
        "cwd": str(session.cwd),
        "seconds": round(time.monotonic() - started, 3),
    }


def _directory(session: Session, wanted: str | None) -> Path:
    if wanted:
        directory = session.resolve(wanted)
        if not directory.is_dir():
            raise Refusal(f"{session.shown(directory)} is not a directory.")
        return directory
    if not session.cwd.is_dir():
        session.cwd = session.root
    return session.cwd


def _run(
    session: Session,
    command: str,
    directory: Path,
    seconds: float,
    output: "_Output",
    place: int,
) -> tuple[int, Excess | None]:
    """Return the exit code as shells report it, and why the command was killed, if it was."""
    quoted = command.replace("'", "'\\''")
    script = (
        _processor_time(session.limits.get("cpu"))
        + f"trap '{{ pwd -P >&{place}; }} 2>/dev/null' EXIT; eval -- '{quoted}'"
    )
    session.watchdog.begin()
    try:
        process = processes.start(
            ["/bin/bash", "--noprofile", "--norc", "-c", script], directory, keep=(place,)
        )
    except ValueError:
        raise Refusal("The command holds a NUL or a lone surrogate.") from None
    except OSError as error:
        hint = ": put a long text into a file first" if error.errno == 7 else ""  # E2BIG
        raise Refusal(f"bash did not start: {os.strerror(error.errno or 0)}{hint}.") from None
    assert process.stdout  # noqa: S101  (a pipe)
    pipe, ended = process.stdout.fileno(), os.pidfd_open(process.pid)
    os.set_blocking(pipe, False)
    try:
        killed = _follow(session.watchdog, process.pid, pipe, ended, seconds, output)
    finally:
        os.close(ended)
        ending.kill_group(process.pid)
        code = process.wait()
        ending.kill_descendants()
        if services.are_running() and session.watchdog.measure():  # the services, then
            ending.keep_nothing()
            ending.kill_descendants()
        output.drain(pipe)
        process.stdout.close()
    return (code if code >= 0 else 128 - code), killed


def _processor_time(seconds: int | None) -> str:
    """The words that limit each process of a command. Not set with the other limits: they are the
    toolbox's too, and it lives longer than any command."""
    if seconds is None:
        return ""
    return f"{{ ulimit -St {seconds}; ulimit -Ht {seconds + HARD_SECONDS}; }} 2>/dev/null; "


def _follow(
    watchdog: Watchdog, child: int, pipe: int, ended: int, seconds: float, output: "_Output"
) -> Excess | None:
    """Collect output until the shell ends; its children may hold the pipe, we do not wait."""
    waiting, deadline = [ended, pipe], time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        ready = select.select(waiting, (), (), min(left, INTERVAL))[0]
        ending.reap_orphans(child)
        if pipe in ready and not output.take(pipe):
            waiting.remove(pipe)
        if output.total > OUTPUT_BYTES:
            return Excess("output", "it printed more than 64 MB. Write it to a file, or filter it.")
        if ended in ready:
            return None
        if excess := watchdog.look():
            return excess
    return Excess("timeout", f"it ran longer than {seconds:g} s.")


def _move(session: Session, report: bytes) -> None:
    """Keep the directory in which the command ended, if it lies in the work tree."""
    lines = report.splitlines()
    if not lines or b"\0" in lines[-1]:
        return
    directory = Path(os.fsdecode(lines[-1]))
    if directory.is_relative_to(session.root) and directory.is_dir():
        session.cwd = directory


def _mark_read(session: Session, command: str, directory: Path) -> None:
    """Count `cat file` and its like, on one file and without a pipe, as a read of that file."""
    words = simple_words(command)
    program = words[0] if words else ""
    if program not in READERS or (program == "sed" and (words[1:2] != ["-n"] or len(words) != 4)):
        return
    files = [p for p in (directory / word for word in words[1:]) if _is_file(p)]
    if len(files) == 1:
        session.mark_read(files[0], complete=program == "cat")


def simple_words(command: str) -> list[str]:
    """Return the words of one plain command; nothing if it has pipes, lists or redirections."""
    import shlex

    lexer = shlex.shlex(command, posix=True, punctuation_chars="();<>|&\n`")
    lexer.whitespace, lexer.commenters, lexer.whitespace_split = " \t", "", True
    try:
        words = list(lexer)
    except ValueError:
        return []
    return [] if any(set(word) <= set("();<>|&\n`") for word in words) else words


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


class _Output:
    """What a command printed: its head and tail in memory, all of it in a file if it is long."""

    def __init__(self, scratch: Path) -> None:
        self.total = 0
        self._scratch = scratch
        self._head = bytearray()
        self._tail = bytearray()
        self._file: FileIO | None = None
        self._path: Path | None = None

    def __enter__(self) -> "_Output":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def take(self, pipe: int) -> bool:
        """Read what is there, once; False at the end of the pipe."""
        try:
            data = os.read(pipe, 1 << 16)
        except BlockingIOError:
            return True
        self._add(data)
        return bool(data)

    def drain(self, pipe: int) -> None:
        """Read what the dead left in the pipe."""
        before = -1
        while before != self.total and self.total <= OUTPUT_BYTES + (1 << 20):
            before = self.total
            self.take(pipe)

    def result(self) -> Json:
        """Return the text for the model, cut in the middle, and where the whole text is."""
        if self.total <= KEPT_BYTES:
            text = self._head.decode("utf-8", "replace")
            if len(text) <= HEAD_CHARACTERS + TAIL_CHARACTERS:
                return {"output": text, "truncated": False, "full_output": None}
            self._spool()
        head = self._head.decode("utf-8", "replace")[:HEAD_CHARACTERS]
        tail = (self._tail or self._head).decode("utf-8", "replace")[-TAIL_CHARACTERS:]
        # Cut between lines, or well before and after: nobody knows half a secret for what it is.
        head = head.rpartition("\n")[0] or head[:-MAX_SECRET]
        tail = tail.partition("\n")[2] or tail[MAX_SECRET:]
        text = f"{head}\n[… the middle of {self.total:,} bytes is cut …]\n{tail}"
        path = str(self._path) if self._path else None
        return {"output": text, "truncated": True, "full_output": path}

    def _add(self, data: bytes) -> None:
        before = self.total
        self.total += len(data)
        if self.total <= KEPT_BYTES:
            self._head += data
            return
        if before <= KEPT_BYTES:
            self._spool()
            self._tail += self._head
        self._tail += data
        del self._tail[: -4 * TAIL_CHARACTERS]
        self._write(data)

    def _spool(self) -> None:
        """Open the file and bring it up to date. Without it the cut text must do."""
        while len(_files) >= KEPT_FILES:
            _files.pop(0).unlink(missing_ok=True)
        path = self._scratch / f"output-{os.getpid()}-{next(_numbers)}.txt"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except OSError:
            return
        self._file, self._path = os.fdopen(descriptor, "wb", buffering=0), path
        _files.append(path)
        self._write(bytes(self._head))

    def _write(self, data: bytes) -> None:
        if self._file is None:
            return
        try:
            self._file.write(data)
        except OSError:
            self._file.close()
            self._file = None
            self._path = None
