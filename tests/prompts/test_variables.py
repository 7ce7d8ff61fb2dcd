"""Variables: where each placeholder's value comes from."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.errors import UsageError
from agentflow.order import Order
from agentflow.plan import make_plan
from agentflow.prompts.references import Reference
from agentflow.prompts.variables import (
    ALONE,
    NONE,
    PHASE,
    SOURCES,
    Commands,
    Filled,
    Sources,
    argument_values,
    fill,
)
from agentflow.records import Boundaries, Task
from agentflow.runs import task_lock
from agentflow.setting_tables import DocumentsSetting, FileVariable
from tests.prompts.trees import tree
from tests.run.project import Project, make_project

TASK = Task("TASK-7", "Say hello", "Say hello.")
GATES = [{"name": "t", "command": "true"}]
ROOTS = DocumentsSetting().roots


def sources(
    files: dict[str, str],
    others: tuple[tuple[str, Boundaries | None], ...] = (),
    recent: tuple[str, ...] = (),
) -> Sources:
    here = tree(files)
    return Sources(TASK, Boundaries(), here, lambda: others, lambda: recent, printed, ROOTS)


def printed(commands: Commands) -> dict[str, str]:
    """What each command says that it is."""
    return {name: f"ran {each.command}" for name, each in commands.items()}


def value(name: str, files: dict[str, str]) -> str:
    return fill((f"${name}",), {}, sources(files)).values[name]


def test_what_nothing_is_known_of_says_so() -> None:
    names = [f"${name}" for name in SOURCES]
    expected = dict.fromkeys(SOURCES, NONE) | {"PARALLEL_AGENTS": ALONE}
    assert fill(names, {}, sources({})) == Filled(expected)
    assert fill(("{TASK_ID}",), {}, sources({PHASE: "x"})) == Filled({})


@pytest.mark.parametrize(
    ("text", "phase"),
    [
        ("# Phase\n\n**Phase**: 1 (Foundation - CP0)\n**Status**: in_progress\n",
         "1 (Foundation - CP0), in_progress"),
        ("- Status: done\r\n", "done"),
        ("# Current\n\nThe second one\x1b[2J.\nmore", "The second one."),
        ("# Nothing\n", NONE),
        ("\0", NONE),
        ("x" * 500, "x" * 299 + "…"),
    ],
)  # fmt: skip
def test_the_phase_is_one_line(text: str, phase: str) -> None:
    assert value("CURRENT_PHASE", {PHASE: text}) == phase


def test_the_task_s_own_plan_comes_before_the_project_s() -> None:
    own, shared = "task-tracking/TASK-7/implementation-plan.md", ".meta/plans/current-plan.md"
    both = {own: "a", shared: "b", "docs/plans/TASK-8.md": "c"}
    assert fill(("$IMPLEMENTATION_PLAN",), {}, sources(both)) == Filled(
        {"IMPLEMENTATION_PLAN": f"`{own}` (its text is at the end)"},
        (Reference(own, 0, "file", own),),
    )
    assert value("IMPLEMENTATION_PLAN", {shared: "b"}).startswith(f"`{shared}`")
    assert value("IMPLEMENTATION_PLAN", {"docs/plans/TASK-8.md": "c"}) == NONE


@pytest.mark.parametrize("root", ROOTS)
def test_the_plan_lies_beside_the_task_s_document(root: str) -> None:
    plans = {f"{each}/TASK-7/implementation-plan.md": "a" for each in ROOTS}
    there = plans | {f"{root}/TASK-7/tasks.md": "b"}
    assert f"`{root}/TASK-7/" in value("IMPLEMENTATION_PLAN", there)
    alone = f"{root}/TASK-7/implementation-plan.md"
    assert f"`{alone}`" in value("IMPLEMENTATION_PLAN", {alone: "a"})


def test_other_runs_and_commits_are_listed() -> None:
    others = (("TASK-1", Boundaries(("a/**", "b/"))), ("TASK-2", Boundaries()), ("TASK-3", None))
    found = fill(
        ("$PARALLEL_AGENTS", "$RECENT_CHANGES"),
        {},
        sources({}, others, ("abc fix: it\x1b[2J", "def feat: more")),
    )
    assert found.values == {
        "PARALLEL_AGENTS": "- TASK-1: `a/**`, `b/`\n- TASK-2: any path\n"
        "- TASK-3: its boundaries are not known",
        "RECENT_CHANGES": "- abc fix: it\n- def feat: more",
    }


def test_configuration_comes_first_as_text_or_as_a_file() -> None:
    files = {PHASE: "Phase: 1", "notes/team.md": "\nPayments $CURRENT_PHASE\n"}
    configured = {"CURRENT_PHASE": "9", "TEAM": FileVariable(path="notes/team.md")}
    assert fill(("$CURRENT_PHASE",), configured, sources(files)) == Filled({
        "CURRENT_PHASE": "9",
        "TEAM": "Payments $CURRENT_PHASE",
    })


@pytest.mark.parametrize("path", ["none.md", ".env", "../x", "long.md"])
def test_a_configured_file_that_cannot_be_read_is_refused(path: str) -> None:
    held = sources({".env": "KEY=1", "long.md": "x" * 40_000})
    with pytest.raises(UsageError, match=r"\[variables\] TEAM: ") as caught:
        fill((), {"TEAM": FileVariable(path=path)}, held)
    assert path in caught.value.message


COMMAND = Path(".claude/commands/fix.md")


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        (None, {}),
        ("12 'two words'", {"$ARGUMENTS": "12 'two words'", "$1": "12", "$2": "two words"}),
        ("", {"$ARGUMENTS": ""}),
    ],
)
def test_arguments_are_values_of_a_command_file(
    arguments: str | None, values: dict[str, str]
) -> None:
    assert argument_values(arguments, "Fix $ARGUMENTS, $1 and $3", COMMAND) == values


@pytest.mark.parametrize(
    ("body", "path", "arguments", "message"),
    [
        ("$ARGUMENTS", Path(".claude/agents/x.md"), "1", "is no command file"),
        ("costs $10", COMMAND, "1", "takes no arguments"),
        ("$1", COMMAND, "'open", "cannot be split"),
    ],
)
def test_arguments_that_go_nowhere_are_refused(
    body: str, path: Path, arguments: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        argument_values(arguments, body, path)


@given(st.text(), st.text())
def test_no_phase_and_no_plan_crash(phase: str, plan: str) -> None:
    files = {PHASE: phase, ".meta/plans/current-plan.md": plan}
    found = fill(("$CURRENT_PHASE", "$IMPLEMENTATION_PLAN"), {}, sources(files))
    assert "\n" not in found.values["CURRENT_PHASE"]


async def rendered(project: Project, prompt: str, arguments: str | None = None) -> str:
    order = Order("TASK-1", flags={"prompt": prompt, "gates": GATES}, arguments=arguments)
    return (await make_plan(order, project.world)).rendered.system


async def test_a_plan_fills_them_from_the_base_and_from_the_runs_alive(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    project.write(PHASE, "**Phase**: 1\n")
    project.write("docs/plans/TASK-1.md", "1. {TASK_ID} first\n")
    project.write("notes.md", "from a file")
    project.write(".orchestrator/config.toml", '[variables]\nTEAM = {path = "notes.md"}\n')
    project.write(".orchestrator/tasks/TASK-2.md", "---\nallow: [docs/**]\n---\nText\n")
    names = ("CURRENT_PHASE", "IMPLEMENTATION_PLAN", "PARALLEL_AGENTS", "RECENT_CHANGES", "TEAM")
    listed = ", ".join(f"${name}" for name in names)
    project.write(
        ".orchestrator/prompts/own.md",
        f"---\nagentflow:\n  variables: [{listed}]\n---\n" + "\n".join(listed.split(", ")),
    )
    head = project.commit("feat: plan")
    project.write(PHASE, "**Phase**: uncommitted\n")
    (project.root / ".orchestrator/runs/TASK-2-20260101T000000-abcd").mkdir(parents=True)
    for other in ("TASK-1", "TASK-3"):
        (project.root / f".orchestrator/runs/{other}-20260101T000000-abcd").mkdir()
    repository = (
        await make_plan(Order("TASK-1", flags={"gates": GATES}), project.world)
    ).repository

    locks = repository.locks(project.world.cache)
    with task_lock(locks, "TASK-2"), task_lock(locks, "TASK-1"):
        system = await rendered(project, "own")

    first, *_, last, start = (line for line in system.split("\n\n# Files")[0].splitlines())
    assert (first, last[:2], start) == ("1", "- ", "from a file")
    assert "\n`docs/plans/TASK-1.md` (its text is at the end)\n- TASK-2: `docs/**`\n" in system
    assert f"- {head[:7]} feat: plan\n" in system
    assert system.endswith("## `docs/plans/TASK-1.md`\n\n```\n1. {TASK_ID} first\n```\n")


async def test_arguments_are_filled_only_where_they_were_given(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    path = str(project.root / "p/commands/fix.md")
    project.write("p/commands/fix.md", "Fix $1: $ARGUMENTS, not $2 or ${1} or $10.\n")
    project.commit()
    given_, not_given = await asyncio.gather(
        rendered(project, path, "$ARGUMENTS"), rendered(project, path)
    )
    assert given_ == "Fix $ARGUMENTS: $ARGUMENTS, not $2 or ${1} or $10.\n"
    assert not_given == "Fix $1: $ARGUMENTS, not $2 or ${1} or $10.\n"
