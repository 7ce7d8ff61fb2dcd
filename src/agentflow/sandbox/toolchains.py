"""Finds the programs that live outside the system's directories, and what to mount for them."""

import configparser
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path

from agentflow.frozen import record
from agentflow.records import WORKSPACE
from agentflow.sandbox.policy import Mount

PROGRAMS = (
    *("python", "python3", "pip", "pytest", "uv", "node", "npm", "npx", "pnpm", "yarn", "bun"),
    *("deno", "go", "gofmt", "cargo", "rustc", "rustup", "java", "javac", "mvn", "gradle"),
    *("ruby", "bundle", "php", "composer", "dotnet", "make", "cmake", "gcc", "git", "rg", "jq"),
)
"""Looked for in every run, beside the first words of the gates' commands."""

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64")
"""Always mounted."""

NEVER = ("/etc", "/proc", "/sys", "/dev", "/run", "/var/run", WORKSPACE)
"""Nothing beneath these is mounted: not programs, or the sandbox's own."""

SECRET_FOLDERS = frozenset((
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".password-store",
    ".mozilla",
))
"""A program that resolves into one of these is not a program."""

SHARED_FOLDERS = frozenset((".local", ".config", ".cache", ".local/share", "snap", "Library"))
"""Folders of a home that hold everybody's files: never mounted themselves."""

PROGRAMS_ONLY = frozenset((".cargo", ".bun", ".deno", "go"))
"""Folders of a home whose `bin` suffices; beside it are caches, sources and credentials."""

PROGRAM_FOLDERS = frozenset(("bin", "sbin", "shims", "libexec"))
"""A toolchain's root is the parent of one of these."""

CREDENTIALS = (
    *("credentials", "credentials.toml", "credentials.json", "auth.json", "auth.toml"),
    *(".npmrc", "etc/npmrc", ".yarnrc", ".yarnrc.yml", ".netrc", ".pypirc", "pip.conf"),
    *(".git-credentials", ".condarc", "condarc", ".env", "gradle.properties"),
)
"""Files at a toolchain's root that are shown empty."""

SHIM_FILES = {
    ".pyenv": ".python-version",
    ".rbenv": ".ruby-version",
    ".nodenv": ".node-version",
    ".goenv": ".go-version",
}
"""Version managers of pyenv's design: the root's name and the file that chooses a version."""

HOMES = {
    "RUSTUP_HOME": ".rustup",
    "VOLTA_HOME": ".volta",
    "ASDF_DATA_DIR": ".asdf",
    "SDKMAN_DIR": ".sdkman",
}
"""Variables that tell a program where it lives when its user's home folder is another."""

SYSTEM_SETTINGS = {"java": "java-*", "mvn": "maven"}
"""Programs of the system whose settings are links into /etc: a glob there."""


@record
class Toolchains:
    """What a policy needs so that programs work inside as they do outside."""

    mounts: tuple[Mount, ...] = ()
    path: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


@record
class Places:
    """The folders that must never be shown as a whole, each by its own and its real path."""

    homes: tuple[Path, ...]
    repositories: tuple[Path, ...]
    known: dict[Path, bool] = field(default_factory=dict[Path, bool], compare=False)
    """Answers that were given before: programs share their folders."""

    def may_show(self, path: Path) -> bool:
        """Tell whether a file or directory, by this path and by its real path, may be mounted."""
        if path not in self.known:
            self.known[path] = path.exists() and self._allows(path) and self._allows(path.resolve())
        return self.known[path]

    def _allows(self, path: Path) -> bool:
        return not (
            len(path.parts) < 3  # the root, or a directory in it
            or any(_within(path, folder) for folder in NEVER)
            or SECRET_FOLDERS.intersection(path.parts)
            or any(_within(inner, path) for inner in (*self.homes, *self.repositories))
            or any(str(path) == f"{home}/{each}" for home in self.homes for each in SHARED_FOLDERS)
        )


def _within(path: Path, folder: Path | str) -> bool:
    """`is_relative_to` for absolute paths, in a tenth of its time: it is asked 1,000 times a run."""
    return f"{path}/".startswith(f"{folder}/")


@record
class Found:
    """A program and the position on the host's PATH where it was found."""

    program: Path
    position: int


def find(programs: Iterable[str], path: str, home: Path, repository: Path) -> Toolchains:
    """Return read-only mounts for programs found on `path`, at the same places inside.

    A program's toolchain is mounted as a whole if that shows nothing else of the user's; else
    its own directory, else its file alone. What resolves to where secrets are is left out.
    """
    places = Places((home, home.resolve()), (repository, repository.resolve()))
    entries = [Path(entry) for entry in path.split(os.pathsep) if entry.startswith("/")]
    names = dict.fromkeys((*programs, *PROGRAMS))
    found = [hit for name in names if (hit := _which(name, entries, repository)) is not None]
    shown = _outermost(part for hit in found for part in _parts(hit.program, places))
    environment = _environment(shown, home)
    shown = _outermost([*shown, *(Path(value) for value in environment.values())])
    return Toolchains(
        mounts=tuple(Mount(part, str(part)) for part in (*shown, *_settings(found))),
        path=_path(found, entries, shown),
        masked=tuple(dict.fromkeys(str(file) for file in _credentials(shown))),
        environment=environment,
    )


def _which(name: str, entries: list[Path], repository: Path) -> Found | None:
    """Find a program as a shell would, but see through shims of pyenv's design."""
    for position, entry in enumerate(entries):
        candidate = f"{entry}/{name}"
        if "/" in name or not os.access(candidate, os.X_OK) or not os.path.isfile(candidate):  # noqa: PTH113  # asked 300 times a run
            continue
        if entry.name != "shims" or not (entry.parent / "versions").is_dir():
            return Found(Path(candidate), position)
        selected = _selected(entry.parent, name, repository)
        if selected is not None:
            return Found(selected, position)
    return None


def _selected(root: Path, name: str, repository: Path) -> Path | None:
    """Return the program that a shim would start: by the repository's file, else the global one."""
    local = repository / SHIM_FILES.get(root.name, ".python-version")
    for file in (local, root / "version"):
        wanted = (
            file.read_text(encoding="utf-8", errors="replace").split() if file.is_file() else []
        )
        for version in wanted:
            program = root / "versions" / _installed(root, version) / "bin" / name
            if program.is_file():
                return program
        if wanted:
            break
    return None


def _installed(root: Path, version: str) -> str:
    """Complete a version such as 3.12 to the newest 3.12.x that is installed."""
    names = [entry.name for entry in (root / "versions").iterdir()]
    if version in names:
        return version
    matching = [name for name in names if name.startswith(f"{version}.")]
    return max(matching, key=_numbers, default="-")


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def _parts(program: Path, places: Places) -> Iterator[Path]:
    """What must be there for one program: its links, their targets, a venv's base."""
    for step in _links(program):
        if _of_system(step):
            continue
        part = _part(step, places)
        if part is None:
            return
        yield part
    settings = program.parent.parent / "pyvenv.cfg"
    if settings.is_file():
        base = Path(_venv_home(settings), program.resolve().name)
        if base.exists() and base.parent != program.parent:
            yield from _parts(base, places)


def _links(program: Path) -> Iterator[Path]:
    """The program's path, each path that it is a link to, and its real path."""
    yield program
    current = program
    for _ in range(40):  # the kernel's own limit
        if not current.is_symlink():
            break
        current = Path(os.path.normpath(current.parent / current.readlink()))
        yield current
    yield program.resolve()


def _part(program: Path, places: Places) -> Path | None:
    """Return the largest part of a toolchain that may be shown."""
    if not places.may_show(program):
        return None
    folder = program.parent
    root = folder.parent
    candidates = [folder, program]
    whole = folder.name in PROGRAM_FOLDERS and not (root / ".git").exists()
    if whole and not (root.name in PROGRAMS_ONLY and root.parent in places.homes):
        candidates.insert(0, root)
    return next(part for part in candidates if places.may_show(part))


def _venv_home(settings: Path) -> str:
    """Return the base interpreter's directory: the key `home` of a venv's pyvenv.cfg (PEP 405)."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(f"[venv]\n{settings.read_text(encoding='utf-8', errors='replace')}")
    except configparser.Error:
        return ""
    return parser.get("venv", "home", fallback="")


def _environment(shown: list[Path], home: Path) -> dict[str, str]:
    variables = {name: home / folder for name, folder in HOMES.items()}
    return {
        name: str(folder)
        for name, folder in variables.items()
        if folder.is_dir() and any(_belongs(part, folder, home) for part in shown)
    }


def _belongs(part: Path, folder: Path, home: Path) -> bool:
    """Tell whether a shown part is of the version manager that lives in `folder`."""
    if _within(part, folder):
        return True
    return folder == home / ".rustup" and _within(part, home / ".cargo")


def _outermost(parts: Iterable[Path]) -> list[Path]:
    """Drop what lies in another part; keep the order."""
    unique = list(dict.fromkeys(parts))
    return [
        part
        for part in unique
        if not any(part != other and _within(part, other) for other in unique)
    ]


def _path(found: list[Found], entries: list[Path], shown: list[Path]) -> tuple[str, ...]:
    """Directories of programs in the order of the host's PATH: the system's, and those shown."""
    at = {hit.program.parent: hit.position for hit in reversed(found)}
    at |= {entry: place for place, entry in enumerate(entries) if _of_system(entry)}
    present = [
        folder
        for folder in sorted(at, key=lambda folder: (at[folder], str(folder)))
        if _of_system(folder)
        or any(_within(folder, part) or part.parent == folder for part in shown)
    ]
    return tuple(str(folder) for folder in present)


def _of_system(path: Path) -> bool:
    return any(_within(path, folder) for folder in SYSTEM)


def _credentials(shown: list[Path]) -> Iterator[Path]:
    for file in (part / name for part in shown for name in CREDENTIALS):
        if file.is_file():
            for path in (file, file.resolve()):
                if not path.is_symlink() and any(_within(path, part) for part in shown):
                    yield path


def _settings(found: list[Found]) -> Iterator[Path]:
    for hit in found:
        if hit.program.name in SYSTEM_SETTINGS and _of_system(hit.program):
            yield from sorted(Path("/etc").glob(SYSTEM_SETTINGS[hit.program.name]))
