"""Profiles told by signs."""

import pytest

from agentflow.prompts.detection import DOCUMENTS, SIGNS, Detected, detect
from agentflow.records import Profile

JSON = '{"implementation": {}, "files": [], "verification": {}}'
REPORT = "## Implemented\n- x\n## Tests\n- x\n## Promises Verified\n- x\n"


@pytest.mark.parametrize(
    ("fields", "body", "name", "commits", "completion"),
    [
        ({}, "Do it.", "default", "orchestrator", "message"),
        ({"output_format": "JSON"}, "Do it.", "json", "orchestrator", "json"),
        ({"output_format": "json"}, JSON, "json", "orchestrator", "json"),
        ({}, JSON, "default", "orchestrator", "message"),
        (
            {},
            "echo done > .orchestrator/complete/TASK-XXX.done",
            "marker",
            "orchestrator",
            "marker",
        ),
        (
            {},
            "Read(task-tracking/{TASK_ID}/tasks.md)\n**ONE COMMIT PER BATCH**",
            "batch",
            "agent",
            "commit",
        ),
        ({}, "task-tracking/{TASK_ID}/tasks.md", "default", "orchestrator", "message"),
        ({}, REPORT, "report", "orchestrator", "report"),
        ({}, REPORT.replace("## Tests", "Tests"), "default", "orchestrator", "message"),
        (
            {"name": "backend-task-handoff-prompt"},
            "Parse the handoff block",
            "handoff",
            "orchestrator",
            "message",
        ),
    ],
)
def test_a_sign_decides(
    fields: dict[str, str], body: str, name: str, commits: str, completion: str
) -> None:
    found = detect(fields, body)
    assert (found.name, found.profile.commits, found.profile.completion) == (
        name,
        commits,
        completion,
    )
    assert found.sign in {*(sign.told for sign in SIGNS), "no sign of another"}


def test_placeholders_and_documents_are_those_that_the_prompt_names() -> None:
    assert detect({}, "$TASK_DESCRIPTION $TASK_DESCRIPTIONS $HOME $CURRENT_PHASE") == Detected(
        "default", "no sign of another", Profile(("$CURRENT_PHASE", "$TASK_DESCRIPTION"))
    )
    assert detect({}, f"{REPORT}/{DOCUMENTS[0]}").profile.documents == (DOCUMENTS[0],)
    assert detect({}, f"/{DOCUMENTS[0]}").profile.documents == ()
