"""A verified run in one file: its commits as a git bundle, its report, its attestation.

An uncompressed tar with exactly the members of `MEMBERS`. `manifest.json` names run, task, base and
tip, and the SHA-256 of the other members. Who can change the file can change that too: whoever lands
a bundle believes nothing of it, and judges the commits again.
"""

import hashlib
import io
import json
import re
import tarfile
from pathlib import Path

from agentflow.attestation import attested, statement_of
from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.frozen import record
from agentflow.journal import open_regular
from agentflow.records import Json
from agentflow.runs import started_at
from agentflow.strict_json import parse_object
from agentflow.tasks.task import check_id
from agentflow.verified_runs import VerifiedRun
from agentflow.workspace.repository import Repository

FORMAT = "agentflow-bundle-1"
MANIFEST, COMMITS, REPORT, VERDICT = (
    "manifest.json",
    "commits.bundle",
    "report.json",
    "verdict.json",
)
MEMBERS = (MANIFEST, COMMITS, REPORT, VERDICT)
MADE_BY = "It is a file that `agentflow bundle RUN` writes."
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
MAX_MEMBER = 256 << 20
"""Bytes; the import takes 100 MB of changed files."""
REF = "refs/agentflow/bundle"
"""The one ref in the git bundle."""


@record
class Bundle:
    """What a bundle says of itself, in the right form; nothing of it is proven."""

    run: str
    task: str
    base: str
    tip: str
    commits: bytes
    """A git bundle with the ref `REF`."""
    verdict: bytes
    """An attestation."""


def write_bundle(repository: Repository, found: VerifiedRun, key: Path | None, file: Path) -> None:
    """Write a run into a new file, its verdict signed if a key is given.

    Raises `UsageError` if the file is there, `EnvironmentFailure` if it cannot be written.
    """
    repository.git.run("update-ref", REF, found.tip)
    try:
        commits = repository.git.run("bundle", "create", "-", REF, f"^{found.base}", "--quiet")
    finally:
        repository.git.run("update-ref", "-d", REF)
    members = {
        COMMITS: commits,
        REPORT: (json.dumps(found.report, indent=2) + "\n").encode(),
        VERDICT: attested(statement_of(found.report, found.tip), key).encode(),
    }
    manifest: Json = {
        "format": FORMAT,
        **{name: getattr(found, name) for name in ("run", "task", "base", "tip")},
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in members.items()},
    }
    first = {MANIFEST: (json.dumps(manifest, indent=2) + "\n").encode()}
    try:
        with file.open("xb") as raw, tarfile.open(fileobj=raw, mode="w") as archive:
            for name, data in {**first, **members}.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    except FileExistsError as error:
        raise UsageError(
            f"{file} is there already", hint="Name another file, or remove this one."
        ) from error
    except OSError as error:
        file.unlink(missing_ok=True)
        raise EnvironmentFailure(f"cannot write {file}: {error.strerror}") from error


def read_bundle(file: Path) -> Bundle:
    """Read a bundle; believe nothing but its form. Raises `UsageError` for what is none."""
    try:
        return _checked(_members(file))
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}", hint=MADE_BY) from error
    except (LookupError, TypeError, ValueError, tarfile.TarError) as error:
        told = f"{file} is no bundle of agentflow, or was changed ({error})"
        raise UsageError(told, hint=MADE_BY) from error


def _checked(members: dict[str, bytes]) -> Bundle:
    manifest, report = parse_object(members[MANIFEST]), parse_object(members[REPORT])
    if manifest["format"] != FORMAT:
        raise ValueError(f"its format is not {FORMAT}")
    for name in MEMBERS[1:]:
        if manifest["sha256"][name] != hashlib.sha256(members[name]).hexdigest():
            raise ValueError(f"{name} was changed")
    run, task, base, tip = (str(manifest[name]) for name in ("run", "task", "base", "tip"))
    if (report["run"], report["task"], report["base"]) != (run, task, base):
        raise ValueError("its report is of another run")
    if started_at(run) is None or not run.startswith(f"{check_id(task)}-"):
        raise ValueError(f"{run[:100]!r} is no run's name")
    for name in (base, tip):
        if not _COMMIT.fullmatch(name):
            raise ValueError(f"{name[:100]!r} is no commit's name")
    return Bundle(run, task, base, tip, members[COMMITS], members[VERDICT])


def _members(file: Path) -> dict[str, bytes]:
    with open_regular(file.resolve()) as raw, tarfile.open(fileobj=raw, mode="r:") as archive:
        found: dict[str, bytes] = {}
        for entry in archive:
            if entry.name not in MEMBERS or entry.name in found or not entry.isreg():
                raise ValueError(f"it holds {entry.name[:100]!r}")
            if entry.size > MAX_MEMBER:
                raise ValueError(f"{entry.name} has {entry.size} bytes")
            data = archive.extractfile(entry)
            found[entry.name] = data.read() if data else b""
    missing = [name for name in MEMBERS if name not in found]
    if missing:
        raise ValueError(f"it lacks {missing[0]}")
    return found
