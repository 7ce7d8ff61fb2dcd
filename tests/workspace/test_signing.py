"""Signed commits: with real keys, once, and refused before any spend where that is impossible."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from agentflow.errors import EnvironmentFailure
from agentflow.records import Boundaries
from agentflow.results import Candidate
from agentflow.workspace.importer import make_candidate
from agentflow.workspace.land import keep_verified, land
from agentflow.workspace.repository import Repository, open_repository
from agentflow.workspace.signing import Signing, check_signing, find_signing
from tests.needs import need
from tests.patience import patiently
from tests.workspace.place import AUTHORSHIP, Place, Work

ADA = ("Ada", "ada@example.com")
SCRIPT = "echo x > app/x; git add -A; git commit -qm x; echo y > app/y"


def make_key(folder: Path, passphrase: str = "") -> Path:
    key = folder / "key"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "ada", "-f", str(key)],
        check=True,
    )
    return key


def sign_with(place: Place, key: str, kind: str = "ssh") -> None:
    place.user(
        'git config commit.gpgSign true; git config gpg.format "$FORMAT"; '
        'git config user.signingKey "$KEY"',
        FORMAT=kind,
        KEY=key,
    )


def signing_of(repository: Repository) -> Signing:
    found = find_signing(repository, None)
    assert found is not None
    return found


def collect(work: Work, signing: Signing) -> Candidate:
    authorship = replace(AUTHORSHIP, signing=signing)
    export = work.imported()
    return make_candidate(
        work.state, export, work.base, Boundaries(), "orchestrator", authorship
    )  # fmt: skip


@pytest.fixture
def signed(place: Place) -> Place:
    """A user who signs with an SSH key, and whose git knows whom to believe."""
    key = make_key(place.folder)
    public = key.with_suffix(".pub").read_text()
    (place.folder / "allowed").write_text(f"ada@example.com {public}")
    sign_with(place, str(key))
    place.user("git config gpg.ssh.allowedSignersFile ../allowed")
    return place


def test_without_a_wish_nothing_is_signed(place: Place, signed: Place) -> None:
    repository = signed.repository()

    assert find_signing(repository, None) == find_signing(repository, True)
    assert find_signing(repository, False) is None
    place.user("git config --unset commit.gpgSign")
    assert find_signing(place.repository(), None) is None


def test_only_what_a_signature_needs_is_passed_on(signed: Place) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(signed.folder),
        "SSH_AUTH_SOCK": "/agent",
        "GNUPGHOME": "/keys",
        "DISPLAY": ":0",
        "GPG_TTY": "/dev/tty",
        "API_KEY": "secret",
    }
    signed.user("git config gpg.ssh.program /bin/other; git config http.extraHeader secret")

    assert find_signing(open_repository(signed.root, environment), None) == Signing(
        "ssh",
        {
            "gpg.format": "ssh",
            "gpg.ssh.allowedsignersfile": "../allowed",
            "gpg.ssh.program": "/bin/other",
            "user.signingkey": str(signed.folder / "key"),
        },
        {k: environment[k] for k in ("PATH", "HOME", "SSH_AUTH_SOCK", "GNUPGHOME")},
    )


def test_signed_commits_land_and_git_verifies_them(signed: Place) -> None:
    work = signed.borrow()
    signing = signing_of(work.repository)
    check_signing(signing, *ADA)
    work.agent(SCRIPT)

    candidate = collect(work, signing)
    keep_verified(work.repository, work.state, "run-1", candidate)
    land(work.repository, candidate, "branch", "result", "run-1")

    assert candidate.claimed == {work.agent("git rev-parse HEAD"): candidate.commits[0].sha}
    assert signed.user("git verify-commit result result~1 2>&1").count("Good") == 2
    assert signed.user("git log --format='%G? %an %cn %s' main..result").splitlines() == [
        "G Ada Ada TASK-1: Say hello",
        "G Ada Ada x",
    ]
    signed.user("git config log.showSignature true")
    assert work.repository.landed_tasks("result") == {"TASK-1"}
    assert signed.user("git for-each-ref --format='%(refname)'").splitlines() == [
        "refs/heads/main",
        "refs/heads/result",
    ]


def test_the_same_work_is_signed_once(signed: Place) -> None:
    work = signed.borrow()
    signing = signing_of(work.repository)
    work.agent(SCRIPT)

    first = collect(work, signing)
    (signed.folder / "key").unlink()

    assert collect(work, signing) == first
    work.agent("echo z > app/z")
    with pytest.raises(EnvironmentFailure, match="cannot be signed"):
        collect(work, signing)


def test_a_relative_key_is_found_as_git_finds_it(signed: Place) -> None:
    signed.user("git config user.signingKey ../key")

    check_signing(signing_of(signed.repository()), *ADA)


def test_a_key_with_a_passphrase_refuses_at_once(place: Place) -> None:
    sign_with(place, str(make_key(place.folder, "secret phrase")))

    with pytest.raises(EnvironmentFailure, match="incorrect passphrase") as caught:
        check_signing(signing_of(place.repository()), *ADA)
    assert "\n" not in caught.value.message
    assert "ssh-add" in caught.value.hint
    assert "sign = false" in caught.value.hint


@pytest.mark.parametrize("key", ["/nowhere/key", "", "key::ssh-ed25519 AAAA"])
def test_a_wrong_ssh_key_refuses(place: Place, key: str) -> None:
    sign_with(place, key)

    with pytest.raises(EnvironmentFailure, match="commits cannot be signed with the ssh key"):
        check_signing(signing_of(place.repository()), *ADA)


def test_an_unknown_format_refuses(place: Place) -> None:
    sign_with(place, "x", "x509")

    with pytest.raises(EnvironmentFailure, match="format 'x509'"):
        find_signing(place.repository(), None)


def test_a_program_that_waits_has_no_terminal_and_is_ended_with_its_children(place: Place) -> None:
    waiting = place.folder / "waiting"
    waiting.write_text(
        f"#!/bin/sh\ncd {place.folder}\nsleep 1000 & echo $! > pid\n"
        "cut -d ' ' -f 6 /proc/self/stat > session; wait\n"
    )
    waiting.chmod(0o755)
    sign_with(place, "key", "openpgp")
    place.user(f"git config gpg.program {waiting}")

    with patiently(), pytest.raises(EnvironmentFailure, match=r"not done after 0.5 s"):
        check_signing(signing_of(place.repository()), *ADA, timeout=0.5)

    session = int((place.folder / "session").read_text())
    assert session != os.getsid(0), "a session of its own has no terminal"
    child = Path("/proc", (place.folder / "pid").read_text().strip(), "stat")
    assert not child.exists() or ") Z " in child.read_text("utf-8")


@pytest.fixture
def keyring() -> Generator[Path]:
    """GnuPG's folder with a key of Ada, under a short name: sockets have at most 107 characters."""
    need("gpg")
    folder = Path(tempfile.mkdtemp(prefix="g", dir="/tmp"))
    environment = {"PATH": os.environ["PATH"], "GNUPGHOME": str(folder), "HOME": str(folder)}
    try:
        subprocess.run(
            ["gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key",
             "Ada <ada@example.com>", "ed25519", "sign", "never"],
            env=environment, check=True, capture_output=True,
        )  # fmt: skip
        yield folder
    finally:
        subprocess.run(
            ["gpgconf", "--homedir", str(folder), "--kill", "all"], env=environment, check=False
        )
        shutil.rmtree(folder, ignore_errors=True)


def test_gnupg_signs_by_the_identity_and_refuses_a_wrong_key(place: Place, keyring: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(place.folder), "GNUPGHOME": str(keyring)}
    work = replace(place.borrow(), repository=open_repository(place.root, environment))
    signing = find_signing(work.repository, True)
    assert signing is not None
    check_signing(signing, *ADA)
    with pytest.raises(EnvironmentFailure, match=r"openpgp key 'eve@example.com': .*gpg failed"):
        check_signing(signing, "Eve", "eve@example.com")
    work.agent(SCRIPT)

    candidate = collect(work, signing)

    assert collect(work, signing) == candidate
    keep_verified(work.repository, work.state, "run-1", candidate)
    assert "Good signature" in place.user(
        f"git verify-commit {candidate.tip} 2>&1", GNUPGHOME=str(keyring)
    )
    place.user("git config user.signingKey 0123456789ABCDEF")
    again = find_signing(open_repository(place.root, environment), True)
    with pytest.raises(EnvironmentFailure, match="'0123456789ABCDEF'"):
        check_signing(again or signing, *ADA)
