"""File boundaries: what the section of an implementation plan allows, and that it opens nothing."""

import asyncio
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.dry_run import describe
from agentflow.order import Order
from agentflow.plan import Plan, make_plan
from agentflow.prompts.file_boundaries import MAX_ROWS, Planned, planned_boundaries
from tests.run.project import GATE, make_project

BASE = frozenset({"apps/api/main.py", "scripts/run.sh", "package.json"})
TABLE = """# Plan

## File Boundaries

| Agent | Allowed paths | Do not touch |
|-------|:--------------|---|
| `backend_dev` | `apps/api/**`, `scripts/**` (new) | `apps/api/gen/**` |
| frontend-dev | apps/web/**<br>packages/ui/** | - |

## Next

| Agent | Paths |
|---|---|
| backend_dev | `else/**` |
"""


def planned(text: str, name: str = "backend-dev") -> Planned:
    return planned_boundaries(text, "docs/plans/p.md", (name,), BASE)


def section(text: str) -> Planned:
    return planned(f"## File Boundaries\n\n{text}\n")


def test_a_table_gives_each_agent_its_row() -> None:
    assert planned(TABLE) == Planned(
        ("apps/api/**", "scripts/**"),
        ("apps/api/gen/**",),
        ("docs/plans/p.md:7: the plan allows only apps/api/**, scripts/**"
         ", and denies apps/api/gen/**",),
    )  # fmt: skip
    assert planned(TABLE, "Frontend_Dev").allow == ("apps/web/**", "packages/ui/**")


def test_a_table_without_the_agent_is_not_used() -> None:
    assert planned(TABLE, "agent") == Planned(
        notices=(
            "docs/plans/p.md:7: the plan's file boundaries are not used: no row of them is for agent",
        )
    )


@pytest.mark.parametrize(
    ("text", "allow", "deny"),
    [
        ("- `apps/api/**`\n- `scripts/` (helpers)\n", ("apps/api/**", "scripts/"), ()),
        ("1. apps/api/**, scripts/**", ("apps/api/**", "scripts/**"), ()),
        ("- backend_dev: `apps/api/**` and `/scripts/`\n- **other**: `x/**`",
         ("apps/api/**", "scripts/"), ()),
        ("### backend-dev\n- `apps/api/**`\n\n### other\n- `x/**`", ("apps/api/**",), ()),
        ("You may change:\n- `apps/**`\n\nDo NOT modify:\n- `apps/web/**`",
         ("apps/**",), ("apps/web/**",)),
        ("- Allowed: `apps/**`\n- Forbidden: `apps/web/**`", ("apps/**",), ("apps/web/**",)),
        ("| Path |\n|---|\n| `apps/api/**` |\n| `scripts/**` |",
         ("apps/api/**", "scripts/**"), ()),
        ("| Role | Files |\n|---|---|\n| somebody | `apps/api/**` |", ("apps/api/**",), ()),
    ],
)  # fmt: skip
def test_lists_and_plain_tables(text: str, allow: tuple[str, ...], deny: tuple[str, ...]) -> None:
    found = section(text)
    assert (found.allow, found.deny) == (allow, deny)


@pytest.mark.parametrize(
    "text",
    [
        "- everything except `apps/web/**`",
        "- `apps/api/**` but read-only",
        "- the API",
        "- `../outside/**`",
        "- `apps/**`\n- `!apps/web/**`",
        "- `/`",
        "| Path | Access |\n|---|---|\n| `apps/**` | read |",
        "| Files | Paths |\n|---|---|\n| `apps/**` | `x/**` |",
        "| Agent | Paths |\n|---|---|\n| backend-dev | `apps/**` | more |",
        "| Agent | Paths | Denied |\n|---|---|---|\n| backend-dev | `apps/**` | the rest |",
        "Do not modify:\n- `apps/web/**`",
        "Do not modify:\n\n| Path |\n|---|\n| `apps/**` |",
        "\n".join(f"- `a{n}/**`" for n in range(MAX_ROWS + 1)),
    ],
)
def test_what_cannot_be_read_for_certain_is_not_used(text: str) -> None:
    found = section(text)
    assert (found.allow, found.deny) == ((), ())
    assert ["not used" in notice for notice in found.notices] == [True]


@pytest.mark.parametrize(
    "text",
    ["", "## File Boundaries\n\nSee the task.\n", f"```\n{TABLE}\n```\n", "# Boundaries\n- `a/**`"],
)
def test_a_plan_without_the_section_says_nothing(text: str) -> None:
    assert planned(text) == Planned()


def test_a_plan_opens_no_protected_path() -> None:
    found = section("- `apps/**`\n- `.github/workflows/**`\n- `docs/CLAUDE.md`")
    assert found.allow == ("apps/**",)
    assert [notice.partition("the plan ")[2] for notice in found.notices[1:]] == [
        "cannot allow .github/workflows/**, which is protected",
        "cannot allow docs/CLAUDE.md, which is protected",
    ]
    assert section("- `.orchestrator/**`").allow == ()


def test_a_plan_names_no_file_to_the_tamper_gate() -> None:
    found = section("- `package.json`\n- `apps/api`\n- `tests/test_new.py`\n- `apps/new`")
    assert found.allow == (
        "{package.json}", "apps/api", "tests/{test_new.py}", "apps/{new}", "apps/new/",
    )  # fmt: skip


@given(st.text(alphabet="|-`#*: ab/\n!{}().", max_size=300))
def test_no_text_crashes_or_opens(text: str) -> None:
    found = section(text)
    assert not any("\n" in notice for notice in found.notices)
    assert all(glob.strip() and not glob.startswith(("/", "!")) for glob in found.allow)


def plan_of(folder: Path, header: str, text: str, config: str = "", **flags: object) -> Plan:
    project = make_project(folder)
    project.task(header)
    project.write("docs/plans/TASK-1.md", f"## File Boundaries\n\n{text}\n")
    project.write(".orchestrator/config.toml", config)
    project.commit()
    order = Order("TASK-1", flags={"gates": [GATE], "prompt": "plain", **flags})
    return asyncio.run(make_plan(order, project.world))


def test_the_task_comes_first_then_the_plan_then_the_configuration(tmp_path: Path) -> None:
    text, config = "- `app/**`", 'allow = ["app/*.py", "tests/**"]'
    own = plan_of(tmp_path / "1", "allow: [tests/**]", text, config)
    assert own.boundaries.allow == ("tests/**",)
    flag = plan_of(tmp_path / "2", "title: x", text, config, allow=["README.md"])
    assert flag.boundaries.allow == ("README.md",)
    found = plan_of(tmp_path / "3", "deny: [app/x.py]", text, config)
    assert found.boundaries.allow == ("app/**",)
    assert found.boundaries.within == (("app/*.py", "tests/**"),)
    assert found.boundaries.deny == ("app/x.py",)
    assert "docs/plans/TASK-1.md:3: the plan allows only app/**" in found.notices
    unclear = plan_of(tmp_path / "4", "title: x", "- what the task needs", config)
    assert unclear.boundaries.allow == ("app/*.py", "tests/**")
    assert any("TASK-1.md:3: the plan's file boundaries are not" in n for n in unclear.notices)


def test_how_a_plan_is_kept_from_naming_a_file_is_nobody_s_business(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "title: x", "- `app/main.py`\n- `app/new.py`")
    assert plan.boundaries.allow == ("app/{main.py}", "app/{new.py}")
    shown = describe(plan)
    assert "may change only: `app/main.py`, `app/new.py`." in shown
    assert "the plan allows only app/main.py, app/new.py" in shown
    assert not re.findall(r"\{\w+\.py\}", shown)
