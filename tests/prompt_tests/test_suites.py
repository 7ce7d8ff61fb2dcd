"""The suites of the built-in prompts pass, and a suite that expects what is not so fails."""

import os
from pathlib import Path

import pytest

from agentflow.prompt_tests import running
from agentflow.prompt_tests.reading import find_suites, read_case
from agentflow.prompt_tests.running import make_repository, run_case
from agentflow.prompt_tests.suites import Result, run_suites, summary
from agentflow.prompts.search import builtin_folder
from agentflow.workspace.git import isolated

pytestmark = [pytest.mark.sandbox, pytest.mark.usefixtures("bwrap")]

HELLO = """task: |
  ---
  allow: [app/**]
  ---
  # Say hello

  Write it.
files: {app/old.txt: "old\\n"}
conversation:
  - text: I write it.
    calls:
      - {tool: Write, input: {file_path: app/new.txt, content: "new\\n"}}
      - {tool: Read, input: {file_path: app/old.txt}}
  - text: Done.
expect:
  outcome: done
"""


async def results(wanted: Path) -> list[Result]:
    suites = find_suites([str(wanted)], builtin_folder())
    return [each async for each in run_suites(suites, os.environ)]


@pytest.mark.parametrize("name", ["agent", "backend-dev", "engineer", "handoff", "phase-6"])
async def test_the_suites_of_the_built_in_prompts_pass(name: str) -> None:
    found = await results(builtin_folder() / f"{name}.md")
    assert {each.case: each.problems for each in found if each.problems} == {}
    assert summary(found)["ok"] == len(found) >= 4


async def test_the_case_of_the_documentation_passes(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/prompts-test.md").read_text("utf-8")
    file = _file(tmp_path, page.split("```yaml\n")[1].split("```")[0])
    (tmp_path / "p.md").write_text("---\noutput_format: json\n---\nAnswer.\n")
    (result,) = await results(file)
    assert result.problems == ()


async def expecting(folder: Path, expect: str, text: str = HELLO) -> tuple[str, ...]:
    """What is wrong with the case if this is expected."""
    (folder / "p.md").write_text("---\nname: p\ntools: [Read, Write]\n---\nDo it.\n")
    (folder / "p.tests").mkdir(exist_ok=True)
    file = folder / "p.tests/hello.yaml"
    file.write_text(f"{text}{expect}")
    (result,) = await results(file)
    return result.problems


RIGHT = """  exit_code: 0
  marker: done
  reason: {lacks: x}
  repairs: 0
  requests: 2
  tools: [Write, Read]
  commits: {count: 1, subjects: [TASK-1, "Say hello"]}
  gates: {commit: passed, "build:check": passed, contract: absent}
  system_prompt: {contains: Do it., lacks: "$"}
  first_message: "- You may change only: `app/**`"
  told: {contains: old, lacks: did not pass}
  files:
    app/new.txt: {exact: "new\\n"}
    app/old.txt: {contains: old, lacks: new}
    app/none.txt: {absent: true}
"""


async def test_what_is_so_holds(tmp_path: Path) -> None:
    assert await expecting(tmp_path, RIGHT) == ()


async def test_everything_that_is_not_so_is_told(tmp_path: Path) -> None:
    wrong = """  exit_code: 3
  marker: none
  reason: {contains: x}
  repairs: 1
  requests: 3
  tools: [Write, Bash]
  commits: {count: 2, subjects: [TASK-2]}
  gates: {commit: failed, contract: passed}
  system_prompt: {contains: Do that., lacks: Do it.}
  first_message: "- You may change all."
  told: {contains: did not pass, lacks: old}
  files:
    app/new.txt: {exact: "new"}
    app/old.txt: {contains: new, lacks: old}
    app/none.txt: {exact: "x"}
    README.md: {absent: true}
"""
    assert await expecting(tmp_path, wrong) == (
        "exit_code: 0, not 3",
        "marker: done, not none",
        "reason: it does not contain 'x'",
        "files.app/new.txt: it holds 'new'",
        "files.app/old.txt: it does not contain 'new'",
        "files.app/old.txt: it contains 'old'",
        "files.app/none.txt: it is not there",
        "files.README.md: it is there",
        "commits.count: 1, not 2",
        "commits.subjects: none contains 'TASK-2': TASK-1: Say hello",
        "gates.commit: passed, not failed",
        "gates.contract: absent, not passed "
        "(there are: commit, boundaries, files, tamper, secrets, build:check)",
        "repairs: 0, not 1",
        "requests: 2, not 3",
        "system_prompt: it does not contain 'Do that.'",
        "system_prompt: it contains 'Do it.'",
        "first_message: it does not contain '- You may change all.'",
        "told: it does not contain 'did not pass'",
        "told: it contains 'old'",
        "tools: Read, Write, not Bash, Write",
    )


async def test_another_outcome_is_told_with_its_reason_and_the_gates(tmp_path: Path) -> None:
    gate = HELLO.replace(
        "conversation:",
        "config: {gates: [{name: t, command: test ! -e app/new.txt}]}\nconversation:",
    )
    turns = gate.replace("  - text: Done.\n", "  - text: Done.\n  - text: Done.\n")
    assert await expecting(tmp_path, "", turns) == (
        "outcome: failed (the same gates failed twice in the same way), not done",
        "gate build:t failed: `test ! -e app/new.txt` ended with exit code 1",
    )


async def test_turns_that_nobody_asks_for_are_told(tmp_path: Path) -> None:
    more = HELLO.replace("  - text: Done.\n", "  - text: Done.\n  - text: More.\n  - text: More.\n")
    assert await expecting(tmp_path, "", more) == ("conversation: the last 2 turns not asked for",)


async def test_a_script_that_is_too_short_is_told(tmp_path: Path) -> None:
    (problem, *_) = await expecting(tmp_path, "", HELLO.replace("  - text: Done.\n", ""))
    assert "script ended: it has 1 turn" in problem


async def test_a_run_that_is_refused_is_an_outcome(tmp_path: Path) -> None:
    refused = HELLO.replace("allow: [app/**]", "depends_on: [TASK-0]")
    refused = refused.replace("outcome: done", "outcome: usage")
    refused = refused[: refused.index("conversation:")] + refused[refused.index("expect:") :]
    right = "  exit_code: 2\n  reason: depends on TASK-0\n  requests: 0\n  marker: none\n"
    assert await expecting(tmp_path, right, refused) == ()


async def test_a_case_sees_nothing_of_the_user(tmp_path: Path) -> None:
    """Neither the configuration of agentflow, nor a key, nor the home folder."""
    case = read_case(_file(tmp_path, HELLO))
    home = tmp_path / "home"
    (home / ".config/agentflow").mkdir(parents=True)
    (home / ".config/agentflow/config.toml").write_text('models = ["nothing"]\n')
    user = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AGENTFLOW_MAX_TURNS": "1",
        "ANTHROPIC_API_KEY": "sk-secret",
        "GIT_DIR": "/nowhere",
    }
    folder = tmp_path / "case"
    folder.mkdir()
    observed = await run_case(case, tmp_path / "p.md", folder, user)
    assert observed.outcome == "done", observed.reason
    assert observed.report["num_turns"] == 2
    assert not any(
        b"sk-secret" in path.read_bytes() for path in folder.rglob("*") if path.is_file()
    )


def test_the_repository_holds_ignored_files_and_runs_no_filter(tmp_path: Path) -> None:
    more = 'files: {.gitignore: "*.log\\n", a.log: x, .gitattributes: "* filter=evil\\n"}\n'
    case = read_case(_file(tmp_path, f"task: x\n{more}expect: {{outcome: done}}\n"))
    root = make_repository(case, tmp_path / "case")
    files = isolated(root).run("ls-files").decode().split()
    assert "a.log" in files
    assert isolated(root).run("status", "--porcelain") == b""


async def test_a_case_ends_in_time(tmp_path: Path) -> None:
    assert running.CASE_SECONDS <= 600
    slow = HELLO.replace("  - text: Done.\n", "  - {text: Done., latency: 100}\n")
    slow = slow.replace("conversation:", "flags: {timeout: 3s}\nconversation:")
    slow = slow.replace("outcome: done", "outcome: budget")
    assert await expecting(tmp_path, "  exit_code: 4\n", slow) == ()


def _file(folder: Path, text: str) -> Path:
    (folder / "p.md").write_text("Do it.\n")
    (folder / "p.tests").mkdir()
    file = folder / "p.tests/c.yaml"
    file.write_text(text)
    return file
