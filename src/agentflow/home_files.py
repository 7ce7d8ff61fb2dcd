"""Files of the user's home folder that setup may read: a package registry's credentials."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from agentflow.errors import UsageError
from agentflow.sandbox.policy import GIT_CONFIGURATION


def home_files(home: Path, names: Sequence[str]) -> dict[str, Path]:
    """The files among these paths of the user's home folder that exist, by their real path.

    Raises `UsageError` for a path that leaves the home folder, by its name or through a link, and
    for a directory.
    """
    found: dict[str, Path] = {}
    for name in names:
        path = PurePosixPath(name)
        real = (home / name).resolve()
        outside = path.is_absolute() or ".." in path.parts or not path.parts
        if outside or not real.is_relative_to(home.resolve()):
            raise UsageError(f"environment.files: {name!r} is not within your home folder")
        if real.is_dir():
            raise UsageError(
                f"environment.files: {name!r} is a directory", hint="Name the files in it."
            )
        if real.is_file():
            found[str(path)] = real
    return found


def linked_home(folder: Path, files: Mapping[str, Path]) -> Path:
    """A home folder with links to files, for a setup that runs without a sandbox."""
    folder.mkdir()
    (folder / ".gitconfig").write_text(GIT_CONFIGURATION, encoding="utf-8")
    for name, file in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.symlink_to(file)
    return folder
