"""`agentflow doctor` as a user meets it."""

import json
import os
import subprocess
from pathlib import Path

from tests.forks.programs import agentflow
from tests.init.conftest import make_repository

EVIL = "\x1b[2Jevil\x07\u202e"


def doctor(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        agentflow("doctor", *arguments),
        cwd=root,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(root.parent),
            "XDG_CACHE_HOME": str(root.parent / "cache"),
            "LANG": "C.UTF-8",
            **environment,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_exit_code_says_whether_a_run_could_start(tmp_path: Path, bwrap: str) -> None:
    gate = '[[gates]]\nname = "test"\ncommand = "true"\n'
    make_repository(tmp_path / "r", {".orchestrator/config.toml": gate})
    url = {"AGENTFLOW_BASE_URL": "http://127.0.0.1:1"}

    text = doctor(tmp_path / "r", **url)
    assert (text.returncode, text.stderr) == (5, "")
    assert "ok      config      valid; gates: test\n" in text.stdout
    assert "missing server      127.0.0.1:1 does not answer: Connection refused\n" in text.stdout
    found = doctor(tmp_path / "r", "--json", **url)
    report = json.loads(found.stdout)
    assert (found.returncode, report["ok"]) == (5, False)
    assert [set(check) for check in report["checks"]] == [
        {"name", "status", "detail", "remedy"}
    ] * len(report["checks"])
    bad = {c["name"] for c in report["checks"] if c["status"] != "ok"}
    assert bad - {"bubblewrap"} == {"server"}  # this machine's may be an old one


def test_a_repository_s_words_cannot_reach_the_terminal(tmp_path: Path, bwrap: str) -> None:
    config = f"[[gates]]\nname = 'test'\ncommand = {json.dumps(EVIL)}\n"
    make_repository(tmp_path / EVIL, {".orchestrator/config.toml": config})
    for arguments in ((), ("--json",)):
        ended = doctor(tmp_path / EVIL, *arguments, AGENTFLOW_BASE_URL="http://127.0.0.1:1")
        assert ended.returncode == 5
        assert "evil" in ended.stdout
        assert not {"\x1b", "\x07", "\u202e"} & set(ended.stdout + ended.stderr)
