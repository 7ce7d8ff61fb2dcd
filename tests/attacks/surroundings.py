"""What the attacks run with: an interpreter, the packages and the project, readable by their user.

Checkouts and interpreters often lie in a home folder that only its owner enters. What the user
cannot reach is copied; what he can is used where it is.
"""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = Path(sys.prefix, "lib", f"python3.{sys.version_info.minor}", "site-packages")
DISK = "/var/tmp"
"""Not /tmp: that is a private folder in a sandbox, and an attack on it would prove nothing."""
NOT_COPIED = ("site-packages", "test", "idlelib", "tkinter", "turtledemo", "ensurepip", "config-*")
"""Parts of the interpreter's library that no attack needs."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a child process finds everything; all of it outlives only the block."""

    interpreter: Path
    packages: Path
    project: Path
    """A folder with `src`, `tests` and `prompts`."""
    folder: Path
    """The user's own, empty."""

    @property
    def environment(self) -> dict[str, str]:
        """The child's whole environment."""
        own = [str(self.interpreter.parent)]
        system = [p for p in os.environ.get("PATH", "").split(os.pathsep) if _is_reachable(p)]
        path = [str(self.project / "src"), str(self.project), str(self.packages)]
        return {
            "PATH": os.pathsep.join(dict.fromkeys([*own, *system, "/usr/bin", "/bin"])),
            "PYTHONPATH": os.pathsep.join(path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "LANG": "C.UTF-8",
        }


@contextlib.contextmanager
def surroundings(uid: int | None, project: Path = PROJECT) -> Generator[Surroundings]:
    """See to it that a user (None: ourselves) can read everything; make a folder of his own."""
    with tempfile.TemporaryDirectory(prefix="agentflow-attacks-", dir=DISK) as name:
        place = Path(name)
        place.chmod(0o711)
        folder = place / "own"
        folder.mkdir(mode=0o700)
        interpreter, packages = Path(sys.executable), PACKAGES
        if uid is not None:
            os.chown(folder, uid, uid)
            interpreter = _interpreter(place / "python")
            packages = (
                packages if _is_reachable(packages) else _copied(packages, place / "packages")
            )
            if not _is_reachable(project):
                for part in ("src", "tests", "prompts"):
                    _copied(project / part, place / "project" / part)
                project = place / "project"
        yield Surroundings(interpreter, packages, project, folder)


def _interpreter(target: Path) -> Path:
    """The base installation's interpreter or, where nobody else may go, a copy of what it needs."""
    name = f"python3.{sys.version_info.minor}"
    base = Path(sys.base_prefix).resolve()
    if not _is_reachable(base):
        _copied(base / "lib" / name, target / "lib" / name, *NOT_COPIED)
        for library in (base / "lib").glob("libpython*.so*"):
            shutil.copy2(library, target / "lib", follow_symlinks=False)
        program = (base / "bin" / name).resolve().read_bytes()
        copy = target / "bin" / name
        copy.parent.mkdir()
        copy.write_bytes(_with_own_libraries(program, base / "lib"))
        copy.chmod(0o755)
        (target / "bin" / "python3").symlink_to(name)
        base = target
    return base / "bin" / name


def _with_own_libraries(program: bytes, libraries: Path) -> bytes:
    """The program with its library path (ELF's RUNPATH, ends with NUL) relative to itself."""
    old, new = bytes(libraries) + b"\0", b"$ORIGIN/../lib"
    return program.replace(old, new.ljust(len(old), b"\0")) if len(new) < len(old) else program


def _copied(source: Path, target: Path, *without: str) -> Path:
    shutil.copytree(
        source,
        target,
        symlinks=True,
        ignore=shutil.ignore_patterns(*without),
        copy_function=_link_or_copy,
    )
    return target


def _link_or_copy(source: str, target: str) -> None:
    """Both names lead to a file that only its owner can write, as before."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def _is_reachable(path: str | Path) -> bool:
    """Whether everybody may go there and list it."""
    place = Path(path)
    try:
        resolved = place.resolve(strict=True)
        return resolved.stat().st_mode & 0o5 == 0o5 and all(
            folder.stat().st_mode & 0o1 for folder in resolved.parents
        )
    except OSError:
        return False
