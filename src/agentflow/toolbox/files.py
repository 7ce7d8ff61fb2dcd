"""Read and Write: one regular file at a time, bounded."""

import os
import re
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from agentflow.toolbox.session import Json, Refusal, Session, explain, real

LINES = 2000
LINE_CHARACTERS = 2000
READ_BYTES = 100_000
SCAN_BYTES = 256 << 20
"""How far a file is read to count its lines."""
IMAGE_BYTES = 5 * 1024 * 1024 * 3 // 4
"""The Messages API takes images of up to 5 MB, counted in base64."""
DOCUMENT_BYTES = 10 << 20
"""10 MB become 14 MB in base64, which fits a line of the journal (16 MB). The Messages API takes
requests of up to 32 MB."""
CUT = "… [line cut]"

_HALF = rb"[\xc0-\xff][\x80-\xbf]{0,3}\Z"
"""A character of UTF-8 at the end, which a cut may have halved."""

_counter = 0


def read(session: Session, arguments: Json) -> Json:
    """Return the numbered window of a text file, or an image or PDF in base64."""
    path = session.resolve(arguments["file_path"])
    with open_regular(session, path) as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(8192)
        media = _media_type(head)
        if media:
            return _media(file, head, media, session.shown(path))
        if b"\0" in head:
            raise Refusal(f"{session.shown(path)} is a binary file of {size:,} bytes.")
        file.seek(0)
        result = _text(file, arguments, session.shown(path))
    session.mark_read(path, complete=not result["partial"])
    return {"kind": "text", "size": size, **result}


def write(session: Session, arguments: Json) -> Json:
    """Create a file or replace it as a whole; an existing one must have been read as a whole."""
    target = session.writable(arguments["file_path"])
    shown = session.shown(target)
    data = encode(arguments["content"], "utf-8", shown)
    created = not os.path.lexists(target)
    if not created:
        with open_regular(session, target) as file:
            size = os.fstat(file.fileno()).st_size
        if size and not session.was_read(target, complete=True):
            raise Refusal(f"{shown} exists and was not read completely: Read it before you Write.")
    replace(session, target, data)
    session.mark_read(target, complete=True)
    return {"path": shown, "created": created, "bytes": len(data)}


def keep(session: Session, arguments: Json) -> Json:
    """Write a text of the host's to a file in the scratch directory that Read can page."""
    target = session.scratch / "results" / arguments["name"]
    replace(session, target, encode(arguments["text"], "utf-8", str(target)))
    return {"path": str(target)}


def open_regular(session: Session, path: Path) -> BufferedReader:
    """Open a regular file for reading. A FIFO or a device is refused, never waited for."""
    shown = session.shown(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Refusal(_missing(session, path)) from None
    except NotADirectoryError:
        raise Refusal(f"{shown} does not exist: a part of the path is a file.") from None
    except PermissionError:
        raise Refusal(f"{shown} may not be read.") from None
    except ValueError:
        raise Refusal(f"{shown!r} is not a path.") from None
    except OSError as error:
        raise explain(error, shown) from None
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise Refusal(f"{shown} is a directory: list it with Glob, or with `ls` in Bash.")
    raise Refusal(f"{shown} is not a regular file.")


def replace(session: Session, target: Path, data: bytes) -> None:
    """Put the whole content in place at once, keep the mode, create missing directories."""
    global _counter
    _counter += 1
    temporary = target.parent / f".agentflow-{os.getpid()}-{_counter}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        try:
            with os.fdopen(descriptor, "wb") as file:
                if target.exists():
                    os.fchmod(descriptor, stat.S_IMODE(target.stat().st_mode))
                file.write(data)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except (FileExistsError, NotADirectoryError):
        raise Refusal(f"{session.shown(target)}: a part of the path is a file.") from None
    except ValueError:
        raise Refusal(f"{str(target)!r} is not a path.") from None
    except OSError as error:
        raise explain(error, session.shown(target)) from None


def encode(text: str, encoding: str, shown: str) -> bytes:
    """Return the text's bytes; one that the file's encoding lacks is named."""
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        lacking = ascii(text[error.start])
        raise Refusal(
            f"{shown} is {encoding}, which cannot hold the character {lacking}."
        ) from None


def decode(data: bytes) -> tuple[str, str]:
    """Return the text and its encoding: UTF-8, else one of the 8-bit ones, which lose nothing."""
    for encoding in ("utf-8-sig" if data.startswith(b"\xef\xbb\xbf") else "utf-8", "cp1252"):
        try:
            return data.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1"), "latin-1"


def _text(file: BufferedReader, arguments: Json, shown: str) -> Json:
    start = max(1, int(arguments.get("offset") or 1))
    limit = max(1, int(arguments.get("limit") or LINES))
    window, used, number, full = list[bytes](), 0, 0, False
    for number, line in enumerate(_raw_lines(file), 1):
        if number < start:
            continue
        used += len(line)
        full = used > READ_BYTES and bool(window)
        if full or len(window) == limit:
            break
        window.append(line)
    position = file.tell()
    stopped = full or number >= start + limit or position >= SCAN_BYTES
    if full and arguments.get("limit"):
        raise Refusal(
            f"Lines {start} to {start + limit - 1} of {shown} hold more than "
            f"{READ_BYTES // 1000} KB: ask for at most {len(window)} lines from line {start}."
        )
    total = _count(file, number, position) if stopped else number
    if start > max(1, number):
        raise Refusal(f"{shown} has only {number} lines; offset {start} is beyond its end.")
    text, _ = decode(b"\n".join(window))
    lines = [_cut(line) for line in text.split("\n")] if window else []
    complete = start == 1 and total == len(window)
    return {"lines": lines, "start": start, "total": total, "partial": not complete}


def _raw_lines(file: BufferedReader) -> Iterator[bytes]:
    """Yield lines without their ends, each cut to what can be shown, up to the scan limit."""
    kept = 4 * LINE_CHARACTERS + 8
    scanned = 0
    line = file.readline(1 << 16)
    while line and scanned < SCAN_BYTES:
        scanned += len(line)
        shown, rest = (line if len(line) <= kept else line[:kept]), line
        while not rest.endswith(b"\n") and scanned < SCAN_BYTES:
            rest = file.readline(1 << 16)
            scanned += len(rest)
            if not rest:
                break
        yield re.sub(_HALF, b"", shown) if shown is not line else line.rstrip(b"\r\n")
        line = file.readline(1 << 16)


def _count(file: BufferedReader, number: int, position: int) -> int | None:
    """Count the remaining lines; None if the file is longer than the scan limit."""
    last = b"\n"
    while block := file.read(1 << 20):
        number += block.count(b"\n")
        position += len(block)
        last = block
        if position > SCAN_BYTES:
            return None
    return number + (not last.endswith(b"\n"))


def _cut(line: str) -> str:
    return line if len(line) <= LINE_CHARACTERS else line[:LINE_CHARACTERS] + CUT


def _media_type(head: bytes) -> str | None:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    for start, media in (
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"%PDF-", "application/pdf"),
    ):
        if head.startswith(start):
            return media
    return None


def _media(file: BufferedReader, head: bytes, media: str, shown: str) -> Json:
    kind, cap = ("document", DOCUMENT_BYTES) if "pdf" in media else ("image", IMAGE_BYTES)
    data = head + file.read(cap)
    if len(data) > cap:
        raise Refusal(f"{shown} is too large to be shown: {kind}s have at most {cap:,} bytes.")
    import base64

    return {"kind": kind, "media_type": media, "data": base64.b64encode(data).decode("ascii")}


def _missing(session: Session, path: Path) -> str:
    """Say that a path does not exist and name what comes nearest."""
    if path.is_symlink():
        return f"{session.shown(path)} is a symbolic link to {real(path)}, which does not exist."
    parent = path.parent
    while not parent.is_dir():
        path, parent = parent, parent.parent
    try:
        names = sorted(entry.name for entry in parent.iterdir())[:5000]
    except OSError:
        names = []
    import difflib

    folded: Json = {name.lower(): name for name in names}
    near = [folded[n] for n in difflib.get_close_matches(path.name.lower(), folded, 3, 0.6)]
    where = session.shown(parent)
    place = "the root" if where == "." else where
    found = f" Nearest there: {', '.join(near)}." if near else ""
    return f"{session.shown(path)} does not exist in {place}.{found}"
