"""Runs in repositories as teams have them: dependencies, services, formatters, a red base."""

from dataclasses import replace
from pathlib import Path

import pytest

from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.events import BaseCheckFinished, SetupFinished
from agentflow.order import Order
from agentflow.records import Json
from tests.run.project import GATE, HELLO, Project, bash, call, turn

pytestmark = pytest.mark.sandbox

SETUP = """\
[environment]
setup = "mkdir deps && cp wanted deps/have && printf tool > deps/tool"
key = ["wanted"]
provides = ["deps"]
"""


def gates(report: Json) -> dict[str, str]:
    return {gate["gate"]: gate["status"] for gate in report["verification"]["gates"]}


async def test_a_formatter_folds_no_pointer_to_nothing(project: Project) -> None:
    project.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    project.commit()
    formatter = {
        "name": "format",
        "command": "echo x > app/data.bin; echo y > app/y.txt",
        "fix": True,
    }

    report = await project.run([turn(HELLO), turn()], gates=[GATE, formatter])

    assert report["outcome"] == "done"
    listed = project.git("ls-tree", "--name-only", "agentflow/TASK-1", "app/").splitlines()
    assert listed == ["app/hello.txt", "app/main.py", "app/y.txt"]
    assert any("app/data.bin: is tracked by Git LFS" in text for text in report["notices"])


async def test_what_setup_provides_is_there_and_is_kept(project: Project) -> None:
    project.write("wanted", "one\n")
    project.write(".orchestrator/config.toml", SETUP)
    project.commit()
    gate = {"name": "deps", "command": "grep -q one deps/have && ! touch deps/x 2>/dev/null"}
    look = bash("cat deps/have; touch deps/x || echo refused; git status --porcelain")

    report = await project.run([turn(look), turn(HELLO), turn()], gates=[GATE, gate])
    again = await project.run([turn(HELLO), turn()], gates=[GATE, gate],
                              order=Order("TASK-1", fresh=True))  # fmt: skip

    assert (report["outcome"], again["outcome"]) == ("done", "done")
    said = str(project.requests[1]["messages"][-1])
    assert "one" in said
    assert "refused" in said
    assert "??" not in said
    assert project.git("ls-tree", "-r", "--name-only", "agentflow/TASK-1", "deps/") == ""
    setups = [event.cached for event in project.events if isinstance(event, SetupFinished)]
    assert setups[0] is False
    assert set(setups[1:]) == {True}


async def test_a_change_of_the_key_files_is_installed_before_the_gates(project: Project) -> None:
    project.write("wanted", "one\n")
    project.write(".orchestrator/config.toml", SETUP)
    project.task("allow: [app/**, wanted]")
    project.commit()
    change = call("Write", file_path="wanted", content="two\n")
    gate = {"name": "deps", "command": "grep -q two deps/have", "must_fail_on_base": True}

    report = await project.run(
        [turn(bash("cat wanted"), HELLO), turn(change), turn()], gates=[gate]
    )

    assert report["outcome"] == "done"
    assert gates(report)["setup"] == "passed"
    assert gates(report)["build:deps"] == "passed"


async def test_setup_that_fails_on_the_change_goes_back_to_the_agent(project: Project) -> None:
    project.write("wanted", "one\n")
    project.write(
        ".orchestrator/config.toml", SETUP.replace("mkdir deps", "grep -q one wanted && mkdir deps")
    )
    project.task("allow: [app/**, wanted]")
    project.commit()
    turns = [
        turn(HELLO, bash("echo broken > wanted")),
        turn(),
        turn(bash("echo one > wanted")),
        turn(),
    ]

    report = await project.run(turns)

    assert report["outcome"] == "done"
    assert report["verification"]["repairs"] == 1
    repair = str(project.requests[2]["messages"][-1])
    assert "the setup command" in repair
    assert "ended with exit code 1" in repair


async def test_a_red_base_ends_the_run_before_any_spend(project: Project) -> None:
    red = {"name": "red", "command": "echo the reason; exit 3"}

    report = await project.run([turn(HELLO), turn()], gates=[GATE, red])

    assert (report["outcome"], report["exit_code"], report["num_turns"]) == ("environment", 5, 0)
    assert "the gate red fails on the base" in report["reason"]
    assert "the reason" in report["reason"]
    assert "--allow-red-base" in report["hint"]
    assert project.requests == []
    assert report["work_tree"] is None
    assert list(project.world.cache.glob("*/runs/*")) == []


async def test_a_red_base_can_be_accepted_and_nothing_redder(project: Project) -> None:
    red = {"name": "red", "command": "cat app/state 2>/dev/null; echo red; exit 3"}
    worse = turn(HELLO, call("Write", file_path="app/state", content="and worse\n"))

    same = await project.run([turn(HELLO), turn()], gates=[GATE, red], allow_red_base=True)
    order = Order("TASK-1", fresh=True)
    other = await project.run(
        [worse, turn()], gates=[GATE, red], allow_red_base=True, max_repairs=0, order=order
    )

    assert same["outcome"] == "done"
    assert gates(same)["build:red"] == "skipped"
    assert other["outcome"] == "failed"
    assert gates(other)["build:red"] == "failed"
    checked = [event for event in project.events if isinstance(event, BaseCheckFinished)]
    assert [event.cached for event in checked] == [False, False, True, True]


async def test_gates_that_all_stand_aside_verify_nothing(project: Project) -> None:
    aside = {"name": "docs", "command": "true", "paths": ["docs/**"]}
    elsewhere = {"name": "ci", "command": "false", "where": "ci"}

    report = await project.run([turn(HELLO), turn()], gates=[aside, elsewhere])

    assert report["outcome"] == "failed"
    assert "no build gate ran" in report["reason"]
    assert report["verification"]["left_to_ci"] == ["build:ci"]
    assert project.marker("done") is None


async def test_a_service_stands_beside_the_agent_and_each_gate(project: Project) -> None:
    server = (
        "import socket\\n"
        "s = socket.create_server(('127.0.0.1', 7777))\\n"
        "while True: c, _ = s.accept(); c.sendall(b'here'); c.close()\\n"
    )
    ask = "import socket; print(socket.create_connection(('127.0.0.1', 7777)).recv(9))"
    config = Path(project.world.environment["XDG_CONFIG_HOME"]) / "agentflow/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(
        '[services.echo]\ncommand = "exec python3 -c \\"$(printf \'%b\' \\"$PROGRAM\\")\\""\n'
        f'ready = "python3 -c \\"{ask}\\""\n'
        f'env = {{ PROGRAM = "{server}", SERVICE_PORT = "7777" }}\n'
    )
    gate = {"name": "ask", "command": f'python3 -c "{ask}" | grep here'}
    look = bash(f'python3 -c "{ask}"; echo port $SERVICE_PORT')

    report = await project.run([turn(look), turn(HELLO), turn()], gates=[GATE, gate])

    assert report["outcome"] == "done", report["reason"]
    said = str(project.requests[1]["messages"][-1])
    assert "here" in said
    assert "port 7777" in said


async def test_a_secret_of_the_gates_is_shown_to_nobody(project: Project) -> None:
    environment = {**project.world.environment, "TOKEN": "s3cr3t-value"}
    project.world = replace(project.world, environment=environment)
    config = Path(project.world.environment["XDG_CONFIG_HOME"]) / "agentflow/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[environment.gates]\nenv_from = ["TOKEN"]\n')
    leak = {**GATE, "command": 'echo got $TOKEN; test -n "$TOKEN" && test -s app/hello.txt'}

    report = await project.run([turn(bash("env")), turn(), turn(), turn()], gates=[leak],
                               max_repairs=1)  # fmt: skip

    assert report["outcome"] == "failed"
    journal = (project.root / ".orchestrator/runs" / report["run"] / "journal.jsonl").read_text()
    everything = f"{report}{journal}{project.requests}"
    assert "s3cr3t-value" not in everything
    assert "got [redacted]" in everything


async def test_a_changes_setup_gets_no_credentials(project: Project) -> None:
    environment = {**project.world.environment, "TOKEN": "s3cr3t-value"}
    project.world = replace(project.world, environment=environment)
    config = Path(environment["XDG_CONFIG_HOME"]) / "agentflow/config.toml"
    config.parent.mkdir(parents=True)
    setup = SETUP.replace("printf tool", "printf %s $(expr length _$TOKEN)")
    config.write_text(setup + 'env_from = ["TOKEN"]\n')
    project.write("wanted", "one\n")
    project.task("allow: [app/**, wanted]")
    project.commit()
    gate = {"name": "bare", "command": "grep -qx 1 deps/tool", "must_fail_on_base": True}

    report = await project.run(
        [turn(bash("cat deps/tool; echo two > wanted"), HELLO), turn()], gates=[gate]
    )

    assert report["outcome"] == "done", report["reason"]
    assert "13" in str(project.requests[1]["messages"][-1])


async def test_a_prompt_without_its_documents_is_refused_before_any_spend(
    project: Project,
) -> None:
    with pytest.raises(UsageError, match=r"works from docs/plans/backend-plan\.md, docs/intent"):
        await project.run([turn(HELLO)], prompt="engineer")

    project.write("docs/plans/backend-plan.md", "the plan\n")
    project.write("docs/intent/product-intent.md", "the intent\n")
    report = await project.run(
        [turn(bash("cat docs/plans/backend-plan.md; echo hello > app/hello.txt")), turn()],
        prompt="engineer",
        max_repairs=0,
    )
    assert "the plan" in str(project.requests[1]["messages"][-1])
    assert gates(report)["contract"] == "failed"


async def test_a_repository_widens_nothing_without_trust(project: Project) -> None:
    project.write("wanted", "one\n")
    project.write(".orchestrator/config.toml", SETUP + 'network = ["a.example"]\n')
    project.commit()

    with pytest.raises(UsageError, match=r"may grant: environment\.network"):
        await project.run([turn(HELLO)])


async def test_commits_that_cannot_be_signed_are_refused_before_any_spend(
    project: Project,
) -> None:
    project.git("config", "commit.gpgSign", "true")
    project.git("config", "gpg.format", "ssh")
    project.git("config", "user.signingKey", "/nonexistent")

    with pytest.raises(EnvironmentFailure, match="sign"):
        await project.run([turn(HELLO)])
    assert project.requests == []


async def test_a_gate_that_names_tests_without_a_report_is_refused(project: Project) -> None:
    named = {"name": "test", "command": "true", "tests": ["test_f"]}
    with pytest.raises(UsageError, match="'test' names tests, and no report"):
        await project.run([turn(HELLO)], gates=[named])
    assert project.requests == []


async def test_a_gate_in_a_folder_that_is_not_there_is_refused(project: Project) -> None:
    nowhere = {"name": "test", "command": "true", "cwd": "nowhere"}
    with pytest.raises(UsageError, match="runs in 'nowhere', which is no folder of the base"):
        await project.run([turn(HELLO)], gates=[nowhere])
