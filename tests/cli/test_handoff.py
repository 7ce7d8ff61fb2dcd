"""`agentflow handoff`, as a process."""

import json
import os
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from agentflow.errors import UsageError
from agentflow.handoffs import read_input
from agentflow.models import catalog
from agentflow.tasks.handoff import read_handoffs
from tests.cli.shell import EVIL, Shell
from tests.cli.test_cli import Terminal
from tests.forks.programs import agentflow
from tests.patience import PATIENCE
from tests.run.project import Project, call, turn

GATE = ("--gate", "test=test -s app/main.py")
BLOCK = f"""Please:
--- BACKEND TASK HANDOFF (copy below) ---
- **Trigger**: the inbox{EVIL}
- **Expected backend work**: add GET /v1/mails
- **Service(s)**: mail
- **Contract requirements**: `{{ "to": string }}` in @acme/types
--- END HANDOFF ---
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.project.write("services/mail/main.py", "x = 1\n")
    shell.project.write("services/chat/main.py", "x = 1\n")
    shell.project.write("libs/types/package.json", '{"name": "@acme/types"}')
    shell.project.write("services/mail/project.json", "[" * 200)
    shell.project.commit()
    return shell


def silent() -> None:
    """Tells nobody."""


def hand(
    shell: Shell, text: str, *arguments: str, folder: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        agentflow("handoff", *arguments),
        cwd=shell.project.root / folder,
        env=shell.environment,
        input=text,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_a_complete_block_is_confirmed(shell: Shell) -> None:
    ended = hand(shell, BLOCK, "--dry-run", *GATE)

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [
        "service   mail → services/mail",
        "package   @acme/types → libs/types",
        "trigger   the inbox\ufffd",
        "work      add GET /v1/mails",
        'contract  `{ "to": string }` in @acme/types',
        "gate      test: test -s app/main.py",
        "may change services/mail/**, libs/types/**",
        f"prompt    handoff, {catalog.resolve(catalog.DEFAULT)}",
    ]


def test_the_confirmation_as_data_names_the_prompt_for_handoffs(shell: Shell) -> None:
    shell.project.write(".orchestrator/prompts/handoff.md", "Do it.\n")
    path = shell.project.write("block.md", BLOCK.replace("\n", "\r\n"))

    ended = hand(shell, "", str(path), "--dry-run", "--json", "--service", "chat", *GATE)

    found = json.loads(ended.stdout)
    assert (found["type"], found["prompt"]) == ("handoff", "handoff")
    assert found["services"] == {"chat": "services/chat"}
    assert found["allow"] == ["services/chat/**", "libs/types/**"]
    assert found["endpoints"] == [["GET", "/v1/mails"]]
    assert found["gates"] == [{"name": "test", "command": "test -s app/main.py"}]
    assert found["task"].startswith("HANDOFF-")


def test_what_is_open_is_asked_and_answers_continue(shell: Shell) -> None:
    text = BLOCK.replace(": mail\n", ": mial\n").replace("add GET /v1/mails", "TBD")

    told = hand(shell, text, *GATE)
    data = hand(shell, text, "--json", *GATE)
    answers = shell.project.write(
        "answers.yaml", "work: |\n  add GET /v1/mails\n'service:mial': services/mail\n"
    )
    ended = hand(shell, text, "--dry-run", "--answers", str(answers), *GATE)

    assert told.returncode == data.returncode == 3
    assert told.stdout.startswith("work  line 4: What should be implemented?")
    assert "--answers FILE" in told.stderr
    found = json.loads(data.stdout)
    assert (found["type"], found["exit_code"]) == ("questions", 3)
    assert [(each["id"], each["line"]) for each in found["questions"]] == [
        ("work", 4),
        ("service:mial", 5),
    ]
    assert "did you mean 'mail'" in found["questions"][1]["why"]
    assert ended.returncode == 0, ended.stderr
    assert "mail → services/mail" in ended.stdout


@pytest.mark.parametrize(
    ("text", "arguments", "reason"),
    [
        ("hello", (), "standard input holds no handoff block"),
        ("--- FRONTEND HANDOFF ---\n**Work:** x\n--- END ---", (), "for a frontend"),
        (BLOCK * 2, (), "--block N. 1 (line 3): add GET /v1/mails; 2"),
        (BLOCK, ("--block", "2"), "has no block 2; it holds 1"),
        (BLOCK, (), "no gate is configured"),
        ("", ("nothing.md",), "cannot read nothing.md"),
    ],
)
def test_what_cannot_be_run_says_why(
    shell: Shell, text: str, arguments: tuple[str, ...], reason: str
) -> None:
    ended = hand(shell, text, "--dry-run", *arguments)

    assert ended.returncode == 2
    assert reason in ended.stderr


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("wrok: x\n", "did you mean 'work'"),
        ("work: [a]\n", "not a text"),
        ("work: *x\n", "aliases"),
        ("a\n", "answers.yaml:1"),
    ],
)
def test_answers_that_cannot_be_read_are_refused(shell: Shell, text: str, reason: str) -> None:
    path = shell.project.write("answers.yaml", text)

    ended = hand(shell, BLOCK, "--answers", str(path), *GATE)

    assert ended.returncode == 2
    assert reason in ended.stderr


def test_work_in_a_submodule_is_planned_there(shell: Shell, tmp_path: Path) -> None:
    other = tmp_path / "other"
    git = ("git", "-c", "protocol.file.allow=always", "-C")
    for command in (
        ("git", "init", "-q", str(other)),
        (*git, str(other), "-c", "user.name=A", "-c", "user.email=a@b", "commit", "-q",
         "--allow-empty", "-m", "feat: start"),
        (*git, str(shell.project.root), "submodule", "--quiet", "add", str(other), "acme-ai-service"),
    ):  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, env=shell.environment)
    shell.project.commit()
    inner = shell.project.root / "acme-ai-service"
    for key, value in (("user.name", "Ada"), ("user.email", "ada@example.com")):
        subprocess.run([*git, str(inner), "config", key, value], check=True)
    inside = BLOCK.replace(": mail\n", ": ai\n").replace("@acme/types", "it")

    ended = hand(shell, inside, "--dry-run", "--json", "--gate", "test=true")
    several = hand(shell, inside, "--dry-run", "--service", "mail", "--service", "ai", *GATE)
    shell.project.git("submodule", "--quiet", "deinit", "--all", "--force")
    away = hand(shell, inside, "--dry-run", *GATE)

    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["directory"] == str(inner)
    assert (found["services"], found["allow"]) == ({"ai": "acme-ai-service"}, [])
    assert several.returncode == 0, several.stderr
    assert "linked    landed together: this repository, then acme-ai-service" in several.stdout
    assert "git submodule update --init acme-ai-service" in away.stderr


def test_a_handoff_is_run_in_its_service_and_lands(project: Project, tmp_path: Path) -> None:
    project.write("services/mail/main.py", "x = 1\n")
    project.commit()
    terminal = Terminal(project, tmp_path)
    block = project.write("../block.md", BLOCK.replace("@acme/types", "it"))
    url = terminal.serve(
        turn(call("Write", file_path="app/x.txt", content="x")),
        turn(call("Write", file_path="services/mail/x.txt", content="x")),
        turn(),
    )
    try:
        ended = terminal.run(
            "handoff", str(block), "--json", "--prompt", "plain", "--base-url", url,
            "--new-gate", "test=test -s services/mail/x.txt",
        )  # fmt: skip
    finally:
        terminal.close()

    report = json.loads(ended.stdout)
    assert (ended.returncode, report["outcome"]) == (0, "done"), ended.stderr
    assert "service   mail → services/mail" in ended.stderr
    assert "gate      test: test -s" in ended.stderr
    changed = project.git("diff", "--name-only", "HEAD", report["branch"])
    assert changed == "services/mail/x.txt"


def test_a_change_that_breaks_the_contract_is_repaired(project: Project, tmp_path: Path) -> None:
    project.write("services/mail/main.ts", "export {}\n")
    project.commit()
    terminal = Terminal(project, tmp_path)
    block = project.write(
        "../block.md", BLOCK.replace('"to": string', "to: string, tags?: string[]")
    )
    dto = "export class MailDto {{ @IsDefined() to: {}; tags?: string[] }}\n"
    path = "services/mail/mail.dto.ts"
    url = terminal.serve(
        turn(call("Write", file_path=path, content=dto.format("number"))),
        turn(),
        turn(call("Edit", file_path=path, old_string="number", new_string="string")),
        turn(text="## For the frontend\n- DELETE /v1/all: drops everything"),
    )
    try:
        ended = terminal.run(
            "handoff", str(block), "--json", "--prompt", "plain", "--base-url", url,
            "--gate", "test=true",
        )  # fmt: skip
    finally:
        terminal.close()

    report = json.loads(ended.stdout)
    assert (ended.returncode, report["outcome"]) == (0, "done"), ended.stderr
    assert f"MailDto ({path}:1): to is number, expected string" in ended.stderr
    (audit,) = [each for each in report["verification"]["gates"] if each["gate"] == "api-contract"]
    assert (audit["status"], audit["summary"]) == (
        "passed",
        f"1 shape as expected: MailDto ({path}:1)",
    )
    assert "to: string" in project.git("show", f"{report['branch']}:{path}")

    said = terminal.run("reply", report["task"])
    data = json.loads(terminal.run("reply", report["run"], "--json").stdout)
    missing = terminal.run("reply", "HANDOFF-0")
    assert (said.returncode, said.stdout) == (0, data["block"]), said.stderr
    (block,) = read_handoffs(said.stdout, where="reply").blocks
    assert (block.recipient, block.services) == ("frontend", ("mail",))
    assert block.work == "- use `GET /v1/mails`"
    assert f"created: `{path}`" in block.context
    assert "GET /v1/mails -> { to: string, tags?: string[] }" in block.contract
    assert data["differences"] == [
        "the report names DELETE /v1/all, which neither the block nor a document names",
        "the report does not name GET /v1/mails",
    ]
    assert data["commits"][0]["sha"] == project.git("rev-parse", report["branch"])
    answer = data["contract"]["paths"]["/v1/mails"]["get"]["responses"]["2XX"]
    assert answer["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/MailDto"
    }
    assert (missing.returncode, missing.stdout) == (2, "")


def test_an_input_that_never_ends_is_given_up() -> None:
    told: list[str] = []
    reading, writing = os.pipe()
    os.write(writing, b"--- BACKEND TASK HANDOFF ---\n")
    silence = r"has not ended after \d+ s, and said nothing for"
    with pytest.raises(UsageError, match=silence) as caught:
        read_input(reading, lambda: told.append("waits"), soon=0.1, patience=0.3)
    assert (told, caught.value.exit_code) == (["waits"], 2)
    os.close(writing)
    assert read_input(reading, lambda: told.append("waits"), soon=0, patience=0.2) == ""
    os.close(reading)
    assert told == ["waits"] * 2


def test_what_is_waited_for_on_a_pipe_is_told(shell: Shell) -> None:
    command = agentflow("handoff", "--dry-run", "--json", *GATE)
    process = subprocess.Popen(
        command, cwd=shell.project.root, env=shell.environment, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
    )  # fmt: skip
    assert process.stderr is not None
    first = process.stderr.readline()
    output, _ = process.communicate(BLOCK, timeout=PATIENCE)

    assert first == (
        "waiting for a handoff block on standard input to end; "
        "it is given up after 30 s without a byte\n"
    )
    assert (process.returncode, json.loads(output)["type"]) == (0, "handoff")


def test_an_input_that_drips_is_given_up_too() -> None:
    reading, writing = os.pipe()
    over = threading.Event()

    def drip() -> None:
        while not over.wait(0.02):
            os.write(writing, b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        with pytest.raises(UsageError, match=r"has not ended after \d+ s$"):
            read_input(reading, silent, patience=5, longest=0.3)
    finally:
        over.set()
        thread.join()
        os.close(reading)
        os.close(writing)


def test_a_block_may_come_from_a_command(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "block.md").write_text("nothing of the kind\n")
    command = " ".join(agentflow("handoff", f"<(cat {tmp_path}/block.md)"))
    ended = subprocess.run(
        ["/bin/bash", "-c", command], cwd=shell.project.root, env=shell.environment,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "/dev/fd/" in ended.stderr


def test_a_closed_standard_input_is_said(shell: Shell) -> None:
    command = " ".join(agentflow("handoff", "<&-"))
    ended = subprocess.run(
        ["/bin/sh", "-c", command], cwd=shell.project.root, env=shell.environment,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "standard input" in ended.stderr


def test_an_endless_input_is_read_no_further_than_it_may_be() -> None:
    reading, writing = os.pipe()

    def flood() -> None:
        with suppress(BrokenPipeError):
            while True:
                os.write(writing, b"x" * 65_536)

    thread = threading.Thread(target=flood)
    thread.start()
    assert len(read_input(reading, silent, patience=5)) > 1024 * 1024
    os.close(reading)
    thread.join(10)
    os.close(writing)
    assert not thread.is_alive()
