"""The doctor's canaries: they sing where the sandbox holds, and fall silent where it does not."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

import agentflow
from agentflow.canaries import PROMISES, prove
from agentflow.errors import EnvironmentFailure
from tests.attacks.mutation import Mutation
from tests.attacks.protections import MUTATIONS

pytestmark = pytest.mark.sandbox

WEAKER = """#!{python}
# A bubblewrap that has other words for some options; never the PID namespace.
import os, re, sys
if "--args" in sys.argv:
    at = sys.argv.index("--args") + 1
    with open(int(sys.argv[at]), "rb", closefd=False) as file:
        words = file.read().decode()
    for old, new in {change!r}:
        words, count = re.subn(old, new, words)
        assert count, old
    new = os.memfd_create("arguments"); os.write(new, words.encode()); os.lseek(new, 0, 0)
    os.set_inheritable(new, True)
    sys.argv[at] = str(new)
os.execv({real!r}, [{real!r}, *sys.argv[1:]])
"""
NUL = "\0"
"""Ends each word of bubblewrap's arguments."""
MARKERS = f"{NUL}/workspace/.orchestrator/complete{NUL}"
WRITABLE = (r"--ro-bind(-fd)?\0([^\0]*)\0/workspace\0", r"--bind\1\0\2\0/workspace\0")
"""The work tree, and nothing of this machine."""
OPTIONS = {
    "writes": [WRITABLE],
    "reads": [
        ("--chdir", NUL.join(("--ro-bind", *[tempfile.gettempdir()] * 2, "--chdir"))),
    ],
    "network": [(f"--unshare-net{NUL}", "")],
    "evidence": [WRITABLE, (re.escape(MARKERS), f"{NUL}/tmp/complete{NUL}")],
}
"""Promises that options of bubblewrap hold: what takes the options away."""
EDITS = {
    "processes": "everything killed after a command",
    "import": "import: boundaries",
}
"""Promises that agentflow's own code holds: the protection that is dropped."""


def weakened(folder: Path, real: str, change: Sequence[tuple[str, str]]) -> str:
    """A PATH with a bubblewrap that has other words for some options."""
    program = folder / "bwrap"
    program.write_text(WEAKER.format(python="/usr/bin/python3", real=real, change=[*change]))
    program.chmod(0o755)
    return str(folder)


def without(folder: Path, dropped: Mutation) -> str:
    """A PYTHONPATH with agentflow without one of its protections."""
    copy = folder / "src/agentflow"
    shutil.copytree(Path(agentflow.__file__).parent, copy)
    for edit in dropped.edits:
        text = (copy / edit.file).read_text("utf-8")
        (copy / edit.file).write_text(text.replace(edit.old, edit.new), "utf-8")
    return str(copy.parent)


def test_every_promise_holds_here(bwrap: str) -> None:
    found = prove()
    assert [proof.promise for proof in found] == list(PROMISES)
    assert [proof.broken for proof in found] == [""] * 6
    assert [proof.remedy for proof in found] == [""] * 6


@pytest.mark.parametrize("promise", OPTIONS)
def test_a_missing_option_is_found(bwrap: str, tmp_path: Path, promise: str) -> None:
    search = weakened(tmp_path, bwrap, OPTIONS[promise])
    found = {proof.promise: proof for proof in prove(search)}
    assert found[promise].broken
    assert found[promise].remedy


@pytest.mark.parametrize("promise", EDITS)
def test_a_missing_protection_is_found(tmp_path: Path, promise: str) -> None:
    (dropped,) = (each for each in MUTATIONS if each.protection == EDITS[promise])
    show = "import json; from agentflow.canaries import prove; "
    show += "print(json.dumps({each.promise: each.broken for each in prove()}))"
    ended = subprocess.run(
        [sys.executable, "-P", "-c", show],
        env={**os.environ, "PYTHONPATH": without(tmp_path, dropped)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(ended.stdout)
    assert [name for name, broken in found.items() if broken] == [promise]


def test_each_promise_was_seen_broken() -> None:
    assert {*OPTIONS, *EDITS} == {*PROMISES}


def test_a_missing_bubblewrap_is_said(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure, match="not installed"):
        prove(str(tmp_path))
