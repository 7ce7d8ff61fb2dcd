"""No secret reaches journal, report, prompt, messages or events, whoever says it."""

import base64
import json
from dataclasses import replace

import pytest

from tests.run.project import HELLO, Project, bash, call, turn

pytestmark = pytest.mark.sandbox

KEY = "sk-local-" + "c8Vx0Tq3nL5wPz7R"
VALUE = "pa55-of-the-database"
AWS = "AKIA" + "Q3EGRZ5KLMNOP7WT"
GITHUB = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


async def test_no_secret_is_written_down_or_sent(project: Project) -> None:
    project.write("app/.env", f"AWS_ACCESS_KEY_ID={AWS}\n")
    project.write(
        ".orchestrator/prompts/plain.md", f"Do what the task says. The token is {GITHUB}.\n"
    )
    config = project.root.parent / "config/agentflow/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[environment.agent]\nenv_from = ["DB_PASSWORD"]\n')
    project.commit()
    environment = {**project.world.environment, "AGENTFLOW_API_KEY": KEY, "DB_PASSWORD": VALUE}
    project.world = replace(project.world, environment=environment)
    encoded = base64.b64encode(VALUE.encode()).decode()
    turns = [
        turn(call("Read", file_path="app/.env"), bash("echo $DB_PASSWORD; exit 3")),
        turn(
            call("Write", file_path="app/hello.txt", content=f"{AWS}\n"),
            text=f"I know {GITHUB}, {KEY} and {encoded}.",
        ),
        turn(HELLO, bash('git add -A; git commit -qm "feat: $DB_PASSWORD"; cat app/hello.txt')),
        turn(text=f"Done with {VALUE}."),
    ]

    report = await project.run(turns)

    kept = project.root / ".orchestrator"
    texts = [
        *(path.read_text() for path in (kept / "runs").rglob("*") if path.is_file()),
        (kept / "reports/TASK-1.json").read_text(),
        json.dumps(report),
        json.dumps(project.requests),
        repr(project.events),
    ]
    for secret in (KEY, VALUE, AWS, GITHUB, encoded.rstrip("=")):
        assert not any(secret in text for text in texts), secret
    assert len(texts) > 5


async def test_a_call_that_holds_a_key_is_not_run(project: Project) -> None:
    write = call("Write", file_path="app/key.txt", content=f"{GITHUB}\n")

    report = await project.run([turn(write), turn(HELLO), turn()])

    assert report["outcome"] == "done"
    assert project.git("ls-tree", "--name-only", "agentflow/TASK-1", "app/").split() == [
        "app/hello.txt",
        "app/main.py",
    ]
    (result,) = project.requests[1]["messages"][-1]["content"]
    assert result["is_error"] is True
    assert result["content"].startswith("Write: This call was not run: its input holds")
    assert project.requests[1]["messages"][-2]["content"][-1]["input"]["content"] == "[redacted]\n"
