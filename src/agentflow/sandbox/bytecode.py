"""The toolbox's bytecode: sandboxes cannot write any, so without it each would compile the toolbox anew.

Some installers compile what they install, others leave that to the first import, which never comes
for modules that are only used inside.
"""

import os
import sys
from contextlib import suppress
from importlib.util import MAGIC_NUMBER
from pathlib import Path

HEADER = 16
"""Bytes of a compiled file that say what it was compiled from."""


def keep_bytecode(directory: Path) -> None:
    """Compile the modules of a directory that are not, or changed since, as importing them would; not
    where somebody does not want that, or may not write."""
    folder = directory / "__pycache__"
    if sys.dont_write_bytecode or sys.pycache_prefix:
        return
    for source in directory.glob("[!_]*.py"):  # `__main__` is compiled whatever there is
        compiled = folder / f"{source.stem}.{sys.implementation.cache_tag}.pyc"
        if _is_current(source, compiled) or not os.access(_place(folder), os.W_OK):
            continue
        import py_compile  # once in an installation

        with suppress(OSError, py_compile.PyCompileError):
            py_compile.compile(str(source), str(compiled), doraise=True)


def _place(folder: Path) -> Path:
    return folder if folder.is_dir() else folder.parent


def _is_current(source: Path, compiled: Path) -> bool:
    """Whether the interpreter would take the compiled file: by the time and the size of its source."""
    try:
        with compiled.open("rb") as file:
            header = file.read(HEADER)
        status = source.stat()
    except OSError:
        return False
    stamp = (int(status.st_mtime), status.st_size)
    said = b"".join((each & 0xFFFFFFFF).to_bytes(4, "little") for each in stamp)
    by_hash = any(header[4:8])
    return header[:4] == MAGIC_NUMBER and (by_hash or header[8:] == said)
