"""`agentflow prompts test`."""

import json
import signal
import time
from pathlib import Path

import pytest

from tests.cli.shell import EVIL, Shell

pytestmark = [pytest.mark.sandbox, pytest.mark.usefixtures("bwrap")]
FOLDER = ".orchestrator/prompts"
CASE = """task: Say hello.
conversation:
  - text: I write it.
    calls:
      - {tool: Write, input: {file_path: hello.txt, content: "hello\\n"}}
  - text: Done.
expect:
  outcome: done
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.project.write(f"{FOLDER}/plain.tests/good.yaml", CASE)
    return shell


def temporary(folder: Path) -> list[Path]:
    return list(folder.glob("agentflow-prompts-test-*"))


def test_a_suite_that_passes_and_one_that_fails(shell: Shell, tmp_path: Path) -> None:
    good = shell.run("prompts", "test", "plain", TMPDIR=str(tmp_path))
    assert (good.returncode, good.stderr) == (0, "1 case of 1 prompt\n1 ok, 0 failed\n")
    assert good.stdout.startswith("ok      plain/good  ")
    assert temporary(tmp_path) == []

    evil = (
        CASE.replace("Done.", json.dumps(f"Done {EVIL}")[1:-1])
        + '  files: {"hello.txt": {exact: x}}\n'
    )
    shell.project.write(f"{FOLDER}/plain.tests/bad.yaml", evil.replace("hello\\n", "hello\\e[2J"))
    bad = shell.run("prompts", "test", "plain", "--json", "--keep", TMPDIR=str(tmp_path))
    found = json.loads(bad.stdout)
    assert bad.returncode == 1, bad.stderr
    assert found["summary"]["failed"] == 1
    assert [each["case"] for each in found["cases"]] == ["bad", "good"]
    assert found["cases"][0]["problems"] == ["files.hello.txt: it holds 'hello'"]
    assert not {"\x1b", "\u202e"} & set(bad.stderr)
    assert "failed  plain/bad  " in bad.stderr
    kept = Path(found["cases"][0]["kept"])
    assert list(kept.glob("repository/.orchestrator/runs/*/journal.jsonl"))
    assert len(temporary(tmp_path)) == 2


def test_a_file_that_git_refuses_fails_its_case_alone(shell: Shell) -> None:
    names = f"{CASE}files: {{'git~1/x': a}}\n"
    shell.project.write(f"{FOLDER}/plain.tests/a-refused.yaml", names)
    ended = shell.run("prompts", "test", "plain", "--json")
    refused, good = json.loads(ended.stdout)["cases"]
    assert (ended.returncode, good["ok"], refused["outcome"]) == (1, True, "usage"), ended.stderr
    assert refused["problems"][0].startswith("a-refused: git add: ")
    assert "git~1/x" in refused["problems"][0]


def test_a_broken_suite_is_refused_before_anything_runs(shell: Shell) -> None:
    path = shell.project.write(f"{FOLDER}/plain.tests/z.yaml", f"{CASE}  exit: 0\n")
    ended = shell.run("prompts", "test", "plain", "--json")
    assert ended.returncode == 2
    assert f"{path}:9: expect.exit: unknown key; did you mean 'exit_code'?" in ended.stderr
    assert "docs/prompts-test.md" in ended.stderr
    assert json.loads(ended.stdout)["exit_code"] == 2
    assert shell.run("prompts", "test", "plian").returncode == 2


def test_built_in_suites_run_outside_of_a_repository(shell: Shell, tmp_path: Path) -> None:
    shell.project.root = tmp_path
    ended = shell.run("prompts", "test", "engineer")
    assert ended.returncode == 0, ended.stdout
    assert "ok      engineer/no-plan" in ended.stdout


def test_an_interrupt_ends_it_and_leaves_nothing(shell: Shell, tmp_path: Path) -> None:
    slow = CASE.replace("  - text: Done.\n", "  - {text: Done., latency: 30}\n")
    shell.project.write(f"{FOLDER}/plain.tests/good.yaml", slow)
    process = shell.start("prompts", "test", "plain", TMPDIR=str(tmp_path))
    journals = "agentflow-prompts-test-*/repository/.orchestrator/runs/*/journal.jsonl"
    while not any("hello.txt" in path.read_text() for path in tmp_path.glob(journals)):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, talk = process.communicate(timeout=30)
    assert process.returncode == 130, talk
    assert temporary(tmp_path) == []
