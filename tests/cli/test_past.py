"""`agentflow runs fork|diff|export`, on the command line."""

import asyncio
import json
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from agentflow.models.scripted import ScriptedServer, read_script
from tests.cli.shell import Shell
from tests.run.project import HELLO, bash, turn

pytestmark = pytest.mark.sandbox

TURNS = [
    turn(bash("echo one >> app/log.txt")),
    turn(bash("echo two >> app/log.txt; echo x > app/x.txt")),
    turn(bash("true")),
    turn(HELLO),
    turn(text="I wrote it."),
]
TOKEN = "ghp_" + "".join(chr(97 + 7 * n % 26) for n in range(36))
KEY = "a-key-of-your-own-server"
PIECES = f"printf ghp_%s {TOKEN[4:]} > app/notes.txt"
"""What the agent runs shows no token; the file that it writes does."""


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, bwrap: str) -> tuple[Shell, str]:
    """A run that stopped after three turns; tests look at it, and begin others from it."""
    shell = Shell(tmp_path_factory.mktemp("past"))
    shell.project.write(".orchestrator/prompts/other.md", "Be brief, and do what the task says.\n")
    shell.project.commit("feat: another prompt")
    report = asyncio.run(shell.project.run(TURNS, max_turns=3))
    assert report["outcome"] == "budget"
    return shell, report["run"]


def changed(shell: Shell, *arguments: str) -> list[str]:
    """The lines that a difference adds."""
    ended = shell.run("runs", "diff", "TASK-1", *arguments)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    return [line[1:] for line in lines if line.startswith("+") and not line.startswith("+++")]


def test_what_was_changed_in_a_turn_or_between_two(stopped: tuple[Shell, str]) -> None:
    shell, run = stopped
    assert changed(shell, "1") == ["one"]
    assert changed(shell, "2") == changed(shell, "1..2") == ["two", "x"]
    assert changed(shell, "0..2") == changed(shell) == changed(shell, "0..3") == ["one", "two", "x"]
    shown = shell.run("runs", "diff", run, "1..2", "--stat").stdout
    assert [line.split()[0] for line in shown.splitlines()[:2]] == ["app/log.txt", "app/x.txt"]

    nothing = shell.run("runs", "diff", "TASK-1", "2..3")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert nothing.stderr == "no file changed in the turns 3 to 3\n"
    for turns, words in (
        ("2..9", "no checkpoint of turn 9"),
        ("99", "of turn 99"),
        ("2..x", "'2..x' is no turn"),
    ):
        refused = shell.run("runs", "diff", "TASK-1", turns)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert words in refused.stderr


async def test_a_fork_has_another_prompt_and_the_same_conversation(
    stopped: tuple[Shell, str],
) -> None:
    shell, run = stopped
    made = shell.run("runs", "fork", run, "--at", "1", "--prompt", "other", "--json")
    assert made.returncode == 0, made.stderr
    told = json.loads(made.stdout)
    assert (told["source"], told["turn"], told["task"]) == (run, 1, "TASK-1")
    assert shell.run("runs", "diff", told["run"]).stdout.splitlines()[-1] == "+one"

    async with ScriptedServer(read_script({"turns": [turn(), turn(HELLO), turn()]})) as server:
        flags = ("--base-url", server.url, "--output-format", "json")
        ended = await asyncio.to_thread(shell.run, "resume", told["run"], *flags)
        asked = [request.body for request in server.requests]

    report = json.loads(ended.stdout)
    assert (report["outcome"], report["run"], report["num_turns"]) == ("done", told["run"], 2)
    assert report["prompt"]["name"] == "other"
    assert [len(body["messages"]) for body in asked] == [3, 5]
    assert "Be brief" in str(asked[0]["system"])
    assert "echo one" in str(asked[0]["messages"][1])
    git = shell.project.git
    assert git("show", "agentflow/TASK-1:app/log.txt") == "one"
    assert git("ls-tree", "--name-only", "agentflow/TASK-1", "app/x.txt") == ""


def unpacked(file: Path, folder: Path) -> Path:
    """The folder that a packed run is."""
    with tarfile.open(file) as archive:
        archive.extractall(folder, filter="data")
    (found,) = folder.iterdir()
    return found


def test_a_packed_run_has_its_words_and_its_files_and_none_of_the_history(
    stopped: tuple[Shell, str], tmp_path: Path
) -> None:
    shell, run = stopped
    file = tmp_path / "run.tar.gz"

    ended = shell.run("runs", "export", run, "-o", str(file))

    assert (ended.returncode, ended.stdout) == (0, f"{file}\n"), ended.stderr
    packed = unpacked(file, tmp_path / "packed")
    assert packed.name == run
    folder = shell.project.root / ".orchestrator/runs" / run
    for name in ("journal.jsonl", "report.json", "prompt.md"):
        assert (packed / name).read_bytes() == (folder / name).read_bytes()
    bundle = packed / "checkpoints.bundle"

    def git(place: Path, *arguments: str) -> str:
        ended = subprocess.run(
            ["git", "-C", place, *arguments], capture_output=True, text=True, check=True
        )
        return ended.stdout.strip()

    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(shell.project.root), str(clone))
    base = git(clone, "rev-parse", "HEAD")
    assert f"-{base}" in bundle.read_bytes().split(b"PACK")[0].decode()
    git(clone, "fetch", "-q", str(bundle), f"refs/agentflow/runs/{run}:refs/heads/kept")
    assert git(clone, "show", "kept:app/log.txt") == "one\ntwo"
    said = git(clone, "log", "--first-parent", "--reverse", "--format=%B", f"{base}..kept")
    assert said.index("echo one") < said.index("echo two")

    again = shell.run("runs", "export", run, "-o", str(file))
    assert (again.returncode, again.stdout) == (2, "")
    less = shell.run("runs", "export", run, "-o", str(tmp_path / "less.tar.gz"), "--no-checkpoints")
    assert less.returncode == 0, less.stderr
    assert len([*unpacked(tmp_path / "less.tar.gz", tmp_path / "less").iterdir()]) == 3


@pytest.mark.parametrize(
    ("command", "environment"),
    [
        (PIECES, {}),
        (f"echo {KEY[:9]} > app/x; sed -i s/$/{KEY[9:]}/ app/x", {"AGENTFLOW_API_KEY": KEY}),
    ],
)
def test_a_run_whose_files_hold_a_secret_is_packed_without_them(
    command: str, environment: dict[str, str], bwrap: str, tmp_path: Path
) -> None:
    shell, file = Shell(tmp_path), tmp_path / "run.tar.gz"
    report = asyncio.run(shell.project.run([turn(bash(command)), turn(HELLO)], max_turns=2))

    refused = shell.run("runs", "export", "TASK-1", "-o", str(file), **environment)

    assert (refused.returncode, refused.stdout) == (5, "")
    assert f"{report['run']} are not packed, because app/" in refused.stderr
    assert "--no-checkpoints" in refused.stderr
    assert not file.exists()
    ended = shell.run(
        "runs", "export", "TASK-1", "-o", str(file), "--no-checkpoints", **environment
    )
    assert ended.returncode == 0, ended.stderr
    kept = next(shell.project.world.cache.glob("*/runs/*/state.git"))
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700, "what is kept here is for nobody else"


def test_a_run_whose_words_hold_a_secret_is_not_packed(
    stopped: tuple[Shell, str], tmp_path: Path
) -> None:
    """No run of ours: what is written is redacted. One that came with a repository may."""
    shell, _ = stopped
    run = "OTHER-20260101T000000-abcd"
    folder = shell.project.root / ".orchestrator/runs" / run
    folder.mkdir()
    (folder / "journal.jsonl").write_text(f'{{"n": 0, "said": "{TOKEN}"}}\n')
    (folder / "report.json").write_text(
        json.dumps({"task": "OTHER", "run": run, "outcome": "done"})
    )
    file = tmp_path / "run.tar.gz"

    refused = shell.run("runs", "export", run, "-o", str(file))

    assert refused.returncode == 5
    assert f"{run}/journal.jsonl holds a secret" in refused.stderr
    assert TOKEN not in refused.stderr
    assert not file.exists()
