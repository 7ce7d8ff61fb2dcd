"""A run whose prompt reads promises: the report holds what was claimed beside what exists."""

from pathlib import Path

import pytest

from tests.run.project import HELLO, make_project, turn

pytestmark = pytest.mark.sandbox

INTENT = "# Intent\n\n- PRM-001: An order is never lost\n- PRM-002: Prices are shown\n"
REPORT = """## Implemented
- [x] hello
## Tests
- [x] none
## Promises Verified
- [x] PRM-001
- [x] PRM-009
## Notes
- none
"""


async def test_claimed_promises_are_in_the_report(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    project.write(
        ".orchestrator/prompts/own.md", "---\nagentflow: {completion: report}\n---\nReport.\n"
    )
    project.write("docs/intent/product-intent.md", INTENT)
    project.commit()
    report = await project.run([turn(HELLO), turn(text=REPORT)], prompt="own")
    assert report["outcome"] == "done"
    assert report["promises"] == {
        "known": ["PRM-001", "PRM-002"],
        "claimed": ["PRM-001", "PRM-009"],
        "unknown": ["PRM-009"],
        "unmentioned": ["PRM-002"],
    }
    audit = next(each for each in report["verification"]["gates"] if each["gate"] == "promises")
    assert audit["notices"] == ["not in the intent document: PRM-009; not mentioned: PRM-002"]


async def test_a_run_without_promises_has_empty_lists(tmp_path: Path) -> None:
    report = await make_project(tmp_path).run([turn(HELLO), turn()])
    assert report["promises"] == {"known": [], "claimed": [], "unknown": [], "unmentioned": []}
    assert "promises" not in [each["gate"] for each in report["verification"]["gates"]]
