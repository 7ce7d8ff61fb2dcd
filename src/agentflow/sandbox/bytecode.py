"""The toolbox's bytecode: sandboxes cannot write any, so without it each would compile the toolbox anew.

Some installers compile what they install, others leave that to the first import, which never comes
for modules that are only used inside.
"""

import os
import sys
from contextlib import suppress
from importlib.machinery import SourceFileLoader
from pathlib import Path


def keep_bytecode(directory: Path) -> None:
    """Compile the modules of a directory that are not, or changed since, as importing them would; not
    where somebody does not want that, or may not write."""
    if sys.dont_write_bytecode or sys.pycache_prefix or not os.access(directory, os.W_OK):
        return
    for source in directory.glob("[!_]*.py"):  # `__main__` is compiled whatever there is
        with suppress(SyntaxError):  # who imports it is told
            SourceFileLoader(source.stem, str(source)).get_code(source.stem)
