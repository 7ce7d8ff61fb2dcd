"""One task from plan to marker: every outcome, with real git, sandbox, tools and HTTP."""

import hashlib
import json
from pathlib import Path

import pytest

import agentflow
from agentflow.errors import EnvironmentFailure, Held, UsageError
from agentflow.markers import write_marker
from agentflow.order import Order
from agentflow.records import Json
from agentflow.runs import task_lock
from agentflow.workspace.repository import open_repository
from tests.run.project import GATE, HELLO, MARKER, Project, bash, call, turn

pytestmark = pytest.mark.sandbox


def gates(report: Json) -> dict[str, str]:
    return {gate["gate"]: gate["status"] for gate in report["verification"]["gates"]}


async def test_a_change_that_passes_is_landed_marked_and_reported(project: Project) -> None:
    base = project.git("rev-parse", "HEAD")

    report = await project.run([turn(HELLO), turn(text="I wrote it.")])

    assert report["outcome"] == "done"
    assert gates(report) == {
        "commit": "passed",
        "boundaries": "passed",
        "files": "skipped",
        "tamper": "passed",
        "secrets": "passed",
        "build:test": "passed",
    }
    tip = project.git("rev-parse", "agentflow/TASK-1")
    assert report["commits"] == [{"sha": tip, "subject": "TASK-1: Say hello"}]
    assert project.git("log", "-1", "--format=%an <%ae>%n%P%n%B", tip) == (
        f"Ada <ada@example.com>\n{base}\nTASK-1: Say hello\n\n"
        f"Agentflow-Task: TASK-1\nAgentflow-Run: {report['run']}\n"
        "Assisted-by: agentflow:claude-sonnet-5-5"
    )
    assert project.git("show", f"{tip}:app/hello.txt") == "hello"
    assert project.marker("done") == "done"
    file = project.root / ".orchestrator/reports/TASK-1.json"
    assert json.loads(file.read_text()) == report
    prompt = (project.root / ".orchestrator/prompts/plain.md").read_bytes()
    assert report["prompt"] == {"name": "plain", "sha256": hashlib.sha256(prompt).hexdigest()}
    assert report["versions"]["agentflow"] == agentflow.__version__
    assert project.git("status", "--porcelain") == ""
    assert project.git("rev-parse", "HEAD") == base
    assert project.git("for-each-ref", "--format=%(refname)", "refs/agentflow") == (
        f"refs/agentflow/base/{report['run']}"
    )


async def test_the_base_is_the_flag_else_the_tasks_else_head(project: Project) -> None:
    first = project.git("rev-parse", "HEAD")
    project.git("branch", "older")
    project.task("base: older")
    second = project.commit()
    assert first != second
    of_task = await project.run([turn(HELLO), turn()])
    order = Order("TASK-1", base=second, fresh=True)
    of_flag = await project.run([turn(HELLO), turn()], order=order)
    assert (of_task["base"], of_flag["base"]) == (first, second)


async def test_a_stale_marker_is_gone_as_soon_as_a_run_holds_the_task(project: Project) -> None:
    write_marker(project.root, "TASK-1", "failed")
    locks = open_repository(project.root, project.world.environment).locks(project.world.cache)
    with task_lock(locks, "TASK-1"), pytest.raises(Held, match="another run of TASK-1"):
        await project.run([turn()])
    assert project.marker("failed") == "failed"
    report = await project.run([turn(HELLO)], max_turns=1)
    assert (report["outcome"], project.marker("failed")) == ("budget", None)


async def test_the_journal_is_the_message_list(project: Project) -> None:
    report = await project.run([turn(HELLO), turn(text="I wrote it.")])

    lines = project.journal(report["run"])
    messages = [line["message"] for line in lines if line["type"] in {"user", "assistant"}]
    assert project.requests[-1]["messages"] == messages[:-1]
    assert [line["n"] for line in lines] == list(range(len(lines)))
    assert lines[-1]["type"] == "agentflow.run_finished"


async def test_claims_without_a_change_are_not_done(project: Project) -> None:
    report = await project.run([turn(text="All tests pass! Commit deadbeef.")] * 3)

    assert (report["outcome"], report["exit_code"]) == ("failed", 1)
    assert report["reason"] == "the same gates failed twice in the same way"
    assert gates(report)["commit"] == "failed"
    assert gates(report)["build:test"] == "skipped"
    assert (project.marker("done"), project.marker("failed")) == (None, "failed")
    assert project.git("branch", "--list", "agentflow/*") == ""


async def test_a_failed_gate_goes_back_and_is_repaired(project: Project) -> None:
    wrong = call("Write", file_path="app/other.txt", content="hello\n")

    report = await project.run([turn(wrong), turn(), turn(HELLO), turn(text="Mended.")])

    assert report["outcome"] == "done"
    assert report["verification"]["repairs"] == 1
    repair = project.requests[2]["messages"][-1]["content"]
    assert "build:test: `test -s app/hello.txt` ended with exit code 1" in repair
    assert project.git("rev-list", "--count", "main..agentflow/TASK-1") == "1"


async def test_different_failures_are_repaired_a_bounded_number_of_times(project: Project) -> None:
    gate = {"name": "test", "command": "ls app/wrong*; false", "must_fail_on_base": True}
    turns = [
        reply
        for name in "abcd"
        for reply in (turn(call("Write", file_path=f"app/wrong-{name}", content=name)), turn())
    ]

    report = await project.run(turns, gates=[gate])

    assert report["outcome"] == "failed"
    assert report["reason"] == "not verified after 2 repairs: build:test"
    assert len(project.requests) == 6


async def test_commits_of_the_agent_are_kept_and_recreated(project: Project) -> None:
    commit = "git add -A && git commit -qm 'feat: hello\n\nReviewed-by: Boss <b@x>'"
    rest = call("Write", file_path="app/rest.txt", content="rest\n")

    report = await project.run([turn(HELLO), turn(bash(commit)), turn(rest), turn()])

    assert report["outcome"] == "done"
    assert [c["subject"] for c in report["commits"]] == ["feat: hello", "TASK-1: Say hello"]
    assert list(report["claimed_commits"].values()) == [report["commits"][0]["sha"]]
    first = project.git("log", "-1", "--format=%an%n%cn%n%B", report["commits"][0]["sha"])
    assert first.startswith("Ada\nAda\nfeat: hello\n\nAgentflow-Task: TASK-1\n")
    assert "Reviewed-by" not in first


async def test_an_agent_that_should_commit_is_told_what_it_left(project: Project) -> None:
    project.write(
        ".orchestrator/prompts/committer.md",
        "---\nname: committer\nagentflow:\n  commits: agent\n---\nCommit your work.\n",
    )
    turns = [turn(HELLO), turn(), turn(bash("git add -A && git commit -qm 'feat: hello'")), turn()]

    report = await project.run(turns, prompt="committer")

    assert report["outcome"] == "done"
    assert [c["subject"] for c in report["commits"]] == ["feat: hello"]
    assert "app/hello.txt" in project.requests[2]["messages"][-1]["content"]


async def test_a_commit_outside_the_boundaries_is_refused_even_if_reverted(
    project: Project,
) -> None:
    sneak = (
        "blob=$(echo evil | git hash-object -w --stdin) && "
        "git update-index --add --cacheinfo 100644,$blob,README.md && git commit -qm one && "
        "git reset -q --soft HEAD && git update-index --cacheinfo "
        "100644,$(git rev-parse HEAD~1:README.md),README.md && git commit -qm two"
    )

    report = await project.run([turn(HELLO, bash(sneak)), turn(), turn(), turn()])

    assert report["outcome"] == "failed"
    assert gates(report)["boundaries"] == "failed"
    detail = next(g["detail"] for g in report["verification"]["gates"] if g["gate"] == "boundaries")
    assert "M README.md: outside the allowed paths" in detail
    assert project.git("for-each-ref", "refs/heads", "--format=%(refname)") == "refs/heads/main"


async def test_the_kernel_refuses_a_write_outside_the_boundaries(project: Project) -> None:
    write = bash("echo x > README.md; echo y > app/ok; cat README.md")

    await project.run([turn(write, HELLO), turn()])

    result = project.requests[1]["messages"][-1]["content"][0]["content"]
    assert "README.md: Read-only file system" in result
    assert "# Example" in result


async def test_a_signal_ends_the_work_and_nothing_after_it_is_run(project: Project) -> None:
    report = await project.run(
        [turn(HELLO, MARKER, bash("rm app/hello.txt"), text="Finished.")], prompt="agent"
    )

    assert report["outcome"] == "done"
    last = [line for line in project.journal(report["run"]) if line["type"] == "user"][-1]
    answers = last["message"]["content"]
    assert answers[2]["content"] == "Not run: you signalled completion before this call."
    assert project.git("diff", "--name-only", "main", "agentflow/TASK-1") == "app/hello.txt"


async def test_without_a_signal_the_agent_is_nudged_once_and_then_judged(project: Project) -> None:
    report = await project.run([turn(HELLO), turn(), turn(text="Really.")], prompt="agent")

    assert report["outcome"] == "done"
    nudge = project.requests[2]["messages"][-1]["content"]
    assert nudge.startswith("You ended your turn without the completion marker.")


@pytest.mark.parametrize(
    ("kind", "outcome", "code", "reason"),
    [
        ("failed", "failed", 1, "the agent gave up: no API"),
        ("blocked", "blocked", 3, "no API"),
    ],
)
async def test_an_agent_may_give_up_or_ask(
    project: Project, kind: str, outcome: str, code: int, reason: str
) -> None:
    marker = call("Write", file_path=f".orchestrator/complete/TASK-XXX.{kind}", content="no API")

    report = await project.run([turn(HELLO, marker)])

    assert (report["outcome"], report["exit_code"], report["reason"]) == (outcome, code, reason)
    assert project.marker(kind) == kind
    assert project.marker("done") is None


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ({"max_turns": 2}, "the limit of 2 turns is reached"),
        (
            {"max_tokens": 10},
            "the next call could exceed the limit of 10 tokens: 0 tokens are spent",
        ),
        ({"max_cost": 0.0001}, "the next call could exceed the limit of $0.0001: $0.00 are spent"),
        ({"timeout": 0.8}, "the limit of 1 second is reached"),
    ],
    ids=["turns", "tokens", "cost", "time"],
)
async def test_a_limit_ends_the_run_without_a_marker(
    project: Project, flags: Json, reason: str
) -> None:
    report = await project.run([turn(bash("sleep 0.5"))] * 5, **flags)

    assert (report["outcome"], report["exit_code"]) == ("budget", 4)
    assert report["reason"].startswith(reason)
    assert not list((project.root / ".orchestrator/complete").glob("*.*ed"))


async def test_a_refusing_server_is_a_provider_failure(project: Project) -> None:
    report = await project.run([turn(HELLO, faults=["unauthorized"])])

    assert (report["outcome"], report["exit_code"]) == ("provider", 6)
    assert "401" in report["reason"]


async def test_a_passing_fault_is_repeated_and_seen(project: Project) -> None:
    report = await project.run([turn(HELLO, faults=["overloaded", "cut"]), turn()])

    assert report["outcome"] == "done"
    kinds = [line["type"] for line in project.journal(report["run"])]
    assert kinds.count("agentflow.retry_scheduled") == 2


async def test_six_identical_failing_calls_are_looping(project: Project) -> None:
    report = await project.run([turn(bash("exit 3"))] * 7)

    assert (report["outcome"], report["exit_code"]) == ("failed", 1)
    assert report["reason"] == "looping: the same Bash call failed 6 times"
    third = project.requests[3]["messages"][-1]["content"][0]["content"]
    assert "This same call has failed 3 times" in third


async def test_a_cut_reply_is_continued_and_its_calls_are_not_run(project: Project) -> None:
    cut = turn(bash("touch app/never"), stop_reason="max_tokens")

    report = await project.run([cut, turn(HELLO), turn()])

    assert report["outcome"] == "done"
    assert "app/never" not in project.git("ls-tree", "-r", "--name-only", "agentflow/TASK-1")


async def test_declared_files_must_be_in_the_commit(project: Project) -> None:
    project.task("allow: [app/**]\nfiles: [app/hello.txt, app/missing.txt]")

    report = await project.run([turn(HELLO), turn(), turn(), turn()], max_repairs=0)

    assert report["outcome"] == "failed"
    assert gates(report)["files"] == "failed"


async def test_no_change_can_be_what_is_expected(project: Project) -> None:
    project.task("expect: no-change")

    report = await project.run(
        [turn(text="Nothing to do.")], gates=[{"name": "test", "command": "true"}]
    )

    assert report["outcome"] == "done"
    assert report["landed"]["ref"] is None
    assert project.marker("done") == "done"


async def test_an_edited_test_does_not_hide_a_failure(project: Project) -> None:
    project.task("allow: [app/**, tests/**]")
    cheat = bash("echo 'raise SystemExit(0)' > tests/test_main.py; echo 'exit(1)' > app/main.py")
    gate = {"name": "test", "command": "grep -q 'def test_main' tests/test_main.py"}
    passing = {**GATE, "command": "! grep -q 'def test_main' tests/test_main.py"}

    report = await project.run([turn(cheat), turn()], gates=[gate], max_repairs=0)
    assert gates(report)["build:test"] == "failed"

    order = Order("TASK-1", fresh=True)
    report = await project.run([turn(cheat), turn()], gates=[passing], max_repairs=0, order=order)
    assert gates(report)["build:test"] == "failed"
    summary = report["verification"]["gates"][-1]["summary"]
    assert "also with tests/test_main.py as in the base" in summary


async def test_the_users_uncommitted_changes_are_left_alone(project: Project) -> None:
    project.write("app/main.py", "changed by hand\n")
    project.write("notes.txt", "untracked\n")

    report = await project.run([turn(HELLO), turn()])

    assert report["outcome"] == "done"
    assert project.git("status", "--porcelain") == "M app/main.py\n?? notes.txt"
    assert project.git("show", "agentflow/TASK-1:app/main.py") == "print('hello')"
    assert any("1 uncommitted change in" in notice for notice in report["notices"])


async def test_an_untracked_task_file_is_copied_in_and_never_committed(project: Project) -> None:
    project.git("rm", "--quiet", "--cached", ".orchestrator/tasks/TASK-1.md")
    project.git("commit", "--quiet", "--message", "forget the task")
    read = call("Read", file_path=".orchestrator/tasks/TASK-1.md")

    report = await project.run([turn(read, HELLO, bash("git add -A; git status -s")), turn()])

    assert report["outcome"] == "done"
    answers = [a["content"] for a in project.requests[1]["messages"][-1]["content"]]
    assert "Say hello" in answers[0]
    assert answers[2].strip() == "A  app/hello.txt"


async def test_the_report_says_who_enforces_each_boundary(project: Project) -> None:
    boundaries = ["app/**", "docs/*.md", "README.md"]
    report = await project.run([turn(HELLO), turn()], allow=boundaries, deny=["app/vendor/**"])

    labels = {each["glob"]: each["enforced_by"] for each in report["boundaries"]}
    assert labels == {
        "app/**": "kernel-exact",
        "docs/*.md": "kernel-parent+import",
        "README.md": "import-only",
        "!app/vendor/**": "import-only",  # it is not there on the base
    }


async def test_without_a_sandbox_it_is_shouted_and_recorded(project: Project) -> None:
    report = await project.run([turn(HELLO), turn()], sandbox="none")

    assert report["outcome"] == "done"
    assert report["sandbox"] == "none"
    assert "The network is this machine's." in str(project.requests[0]["messages"][0])
    assert any(notice.startswith("NO SANDBOX") for notice in report["notices"])


async def test_a_run_that_could_not_be_verified_is_refused_before_any_spend(
    project: Project,
) -> None:
    with pytest.raises(UsageError, match="no gate is configured"):
        await project.run([turn()], gates=[])
    with pytest.raises(EnvironmentFailure, match="'pytst', which is neither on PATH"):
        await project.run([turn()], gates=[{"name": "test", "command": "pytst -q"}])
    assert project.requests == []


async def test_gates_of_the_configuration_come_from_the_base(project: Project) -> None:
    config = "[[gates]]\nname = 'config'\ncommand = 'test -s app/hello.txt'\n"
    config += "must_fail_on_base = true\n"
    project.write(".orchestrator/config.toml", config)
    project.commit()
    project.write(".orchestrator/config.toml", config.replace("test -s app/hello.txt", "true"))

    report = await project.run([turn(text="Done.")] * 3, gates=[GATE], max_repairs=0)

    assert report["outcome"] == "failed"
    assert "build:config" in gates(report)


async def test_a_folder_of_ours_that_is_a_link_is_refused(project: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (project.root / ".orchestrator/runs").symlink_to(outside)

    with pytest.raises(EnvironmentFailure, match="leads to"):
        await project.run([turn(HELLO), turn()])
    assert list(outside.iterdir()) == []


async def test_a_link_cannot_take_the_place_of_a_protected_folder(project: Project) -> None:
    project.task("title: x")
    link = bash("mkdir -p app/h && echo x > app/h/settings.json && ln -s app/h .vscode")
    report = await project.run([turn(HELLO, link), turn()], max_repairs=0)
    assert gates(report)["boundaries"] == "failed"


@pytest.mark.parametrize(
    "cheat",
    [
        "printf '[pytest]\\naddopts = --collect-only\\n' > .pytest.ini",
        "echo 'test: ; true' > GNUmakefile",
        "echo 'raise SystemExit(0)' > pytest.py",
        "mkdir -p tests/new && echo 'def pytest_sessionfinish(): ...' > tests/new/conftest.py",
    ],
)
async def test_what_steers_a_gate_cannot_be_planted(project: Project, cheat: str) -> None:
    project.task("title: x")
    report = await project.run([turn(HELLO, bash(cheat)), turn()], max_repairs=0)
    assert gates(report)["tamper"] == "failed"


async def test_a_task_cannot_replace_the_users_own_gate(project: Project) -> None:
    config = Path(project.world.environment["XDG_CONFIG_HOME"]) / "agentflow/config.toml"
    config.parent.mkdir(parents=True)
    gate = "[[gates]]\nname = 'mine'\ncommand = 'false'\nmust_fail_on_base = true\n"
    config.write_text(gate)
    project.task("gates: {mine: 'true'}")
    report = await project.run([turn(HELLO), turn()], max_repairs=0)
    assert gates(report)["build:mine"] == "failed"


async def test_folders_nested_beyond_python_do_not_lose_the_marker(project: Project) -> None:
    deep = bash("mkdir -p app/$(printf 'd/%.0s' $(seq 1200))")
    report = await project.run([turn(HELLO, deep), turn()])
    assert report["outcome"] == "done"
    assert project.marker("done") == "done"
    assert [path.name for path in project.world.cache.glob("*/runs/*/*")] == ["state.git"]
