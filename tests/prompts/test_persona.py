"""Personas: orders to become another agent, and the files that they name."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.order import Order as RunOrder
from agentflow.plan import make_plan
from agentflow.prompts.base_tree import MAX_FILE
from agentflow.prompts.persona import (
    MAX_PERSONAS,
    Order,
    attached_personas,
    find_orders,
    load_personas,
    persona_notices,
    texts,
)
from agentflow.prompts.references import MAX_TEXT
from agentflow.tools import DEFAULT_TOOLS
from tests.growth import check_growth, lines, repeated
from tests.prompts.trees import tree
from tests.run.project import make_project

DEVELOPER = ".claude/agents/developer.md"
SEED = (
    "> **CRITICAL**: Before executing this workflow, you MUST read and fully impersonate the "
    f"agent system prompt at `{DEVELOPER}`. Internalize the persona."
)
OWN = (SEED, Path("/r/own.md"), 3)


@pytest.mark.parametrize(
    "text",
    [
        SEED,
        f"Adopt the persona in {DEVELOPER}.",
        f"Act as the agent of @{DEVELOPER}",
        f"Take on the role described in `./{DEVELOPER}`.",
        f"Read the agent system prompt at /{DEVELOPER} first.",
        f"Read `{DEVELOPER}` and use its persona, load the persona there",
        f"You impersonate the agent whose file is\n`{DEVELOPER}`.",
        f"In `{DEVELOPER}` is who you are:\nimpersonate it.",
        f"> impersonate\n> `{DEVELOPER}`",
    ],
)
def test_an_order_is_a_path_close_to_its_words(text: str) -> None:
    assert [order.path for order in find_orders(text)] == [DEVELOPER]


@pytest.mark.parametrize(
    "text",
    [
        f"See `{DEVELOPER}`.",
        f"Once installed it lives at `{DEVELOPER}` and you can invoke it.",
        f"Do not impersonate the agent at `{DEVELOPER}`.",
        f"Don't impersonate the agent at `{DEVELOPER}`.",
        f"Never adopt the persona of `{DEVELOPER}`.",
        f"```\n{SEED}\n```",
        "Impersonate the agent at `docs/developer.md`.",
        "Impersonate the agent at `.claude/agents/{name}.md`.",
        "Impersonate the agent at `agents.md`.",
        f"- Impersonate nobody.\n- See `{DEVELOPER}`.",
        f"# Adopt\n\nSee `{DEVELOPER}`.",
        "impersonate " + "x" * 300 + f" {DEVELOPER}",
        f"Adoption of `{DEVELOPER}`",
    ],
)
def test_a_mention_is_no_order(text: str) -> None:
    assert find_orders(text) == ()


def test_each_path_counts_once_at_its_first_line_and_some_are_enough() -> None:
    many = "\n\n".join(f"Impersonate agents/a{n}.md, agents/a{n}.md" for n in range(9))
    found = find_orders(many)
    assert found[:2] == (Order("agents/a0.md", 1), Order("agents/a1.md", 3))
    assert len(found) == MAX_PERSONAS


def test_the_body_is_attached_and_the_header_gives_no_tools() -> None:
    text = "\n---\nname: d\ntools: Read, Grep, Bash(git:*)\n---\nBe {TASK_ID} ```\n@docs/a.md"
    personas = load_personas(OWN, Path("/r"), tree({DEVELOPER: text}), DEFAULT_TOOLS)
    assert attached_personas(personas) == (
        "# The agent named above whose persona you take on, as of the base commit\n\n"
        f"## `{DEVELOPER}`\n\n````\nBe {{TASK_ID}} ```\n@docs/a.md\n````\n"
    )
    assert persona_notices(personas, OWN, DEFAULT_TOOLS) == (
        f"/r/own.md:4: the persona {DEVELOPER} names fewer tools (Read, Grep, Bash(git:*)); those "
        "of the prompt hold",
    )
    assert [each[1:] for each in texts(OWN, personas)] == [OWN[1:], (Path(DEVELOPER), 5)]
    assert persona_notices(personas, OWN, ("Read",)) == persona_notices(personas, OWN, ("Read",))


@pytest.mark.parametrize(
    "header", ["", "---\ndescription: x\n---\n", "---\ntools: Read, Grep, Glob\n---\n"]
)
def test_no_fewer_tools_are_nothing_to_say(header: str) -> None:
    tools = ("Read", "Grep")
    personas = load_personas(OWN, None, tree({DEVELOPER: f"{header}Be."}), tools)
    assert attached_personas(personas).endswith("\n\n```\nBe.\n```\n")
    assert persona_notices(personas, OWN, tools) == ()


@pytest.mark.parametrize(
    ("path", "files", "links", "told"),
    [
        (DEVELOPER, {}, {}, "is not in the base"),
        (DEVELOPER, {}, {DEVELOPER: "../../../etc/agents"}, "is not in the base"),
        (f"~/{DEVELOPER}", {DEVELOPER: "x"}, {}, "is not in the base"),
        (f"../x/{DEVELOPER}", {DEVELOPER: "x"}, {}, "is not in the base"),
        (DEVELOPER, {DEVELOPER: "x" * (MAX_FILE + 1)}, {}, "is not read"),
        (DEVELOPER, {DEVELOPER: "x\0"}, {}, "is not read"),
        ("agents/secrets/a.md", {"agents/secrets/a.md": "x"}, {}, "is not read"),
    ],
)
def test_what_cannot_be_adopted_is_told_with_its_line(
    path: str, files: dict[str, str], links: dict[str, str], told: str
) -> None:
    own = (f"\nImpersonate `{path}`.", Path("own.md"), 3)
    personas = load_personas(own, None, tree(files, links), DEFAULT_TOOLS)
    assert attached_personas(personas) == ""
    (notice,) = persona_notices(personas, own, DEFAULT_TOOLS)
    assert notice.startswith(f"own.md:5: the persona {path} {told}")


def test_a_long_persona_is_cut_with_a_note() -> None:
    personas = load_personas(OWN, None, tree({DEVELOPER: "text\n" * MAX_TEXT}), DEFAULT_TOOLS)
    text = attached_personas(personas)
    assert len(text) < MAX_TEXT + 1_000
    assert f"Read the rest in `{DEVELOPER}`" in text


def test_a_file_that_names_itself_orders_nothing() -> None:
    own = (SEED, Path("/r") / DEVELOPER, 0)
    assert load_personas(own, Path("/r"), tree({DEVELOPER: "x"}), DEFAULT_TOOLS) == ()


@given(st.lists(st.sampled_from(["agents/", "a.md", "adopt ", "~", "..", "/", "@", "`", "\n"])))
def test_no_text_crashes(pieces: list[str]) -> None:
    body = "".join(pieces)
    for order in find_orders(body):
        assert order.path.endswith(".md")
        assert order.line <= len(body.split("\n"))
    load_personas((body, Path("x"), 0), None, tree({}), ())


@pytest.mark.parametrize(
    "piece", ["agents/", "agents/a.md ", "agents/a.md\n", "adopt agents/a.md ", "read "]
)
@pytest.mark.parametrize(("made", "size"), [(lines, 4_000), (repeated, 128 * 1024)])
def test_time_grows_with_the_length_only(
    piece: str, made: Callable[[str], Callable[[int], str]], size: int
) -> None:
    check_growth(find_orders, made(piece), size)


async def test_a_plan_attaches_the_persona_and_says_who_commits(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    batch = "Read task-tracking/{TASK_ID}/tasks.md.\n- One commit per batch.\n"
    path = project.write(".orchestrator/prompts/own.md", f"---\nname: own\n---\n{SEED}\n{batch}")
    project.write(DEVELOPER, "---\ntools: Read\n---\nYOU DO NOT HANDLE GIT.\n")
    project.write("docs/a.md", "A.")
    project.commit()
    project.write(DEVELOPER, "uncommitted")

    flags = {"prompt": "own", "gates": [{"name": "t", "command": "true"}]}
    plan = await make_plan(RunOrder("TASK-1", flags=flags), project.world)

    assert plan.prompt.tools == DEFAULT_TOOLS
    assert plan.rendered.system.endswith(
        f"\n\n## `{DEVELOPER}`\n\n```\nYOU DO NOT HANDLE GIT.\n```\n"
    )
    assert plan.rendered.system.startswith(SEED)
    assert plan.notices[-3:-1] == (
        f"{path}:4: the persona {DEVELOPER} names fewer tools (Read); those of the prompt hold",
        f"it is not clear who commits: {path}:6 says that the agent commits, {DEVELOPER}:4 says "
        "that the agent does not commit; the profile decides: the agent commits",
    )
    lines = plan.rendered.first_message.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("- Commit your work yourself"))
    assert lines[at + 1].startswith("- The line above decides about commits. It overrides ")


async def test_without_a_disagreement_nothing_is_overridden(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    project.write(".orchestrator/prompts/own.md", f"{SEED}\n@{DEVELOPER}\n")
    project.write(DEVELOPER, "YOU DO NOT HANDLE GIT.\n")
    project.commit()
    flags = {"prompt": "own", "gates": [{"name": "t", "command": "true"}]}
    plan = await make_plan(RunOrder("TASK-1", flags=flags), project.world)
    assert "overrides" not in plan.rendered.first_message
    assert plan.rendered.system.count("YOU DO NOT HANDLE GIT.") == 1
    assert not any("who commits" in notice for notice in plan.notices)
