"""The doctor's canaries: they sing where the sandbox holds, and fall silent where it does not."""

import tempfile
from pathlib import Path

import pytest

from agentflow.canaries import PROMISES, prove
from agentflow.errors import EnvironmentFailure

pytestmark = pytest.mark.sandbox

WEAKER = """#!{python}
# A bubblewrap that changes one of its options; never the PID namespace.
import os, sys
REAL, CHANGE = {real!r}, {change!r}
if "--args" in sys.argv:
    at = sys.argv.index("--args") + 1
    with open(int(sys.argv[at]), "rb", closefd=False) as file:
        words = file.read().decode().split("\\0")
    words = [new for word in words for new in CHANGE.get(word, [word])]
    new = os.memfd_create("arguments"); os.write(new, "\\0".join(words).encode()); os.lseek(new, 0, 0)
    os.set_inheritable(new, True)
    sys.argv[at] = str(new)
os.execv(REAL, [REAL, *sys.argv[1:]])
"""


def weakened(folder: Path, real: str, **change: list[str]) -> str:
    """A PATH with a bubblewrap that has other words for some options."""
    program = folder / "bwrap"
    words = {f"--{name.replace('_', '-')}": each for name, each in change.items()}
    program.write_text(WEAKER.format(python="/usr/bin/python3", real=real, change=words))
    program.chmod(0o755)
    return str(folder)


def test_every_promise_holds_here(bwrap: str) -> None:
    found = prove()
    assert [proof.promise for proof in found] == list(PROMISES)
    assert [proof.broken for proof in found] == [""] * 6
    assert [proof.remedy for proof in found] == [""] * 6


@pytest.mark.parametrize(
    ("promise", "change"),
    [
        ("network", {"unshare_net": []}),
        ("writes", {"ro_bind_fd": ["--bind-fd"], "ro_bind": ["--bind"]}),
        (
            "reads",
            {"chdir": ["--ro-bind", tempfile.gettempdir(), tempfile.gettempdir(), "--chdir"]},
        ),
    ],
)
def test_a_missing_protection_is_found(
    bwrap: str, tmp_path: Path, promise: str, change: dict[str, list[str]]
) -> None:
    found = {proof.promise: proof for proof in prove(weakened(tmp_path, bwrap, **change))}
    assert found[promise].broken.startswith("an agent can ")
    assert found[promise].remedy


def test_a_missing_bubblewrap_is_said(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure, match="not installed"):
        prove(str(tmp_path))
