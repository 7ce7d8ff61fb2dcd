"""`agentflow land` on bundles that no agentflow wrote: forged commits with an honest manifest around them."""

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.cli.delivered import Delivered, copied, make_delivered
from tests.cli.shell import EVIL
from tests.run.project import Project

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, bwrap: str) -> Delivered:
    return make_delivered(tmp_path_factory.mktemp("delivered") / "made")


@pytest.fixture
def done(made: Delivered, tmp_path: Path) -> Delivered:
    return copied(made, tmp_path / "places")


def forged(done: Delivered, make: Callable[[Project], str]) -> Path:
    """A bundle whose commits were made by hand on the base of the honest one."""
    project = done.shell.project
    honest = done.folder / "run.tar"
    assert done.run(project.root, "bundle", "TASK-1", "-o", str(honest)).returncode == 0
    with tarfile.open(honest) as archive:
        members = {
            entry.name: (archive.extractfile(entry) or io.BytesIO()).read() for entry in archive
        }
    base = done.report["base"]
    project.git("checkout", "-q", "-f", "--detach", base)
    project.write("app/hello.txt", "hello\n")
    project.git("add", "--all")
    tip = make(project)
    project.git("update-ref", "refs/agentflow/bundle", tip)
    members["commits.bundle"] = subprocess.run(
        ["git", "bundle", "create", "-", "refs/agentflow/bundle", f"^{base}", "--quiet"],
        cwd=project.root, capture_output=True, check=True,
    ).stdout  # fmt: skip
    manifest = json.loads(members["manifest.json"])
    digests = {name: hashlib.sha256(members[name]).hexdigest() for name in manifest["sha256"]}
    members["manifest.json"] = json.dumps({**manifest, "tip": tip, "sha256": digests}).encode()
    file = done.folder / "forged.tar"
    with tarfile.open(file, "w") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return file


def committed(project: Project, *options: str, message: str = "feat: hello") -> str:
    project.git(*options, "commit", "--quiet", "--message", message)
    return project.git("rev-parse", "HEAD")


def tagged(project: Project) -> str:
    committed(project)
    project.git("tag", "--annotate", "--message", "no commit", "a-tag")
    return project.git("rev-parse", "a-tag")


def named_for_terminals(project: Project) -> str:
    return committed(project, "-c", f"user.name=Eve{EVIL}")


def branches(done: Delivered, place: Path) -> tuple[str, str]:
    form = "--format=%(refname) %(objectname)"
    return done.git(place, "for-each-ref", form), done.git(done.remote, "for-each-ref", form)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (tagged, "is no commit"),
        (partial(committed, message=f"feat: hello\n\n{EVIL}"), "control"),
        (named_for_terminals, "control"),
    ],
    ids=["a tag in the commit's place", "a message for terminals", "a name for terminals"],
)
def test_what_agentflow_never_writes_is_refused_and_moves_nothing(
    done: Delivered, make: Callable[[Project], str], told: str
) -> None:
    file, place = forged(done, make), done.second("second")
    before = branches(done, place)

    ended = done.run(place, "land", str(file), "--push")

    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    assert told in ended.stderr.splitlines()[0]
    assert "\x1b" not in ended.stderr
    assert branches(done, place) == before


def test_other_refs_of_a_bundle_move_nothing(done: Delivered) -> None:
    """A header that names the main branch beside the commit; the commit alone lands."""
    file, place = forged(done, committed), done.second("second")
    with tarfile.open(file) as archive:
        members = {
            entry.name: (archive.extractfile(entry) or io.BytesIO()).read() for entry in archive
        }
    tip = json.loads(members["manifest.json"])["tip"].encode()
    ref = tip + b" refs/agentflow/bundle\n"
    members["commits.bundle"] = members["commits.bundle"].replace(
        ref, tip + b" refs/heads/main\n" + tip + b" HEAD\n" + ref
    )
    manifest = json.loads(members["manifest.json"])
    manifest["sha256"]["commits.bundle"] = hashlib.sha256(members["commits.bundle"]).hexdigest()
    members["manifest.json"] = json.dumps(manifest).encode()
    with tarfile.open(file, "w") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    main = done.git(place, "rev-parse", "main")

    ended = done.run(place, "land", str(file), "--push")

    assert ended.returncode == 0, ended.stderr
    assert (
        done.git(place, "rev-parse", "main") == done.git(done.remote, "rev-parse", "main") == main
    )
    assert done.git(done.remote, "rev-parse", "agentflow/TASK-1") == tip.decode()
