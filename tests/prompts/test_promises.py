"""Promises of an intent document: by id, or by their own words."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.order import Order
from agentflow.plan import Plan, make_plan
from agentflow.prompts.promises import INTENT, MAX_PROMISES, find_promises, intent_document
from agentflow.records import Profile
from tests.growth import check_growth, repeated
from tests.run.project import GATE, make_project

YAML = """# Intent

See PRM-009 below.

```yaml
invariants:
  - INV-001: "Totals never change"
promises:
  PRM-001:
    promise: "An order is never lost"
    verification: "restart"
  - id: PRM-002
    statement: Prices are shown with tax
    broken_when: PRM-077 does
anti_behaviors:
  ANTI-003:
  ANTI-004: no dark patterns
```

### BHV-010: Greets

| PRM-005 | in a table |
"""


def test_ids_stand_at_the_beginning_of_a_line() -> None:
    assert {each.name: each.text for each in find_promises(YAML)} == {
        "INV-001": "Totals never change",
        "PRM-001": "An order is never lost",
        "PRM-002": "Prices are shown with tax",
        "ANTI-003": "",
        "ANTI-004": "no dark patterns",
        "BHV-010": "Greets",
        "PRM-005": "in a table",
    }


def test_items_below_their_headings_are_promises_too() -> None:
    text = (
        "# Product\n- no promise\n\n## Must Do\n- Keep **every** order\n  - detail\n- [ ] Say hello\n"
        "### Why\n- because\n\n## 2. Must NOT Do:\n1. Sell data\n\n**Promises**\n\n* `PRM-1`: fast\n"
        "```\n- code\n```\n- Keep **every** order\n"
    )
    assert [each.name for each in find_promises(text)] == [
        "PRM-1", "Keep **every** order", "Say hello", "Sell data",
    ]  # fmt: skip


def test_a_document_is_taken_in_bounded_parts() -> None:
    assert len(find_promises("".join(f"- PRM-{n}: x\n" for n in range(1000)))) == MAX_PROMISES


@pytest.mark.parametrize(
    ("begin", "piece", "end"),
    [
        ("", "*_", ""), ("# a", "#:", "x"), ("**", "a", ""), ("- ", "- ", ""), ("", " ", "x"),
        ("## ", "Must ", ""), ("", "PR-", ""), ("| ", "| ", ""),
    ],
)  # fmt: skip
def test_time_grows_with_the_length_only(begin: str, piece: str, end: str) -> None:
    middle = repeated(piece)

    def find(text: str) -> None:
        assert find_promises(text) == ()

    check_growth(find, lambda size: f"{begin}{middle(size)}{end}\n" * 100, 2_000)
    check_growth(find, lambda lines: f"{begin}{middle(50)}{end}\n" * lines, 8_000)


@given(st.text(alphabet="PRM-01:#*_`|- \nMust Dox", max_size=200))
def test_no_text_crashes(text: str) -> None:
    assert all("\n" not in each.name + each.text for each in find_promises(text))


@pytest.mark.parametrize(
    ("profile", "path"),
    [
        (Profile(), None),
        (Profile(completion="report"), INTENT),
        (Profile(documents=("/docs/a.md", "/docs/my-intent.md", "docs/intent/**")),
         "docs/my-intent.md"),
    ],
)  # fmt: skip
def test_the_profile_says_where_they_are(profile: Profile, path: str | None) -> None:
    assert intent_document(profile) == path


async def plan(folder: Path, *, committed: bool) -> Plan:
    project = make_project(folder)
    project.write(
        ".orchestrator/prompts/own.md", "---\nagentflow: {completion: report}\n---\nReport.\n"
    )
    if committed:
        project.write(INTENT, "## Promises\n- PRM-1: {{ 6 * 7 }} $TASK_DESCRIPTION\n- Be kind\n")
        project.commit()
    project.write(INTENT, "- PRM-2: later\n")
    return await make_plan(Order("TASK-1", flags={"gates": [GATE], "prompt": "own"}), project.world)


async def test_the_agent_is_told_of_them_as_of_the_base(tmp_path: Path) -> None:
    found = await plan(tmp_path, committed=True)
    assert [each.name for each in found.promises] == ["PRM-1", "Be kind"]
    assert "  - PRM-1: {{ 6 * 7 }} $TASK_DESCRIPTION\n  - Be kind\n" in found.rendered.first_message


async def test_a_document_that_git_does_not_know_counts_as_it_lies(tmp_path: Path) -> None:
    assert [each.name for each in (await plan(tmp_path, committed=False)).promises] == ["PRM-2"]
