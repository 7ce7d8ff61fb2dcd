"""Denials: lists of paths that a prompt says are not to be changed."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.globs import check_glob
from agentflow.order import Order
from agentflow.plan import make_plan
from agentflow.prompts.denials import Denial, find_denials
from tests.growth import check_growth, lines, repeated
from tests.run.project import make_project

SEED = """# Boundaries

You can only modify files in these paths:
$FILE_BOUNDARIES

Do NOT modify:
- `apps/web/**` (frontend territory)
- `packages/ui/**` (frontend territory)
- `infrastructure/**` (devops territory)

Other agents working in parallel:
- `apps/other/**`
"""


def test_the_list_of_a_public_prompt_is_found_with_its_lines() -> None:
    assert find_denials(SEED) == (
        Denial("apps/web/**", 7),
        Denial("packages/ui/**", 8),
        Denial("infrastructure/**", 9),
    )


@pytest.mark.parametrize(
    ("body", "globs"),
    [
        ("Do not modify: `a/**`, `b.py` and `c/`", ["a/**", "b.py", "c/"]),
        ("**Never touch:**\r\n\r\n* /docs/x.md\r\n* vendor/ (third party)\r\n", ["docs/x.md", "vendor/"]),
        ("## Don't edit these files:\n1. **`a.lock`**\n2. package.json.", ["a.lock", "package.json"]),
        ("Do NOT modify:\n- `a/` but `b/` is yours", ["a/"]),
        ("Do NOT modify:\n- the tests\n- existing migrations/ folder", []),
        ("Do NOT modify:\n- `../x`\n- `.git/config`\n- `!src`\n- `a b`\n- `**`\n", ["**"]),
        ("Do NOT modify source files. Write the report only.\n- `src/**`", []),
        ("Do NOT modify:\n\n\n- `src/**`", []),
        ("Do NOT modify:\ntext\n- `src/**`", []),
        ("```\nDo NOT modify:\n- `src/**`\n```", []),
        ("You may modify:\n- `src/**`", []),
    ],
)  # fmt: skip
def test_only_lists_of_globs_count(body: str, globs: list[str]) -> None:
    assert [denial.glob for denial in find_denials(body)] == globs


PIECES = st.sampled_from(["Do NOT modify:", "\n", "\n- ", "`a/**`", "`", "../", " ", "```", "x.py"])


@given(st.lists(PIECES).map("".join) | st.text())
def test_no_text_crashes_and_every_glob_is_one(body: str) -> None:
    lines = body.split("\n")
    for denial in find_denials(body):
        assert check_glob(denial.glob, where="test") == denial.glob
        assert denial.line <= len(lines)


@pytest.mark.parametrize(
    "piece", ["`a`, ", "* ", "_", "Do NOT modify:", "Do NOT modify:\n- `a/b`\n"]
)
@pytest.mark.parametrize(("made", "size"), [(lines, 2_000), (repeated, 128 * 1024)])
def test_time_grows_with_the_length_only(
    piece: str, made: Callable[[str], Callable[[int], str]], size: int
) -> None:
    text = made(piece)
    check_growth(find_denials, lambda size: "Do NOT modify: " + text(size), size)


async def test_a_plan_adds_them_to_deny_and_says_so(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    project.task("allow: [app/**]\ndeny: [app/old/**]")
    text = "---\nname: own\n---\nDo NOT modify:\n- `app/main.py`\n- `docs/`\n"
    path = project.write(".orchestrator/prompts/own.md", text)
    project.commit()

    flags = {"prompt": "own", "gates": [{"name": "t", "command": "true"}]}
    plan = await make_plan(Order("TASK-1", flags=flags), project.world)

    assert plan.boundaries.allow == ("app/**",)
    assert plan.boundaries.deny == ("app/old/**", "app/main.py", "docs/")
    assert plan.mounts.protected[:3] == ("app/old", "app/main.py", "docs")
    assert "You may not change: `app/old/**`, `app/main.py`, `docs/`" in plan.rendered.first_message
    assert f"{path}:5: denies app/main.py" in plan.notices
