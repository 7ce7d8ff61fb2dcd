"""`agentflow bundle`, `land`, `pr` and `attest`: a run taken to another clone, judged and pushed there."""

import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from agentflow.attestation import schema
from tests.cli.delivered import Delivered, copied, make_delivered

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, bwrap: str) -> Delivered:
    return make_delivered(tmp_path_factory.mktemp("delivered") / "made")


@pytest.fixture
def done(made: Delivered, tmp_path: Path) -> Delivered:
    return copied(made, tmp_path / "places")


def bundled(done: Delivered, *more: str) -> Path:
    file = done.folder / "run.tar"
    ended = done.run(done.shell.project.root, "bundle", "TASK-1", "-o", str(file), *more)
    assert ended.returncode == 0, ended.stderr
    return file


def changed(
    file: Path, change: Callable[[dict[str, bytes]], None], *, honest: bool = False
) -> Path:
    """The bundle with changed members; with `honest`, the manifest says so."""
    with tarfile.open(file) as archive:
        members = {
            entry.name: (archive.extractfile(entry) or io.BytesIO()).read() for entry in archive
        }
    change(members)
    if honest:
        manifest = json.loads(members["manifest.json"])
        manifest["sha256"] = {
            name: hashlib.sha256(members[name]).hexdigest() for name in manifest["sha256"]
        }
        members["manifest.json"] = json.dumps(manifest).encode()
    other = file.with_name("changed.tar")
    with tarfile.open(other, "w") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return other


def refs(place: Path) -> str:
    return subprocess.run(
        ["git", "for-each-ref"], cwd=place, capture_output=True, text=True, check=True
    ).stdout


def test_a_bundle_is_judged_again_landed_and_pushed(done: Delivered) -> None:
    before = refs(done.shell.project.root)
    file = bundled(done)
    assert refs(done.shell.project.root) == before
    place = done.second("second")

    ended = done.run(place, "land", str(file), "--push", "--output-format", "json")

    found = json.loads(ended.stdout)
    assert (ended.returncode, found["passed"]) == (0, True), ended.stderr
    assert {gate["gate"]: gate["status"] for gate in found["gates"]}["build:test"] == "passed"
    assert done.git(done.remote, "rev-parse", "agentflow/TASK-1") == done.tip
    assert done.git(place, "rev-parse", "agentflow/TASK-1") == done.tip
    assert done.git(done.remote, "rev-parse", "main") == done.report["base"]

    again = done.run(place, "land", str(file), "--push")
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[-1] == "  pushed   origin agentflow/TASK-1"


def test_what_the_gates_of_the_second_job_refuse_is_not_pushed(done: Delivered) -> None:
    """The file was made by whoever ran the model: its manifest, report and verdict may all say yes."""
    file, place = bundled(done), done.second("second")
    before = refs(done.remote)

    ended = done.run(place, "land", str(file), "--push", "--allow", "docs/**")
    assert ended.returncode == 1, ended.stderr
    assert "boundaries" in ended.stdout
    red = done.run(place, "land", str(file), "--push", "--gate", "test=false")
    assert red.returncode == 1, red.stderr

    assert refs(done.remote) == before
    assert "agentflow/TASK-1" not in refs(place)


def test_commits_that_were_put_in_are_judged_as_they_are(done: Delivered) -> None:
    """Another commit in the place of the verified one, with an honest manifest around it."""
    project = done.shell.project
    project.git("checkout", "-q", "-b", "evil", done.tip)
    project.write("README.md", "evil\n")
    evil = project.commit("chore: more")
    project.git("update-ref", "refs/agentflow/bundle", evil)
    packed = subprocess.run(
        ["git", "bundle", "create", "-", "refs/agentflow/bundle", f"^{done.report['base']}", "--quiet"],
        cwd=project.root, capture_output=True, check=True,
    ).stdout  # fmt: skip

    def put_in(members: dict[str, bytes]) -> None:
        members["commits.bundle"] = packed
        manifest = json.loads(members["manifest.json"])
        members["manifest.json"] = json.dumps({**manifest, "tip": evil}).encode()

    file = changed(bundled(done), put_in, honest=True)
    before = refs(done.remote)
    ended = done.run(done.second("second"), "land", str(file), "--push")

    assert ended.returncode == 1, ended.stderr
    assert "README.md: outside the allowed paths" in ended.stdout
    assert refs(done.remote) == before


@pytest.mark.parametrize(
    ("member", "old", "new", "honest", "told"),
    [
        (
            "report.json",
            b'"outcome": "done"',
            b'"outcome": "DONE"',
            False,
            "report.json was changed",
        ),
        ("commits.bundle", b"PACK", b"PUCK", False, "commits.bundle was changed"),
        ("commits.bundle", b"PACK", b"PUCK", True, "the bundle's commits are damaged"),
        ("verdict.json", b"gates", b"gaTes", False, "verdict.json was changed"),
        ("manifest.json", b"TASK-1-", b"../../x-", False, "its report is of another run"),
        ("manifest.json", b"agentflow-bundle-1", b"agentflow-bundle-9", False, "its format is not"),
    ],
)
def test_a_tampered_bundle_is_refused(
    done: Delivered, member: str, old: bytes, new: bytes, *, honest: bool, told: str
) -> None:
    def tamper(members: dict[str, bytes]) -> None:
        assert old in members[member]
        members[member] = members[member].replace(old, new)

    file = changed(bundled(done), tamper, honest=honest)
    place = done.second("second")
    before = refs(place), refs(done.remote)

    ended = done.run(place, "land", str(file), "--push")

    assert ended.returncode == 2, ended.stdout
    assert told in ended.stderr
    assert (refs(place), refs(done.remote)) == before


def test_what_is_no_bundle_is_refused(done: Delivered) -> None:
    place, file = done.second("second"), done.folder / "x.tar"
    for data in (b"", b"x" * 2000):
        file.write_bytes(data)
        assert done.run(place, "land", str(file)).returncode == 2
    with tarfile.open(file, "w") as archive:
        link = tarfile.TarInfo("manifest.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    ended = done.run(place, "land", str(file))
    assert (ended.returncode, "it holds 'manifest.json'" in ended.stderr) == (2, True)
    for place_of_none in ("/dev/zero", str(done.folder), "/dev/null"):
        ended = done.run(place, "land", place_of_none)
        assert (ended.returncode, "cannot read" in ended.stderr) == (2, True), ended.stderr
    pipe = done.folder / "pipe"
    os.mkfifo(pipe)  # nobody writes into it: who opens it waits for ever
    ended = done.run(place, "land", str(pipe))
    assert (ended.returncode, "not a regular file" in ended.stderr) == (2, True), ended.stderr


def test_a_base_of_another_history_is_a_conflict(done: Delivered) -> None:
    file, place = bundled(done), done.second("second")
    done.git(place, "checkout", "-q", "--orphan", "other")
    done.git(place, "commit", "-q", "-m", "other")

    ended = done.run(place, "land", str(file))

    assert ended.returncode == 7
    assert "is not in the history of" in ended.stderr


def test_a_protected_branch_is_pushed_to_only_by_its_name(done: Delivered) -> None:
    file, place = bundled(done), done.second("second")
    done.git(place, "checkout", "-q", "--detach")
    done.git(place, "branch", "-q", "-D", "main")
    done.git(done.remote, "symbolic-ref", "HEAD", "refs/heads/agentflow/TASK-1")
    done.git(done.remote, "update-ref", "refs/heads/agentflow/TASK-1", done.report["base"])

    ended = done.run(place, "land", str(file), "--push")
    assert ended.returncode == 7
    assert "agentflow/TASK-1 is a protected or default branch of origin" in ended.stderr

    named = done.run(place, "land", str(file), "--push", "--target", "main")
    assert named.returncode == 0, named.stderr
    assert done.git(done.remote, "rev-parse", "main") == done.tip

    done.git(done.remote, "update-ref", "refs/heads/moved", moved(done))
    rejected = done.run(place, "land", str(file), "--push", "--target", "moved")
    assert rejected.returncode == 7
    assert "the remote refused the push" in rejected.stderr
    assert "hint: " not in rejected.stderr
    assert rejected.stderr.splitlines()[-1].endswith("remove it there first.")
    done.git(place, "branch", "taken", done.git(place, "commit-tree", "HEAD^{tree}", "-m", "other"))
    taken = done.run(place, "land", str(file), "--target", "taken")
    assert (taken.returncode, "Give --target another name" in taken.stderr) == (7, True)
    assert "--fresh" not in taken.stderr
    ref = done.run(place, "land", str(file), "--push", "--target", "refs/heads/main")
    assert (ref.returncode, "Give its short name: main" in ref.stderr) == (2, True)
    assert not done.git(place, "branch", "--list", "refs/heads/*")


def moved(done: Delivered) -> str:
    """Another commit on the base, in the remote."""
    tree = done.git(done.remote, "rev-parse", "main^{tree}")
    who = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    return done.git(done.remote, *who, "commit-tree", tree, "-p", done.report["base"], "-m", "x")


def test_a_task_that_nobody_knows_needs_its_boundaries(done: Delivered) -> None:
    file, place = bundled(done), done.second("second")
    done.git(place, "rm", "-q", "-r", ".orchestrator/tasks")
    done.git(place, "commit", "-q", "-m", "no tasks")

    ended = done.run(place, "land", str(file))
    assert ended.returncode == 2
    assert "nothing says what the commits may change" in ended.stderr
    assert done.run(place, "land", str(file), "--allow", "app/**").returncode == 0


GH = """#!{python}
import json, os, sys
state = {state!r}
calls = json.load(open(state)) if os.path.exists(state) else []
body = sys.stdin.read() if "--body-file" in sys.argv else ""
made = any(call[:2] == ["pr", "create"] for call, _ in calls)
calls.append([sys.argv[1:], body])
json.dump(calls, open(state, "w"))
if sys.argv[1:3] == ["pr", "list"]:
    def listed(number, owner):
        return {{"number": number, "url": f"https://github.com/o/r/pull/{{number}}",
                "headRepository": owner and {{"id": "R_1", "name": "r"}},
                "headRepositoryOwner": owner and {{"id": "U_1", "login": owner}}}}
    ours = [listed(7, "O")] if made else []
    print(json.dumps([listed(5, None), listed(6, "stranger"), *ours]))
elif sys.argv[1:3] == ["pr", "create"]:
    print("https://github.com/o/r/pull/7")
"""


def with_program(done: Delivered, name: str, source: str) -> str:
    """A folder for PATH with a program in it."""
    folder = done.folder / "bin"
    folder.mkdir()
    file = folder / name
    file.write_text(source)
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return f"{folder}:{done.shell.environment['PATH']}"


def github(done: Delivered, url: str = "git@github.com:o/r.git") -> None:
    """Let the remote be one at GitHub or elsewhere, by an `ssh` that gets only as far as the folder."""
    root, ssh = done.shell.project.root, done.folder / "ssh"
    ssh.write_text(f"#!/bin/sh\nfor last; do :; done\nexec ${{last%% *}} {done.remote}\n")
    ssh.chmod(0o755)
    for key, value in (
        ("remote.origin.url", url),
        ("core.sshCommand", str(ssh)),
        ("ssh.variant", "simple"),
    ):
        done.git(root, "config", key, value)


def test_a_pull_request_is_opened_and_then_updated(done: Delivered) -> None:
    """Requests from forks have the same branch's name; those are a stranger's."""
    state = done.folder / "calls.json"
    path = with_program(done, "gh", GH.format(python=sys.executable, state=str(state)))
    github(done)
    root = done.shell.project.root

    first = done.run(root, "pr", "TASK-1", PATH=path, GH_HOST="github.com")
    second = done.run(root, "pr", "TASK-1", "--json", PATH=path, GH_HOST="github.com")

    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert first.stdout == "opened  https://github.com/o/r/pull/7\n"
    assert json.loads(second.stdout)["action"] == "updated"
    calls = json.loads(state.read_text())
    assert [call[:2] for call, _ in calls] == [
        ["pr", "list"], ["pr", "create"], ["pr", "list"], ["pr", "edit"],
    ]  # fmt: skip
    assert calls[1][0][2:6] == ["--head", "agentflow/TASK-1", "--base", "main"]
    assert calls[3][0][2] == "7"
    assert "✅ passed ` build:test `" in calls[1][1]
    assert done.git(done.remote, "rev-parse", "agentflow/TASK-1") == done.tip


GLAB = """#!/bin/sh
echo "$1 $2" >> {log}
case "$2" in
    list)
        forked='{{"iid": 2, "web_url": "https://gitlab.example.com/o/r/-/merge_requests/2", "source_project_id": 66}}'
        ours='{{"iid": 3, "web_url": "https://gitlab.example.com/o/r/-/merge_requests/3", "source_project_id": 10}}'
        if grep -q create {log}; then echo "[$forked, $ours]"; else echo "[$forked]"; fi ;;
    projects/o%2Fr) echo '{{"id": 10}}' ;;
    create) echo "!3 https://gitlab.example.com/o/r/-/merge_requests/3" ;;
esac
"""


def test_a_merge_request_is_opened_and_then_updated(done: Delivered) -> None:
    log = done.folder / "log"
    path = with_program(done, "glab", GLAB.format(log=log))
    github(done, "ssh://git@gitlab.example.com/o/r.git")
    root = done.shell.project.root

    ended = [done.run(root, "pr", "TASK-1", PATH=path) for _ in range(2)]

    address = "https://gitlab.example.com/o/r/-/merge_requests/3"
    assert [each.stdout for each in ended] == [f"opened  {address}\n", f"updated  {address}\n"]
    asked = ["mr list", "api projects/o%2Fr"]
    assert log.read_text().splitlines()[:6] == [*asked, "mr create", *asked, "mr update"]
    told = done.run(root, "pr", "TASK-1").stdout.splitlines()[0]
    assert told == (
        "open it yourself  https://gitlab.example.com/o/r/-/merge_requests/new?merge_request%5Bsource_branch%5D="
        "agentflow%2FTASK-1&merge_request%5Btarget_branch%5D=main"
    )


def test_without_a_program_the_address_and_the_body_are_printed(done: Delivered) -> None:
    unknown = done.run(done.shell.project.root, "pr", "TASK-1")
    assert unknown.stdout.splitlines()[0] == (
        "open it yourself  on the server of origin, with this title and text:"
    )
    github(done)
    ended = done.run(done.shell.project.root, "pr", "TASK-1")

    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert (
        lines[0]
        == "open it yourself  https://github.com/o/r/compare/main...agentflow/TASK-1?expand=1"
    )
    assert lines[1].startswith("TASK-1: ")
    assert "✅ passed ` build:test `" in ended.stdout


def test_a_program_that_fails_is_told_and_the_branch_is_there(done: Delivered) -> None:
    path = with_program(done, "gh", "#!/bin/sh\necho '::error::not logged in' >&2; exit 4\n")
    github(done)

    ended = done.run(done.shell.project.root, "pr", "TASK-1", PATH=path)

    assert ended.returncode == 5
    assert "pr list failed: : :error::not logged in" in ended.stderr
    assert done.git(done.remote, "rev-parse", "agentflow/TASK-1") == done.tip


def test_a_place_where_no_file_can_be_is_refused_everywhere_alike(done: Delivered) -> None:
    for command in (["report"], ["bundle"], ["attest"], ["runs", "export"]):
        ended = done.run(done.shell.project.root, *command, "TASK-1", "-o", "nowhere/file")
        folder = done.shell.project.root / "nowhere"
        told = f"error: nowhere/file cannot be written: there is no folder {folder}"
        assert (ended.returncode, ended.stderr.splitlines()[0]) == (2, told), command


def test_what_is_handed_to_others_is_a_new_file(done: Delivered) -> None:
    """Of a page or a report of CI the newest counts; this may be the only copy of what was signed."""
    root = done.shell.project.root
    (root / "notes.json").write_text("mine")
    for command in (["bundle"], ["attest"], ["runs", "export"]):
        ended = done.run(root, *command, "TASK-1", "-o", "notes.json")
        told = "error: notes.json is there already\n  Name another file, or remove this one.\n"
        assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", told), command
    assert (root / "notes.json").read_text() == "mine"


def test_an_attestation_is_made_signed_and_checked(done: Delivered) -> None:
    root, key = done.shell.project.root, done.folder / "key"
    for file in (key, done.folder / "other"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ci", "-f", file], check=True
        )
    signers = done.folder / "signers"
    signers.write_text(f"ci@example.com {key.with_suffix('.pub').read_text()}")
    plain, signed = done.folder / "plain.json", done.folder / "signed.json"

    unsigned = done.run(root, "attest", "TASK-1", "-o", str(plain))
    assert (unsigned.returncode, "not signed" in unsigned.stderr) == (0, True)
    statement = json.loads(plain.read_text())
    validator: Any = Draft202012Validator(schema())
    validator.validate(statement)
    assert statement["subject"][0]["digest"] == {"gitCommit": done.tip}
    assert statement["predicate"]["prompt"] == done.report["prompt"]
    refused = done.run(root, "attest", "verify", str(plain))
    assert (refused.returncode, "is not signed" in refused.stderr) == (1, True)
    taken = done.run(root, "attest", "verify", str(plain), "--allow-unsigned")
    assert taken.stdout.splitlines()[0] == f"{done.tip} was verified (not signed)"

    made = done.run(root, "attest", "TASK-1", "-o", str(signed), AGENTFLOW_ATTEST_KEY=str(key))
    assert made.returncode == 0, made.stderr
    check = ("attest", "verify", str(signed))
    assert done.run(root, *check).returncode == 2
    good = done.run(root, *check, "--allowed-signers", str(signers), "--json")
    assert json.loads(good.stdout)["signer"] == "ci@example.com", good.stderr
    envelope = json.loads(signed.read_text())
    payload = bytearray(envelope["payload"].encode())
    payload[40] ^= 1
    signed.write_text(json.dumps({**envelope, "payload": payload.decode()}))
    assert done.run(root, *check, "--allowed-signers", str(signers)).returncode == 2
    signed.write_text(json.dumps(envelope))
    signers.write_text(f"ci@example.com {(done.folder / 'other.pub').read_text()}")
    stranger = done.run(root, *check, "--allowed-signers", str(signers))
    assert (stranger.returncode, "none of the signers" in stranger.stderr) == (2, True)
    keyless = done.run(root, "attest", "TASK-1", "--key", "nowhere")
    assert (keyless.returncode, keyless.stderr.splitlines()[0]) == (
        2,
        "error: there is no key nowhere",
    )
    nobody = done.run(root, *check, "--allowed-signers", "nowhere")
    told = "error: there is no file of allowed signers: nowhere"
    assert (nobody.returncode, nobody.stderr.splitlines()[0]) == (2, told)


def test_an_attestation_that_does_not_fit_the_repository_fails(done: Delivered) -> None:
    root, file = done.shell.project.root, done.folder / "a.json"
    assert done.run(root, "attest", "TASK-1", "-o", str(file)).returncode == 0
    predicate = json.loads(file.read_text())["predicate"]
    gate, *gates = predicate["gates"]
    for changed, told in (
        ({"gates": [{**gate, "evidence": {"sha256": "0" * 64}}, *gates]}, "the gate commit"),
        ({"run": "TASK-1-20200101T000000-0000"}, "the commit does not name the run"),
        ({"run": "../../../etc"}, "the commit does not name the run"),
    ):
        statement = json.loads(file.read_text())
        wrong = done.folder / "wrong.json"
        wrong.write_text(json.dumps({**statement, "predicate": {**predicate, **changed}}))

        ended = done.run(root, "attest", "verify", str(wrong), "--allow-unsigned")

        assert (ended.returncode, told in ended.stderr) == (1, True), ended.stderr


def test_a_report_that_a_repository_brought_is_not_attested(done: Delivered) -> None:
    place = done.second("second")
    run = str(done.report["run"])
    folder = place / ".orchestrator/runs" / run
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(done.report))

    for command in ("attest", "bundle", "pr"):
        ended = done.run(place, command, run)
        assert ended.returncode == 2
        assert "nothing in this repository confirms" in ended.stderr


def test_a_bundle_may_have_to_be_signed(done: Delivered) -> None:
    key, signers = done.folder / "key", done.folder / "signers"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ci", "-f", key], check=True
    )
    signers.write_text(f"ci@example.com {key.with_suffix('.pub').read_text()}")
    place, asked = done.second("second"), ("--allowed-signers", str(signers))

    file = bundled(done)
    ended = done.run(place, "land", str(file), *asked)
    assert (ended.returncode, "verdict is not signed" in ended.stderr) == (2, True)
    file.unlink()
    good = done.run(place, "land", str(bundled(done, "--key", str(key))), *asked)
    assert good.returncode == 0, good.stderr
    assert good.stdout.splitlines()[-1] == "  signer   ci@example.com"
