"""The packages of the example repositories: fetched once, kept in a folder, served by `registry`.

`scripts/test-packages [FOLDER]` fills the folder through the npm and the pip that the user has
configured. The versions and checksums are those of the examples' lock files.
"""

import base64
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from platformdirs import user_cache_path

from agentflow.records import Json

REPOSITORIES = Path(__file__).parent / "repositories"
ADDED_NPM = (
    "escape-string-regexp",
    "5.0.0",
    "sha512-/veY75JbMK4j1yjvuUxuVsiS/hr/4iHs9FTT6cgTexxdE0Ly/glccBAkloH/DofkjRbZU3bnoj38mOmhkZ0lHw==",
)
"""Name, version and checksum of the package that a task of the npm workspace adds."""
ADDED_WHEEL = (
    "inflection==0.5.1 \\\n"
    "    --hash=sha256:1a29730d366e996aaacffb2f1f1cb9593dc38e2ddd30c91250c6dde09ea9b417 \\\n"
    "    --hash=sha256:f38b2b640938a4f35ade69ac3d053042959b62a0f1076a5bbaa1b9526605a8a2\n"
)
"""The requirement that a task of the Python service adds."""

_INDEX = "index.json"
_NODE = REPOSITORIES / "node"
_REQUIREMENTS = REPOSITORIES / "python" / "requirements.txt"


class Unavailable(Exception):
    """A package cannot be had; the message says why."""


@dataclass(frozen=True, slots=True)
class Tarball:
    """One version of an npm package."""

    file: str
    integrity: str
    """As in a lock file: `sha512-<Base64>`."""
    manifest: Json
    """Its package.json."""


@dataclass(frozen=True, slots=True)
class Packages:
    """A filled folder: `npm/*.tgz` and `wheels/*.whl`."""

    folder: Path
    tarballs: tuple[Tarball, ...]

    @property
    def wheels(self) -> tuple[Path, ...]:
        """All wheels, by name."""
        return tuple(sorted((self.folder / "wheels").glob("*.whl")))


def default_folder() -> Path:
    """`$AGENTFLOW_TEST_PACKAGES`, else a folder in the user's cache."""
    given = os.environ.get("AGENTFLOW_TEST_PACKAGES")
    return Path(given) if given else user_cache_path("agentflow-tests") / "packages"


def open_packages(folder: Path) -> Packages | None:
    """The packages of a folder; None unless it was filled for this machine and these locks."""
    try:
        index = json.loads((folder / _INDEX).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if index.get("digest") != _digest():
        return None
    return Packages(folder, tuple(Tarball(**each) for each in index["tarballs"]))


def fill(folder: Path) -> Packages:
    """Fetch what is missing. Raises `Unavailable`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{folder}.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        present = open_packages(folder)
        if present:
            return present
        with tempfile.TemporaryDirectory(prefix="packages-", dir=folder.parent) as name:
            new = Path(name) / "packages"
            tarballs = _fetch_npm(new / "npm", Path(name) / "workspace")
            _fetch_wheels(new / "wheels")
            index = {
                "digest": _digest(),
                "tarballs": [
                    {"file": each.file, "integrity": each.integrity, "manifest": each.manifest}
                    for each in tarballs
                ],
            }
            (new / _INDEX).write_text(json.dumps(index), "utf-8")
            shutil.rmtree(folder, ignore_errors=True)
            new.rename(folder)
        return Packages(folder, tarballs)


def _fetch_npm(folder: Path, workspace: Path) -> tuple[Tarball, ...]:
    """Let npm say what this machine needs of the lock file, and fetch that."""
    folder.mkdir(parents=True)
    for file in (_NODE / "package-lock.json", *_NODE.rglob("package.json")):
        target = workspace / file.relative_to(_NODE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], workspace)
    installed = json.loads((workspace / "node_modules/.package-lock.json").read_text("utf-8"))
    name, version, integrity = ADDED_NPM
    wanted = {f"{name}@{version}": integrity}
    for path, entry in installed["packages"].items():
        if "integrity" in entry:
            known_as = path.rpartition("node_modules/")[2]
            wanted[f"{entry.get('name', known_as)}@{entry['version']}"] = entry["integrity"]
    _run(["npm", "pack", "--ignore-scripts", "--pack-destination", str(folder), *wanted], workspace)
    tarballs = tuple(_read_tarball(file) for file in sorted(folder.glob("*.tgz")))
    missing = set(wanted.values()) - {each.integrity for each in tarballs}
    if missing:
        raise Unavailable(f"npm fetched other packages than the lock file names: {missing}")
    return tarballs


def _read_tarball(file: Path) -> Tarball:
    sum_ = base64.b64encode(hashlib.sha512(file.read_bytes()).digest()).decode()
    with tarfile.open(file) as archive:
        member = next(each for each in archive if _is_manifest(each.name))
        manifest: IO[bytes] | None = archive.extractfile(member)
        assert manifest is not None
        return Tarball(file.name, f"sha512-{sum_}", json.load(manifest))


def _is_manifest(name: str) -> bool:
    return name.count("/") == 1 and name.endswith("/package.json")


def _fetch_wheels(folder: Path) -> None:
    folder.mkdir(parents=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as added:
        added.write(ADDED_WHEEL)
        added.flush()
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes"]
        options = ["--only-binary", ":all:", "--dest", str(folder)]
        _run([*pip, *options, "-r", str(_REQUIREMENTS), "-r", added.name], folder)


def _run(command: Sequence[str], folder: Path) -> None:
    try:
        ended = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=600
        )
    except OSError as error:
        raise Unavailable(f"{command[0]}: {error.strerror}") from error
    if ended.returncode:
        raise Unavailable(f"{command[0]} failed: {ended.stderr.strip()[-2000:]}")


def _digest() -> str:
    """Of everything that decides which packages are needed."""
    parts: Iterable[bytes] = (
        (_NODE / "package-lock.json").read_bytes(),
        _REQUIREMENTS.read_bytes(),
        repr((ADDED_NPM, ADDED_WHEEL)).encode(),
        repr((platform.machine(), platform.libc_ver()[0], sys.version_info[:2])).encode(),
    )
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else default_folder()
    try:
        filled = fill(target.absolute())
    except Unavailable as error:
        sys.exit(f"the packages of the example repositories cannot be fetched: {error}")
    counts = f"{len(filled.tarballs)} npm packages, {len(filled.wheels)} wheels"
    sys.stdout.write(f"{counts}: {filled.folder}\n")
