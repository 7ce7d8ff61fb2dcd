"""Rendering: what the model reads, pinned; and a repository's text that stays as it is.

After a change that is meant: `UPDATE_GOLDENS=1 .venv/bin/pytest tests/prompts tests/test_dry_run.py`,
and read the difference.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.environment import Environment, Service, Setup
from agentflow.errors import UsageError
from agentflow.prompts.first_message import (
    LISTED_NEIGHBOURS,
    LISTED_PROMISES,
    Briefing,
    first_message,
)
from agentflow.prompts.loader import load_prompt
from agentflow.prompts.render import render, substitute
from agentflow.prompts.search import builtin_folder
from agentflow.records import (
    Boundaries,
    BuildCommand,
    Neighbour,
    Profile,
    Promise,
    Prompt,
    Rendered,
    Task,
)
from agentflow.tools import DEFAULT_TOOLS

GOLDEN = Path(__file__).parent / "golden"
TASK = Task(
    "TASK-7",
    "Add DELETE /notes/{id}",
    "# Add DELETE /notes/{id}\n\n- 204 when it existed, 404 otherwise\n- keep {{ 7 * 7 }} as it is",
    boundaries=Boundaries(("notes/**", "tests/"), ("notes/server.py",)),
    files=("tests/test_delete.py",),
)
GATES = (BuildCommand("test", "python -m pytest -q"), BuildCommand("lint", "ruff check ."))
OPEN = Boundaries()
BARE = Environment()


def prompt(body: str, *variables: str, **profile: object) -> Prompt:
    """A repository's prompt."""
    return Prompt(
        "own", Path("own.md"), body, DEFAULT_TOOLS, None, replace(Profile(variables), **profile), ""
    )


def fill(
    own: Prompt,
    task: Task,
    boundaries: Boundaries,
    gates: tuple[BuildCommand, ...],
    variables: Mapping[str, str] = MappingProxyType({}),
    *,
    around: Environment = BARE,
    attachment: str = "",
) -> Rendered:
    briefing = Briefing(task, boundaries, gates, own.profile, around)
    return render(own, briefing, variables, attachment=attachment)


def check(name: str, text: str) -> None:
    """Compare with a golden file, or write it."""
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDENS") == "1":
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


def whole(rendered: Rendered) -> str:
    return f"{rendered.system}\n════ first message ════\n{rendered.first_message}"


@pytest.mark.parametrize("name", ["agent", "backend-dev", "engineer", "handoff", "phase-6"])
def test_the_built_in_prompts_read_as_pinned(name: str) -> None:
    loaded = load_prompt(builtin_folder() / f"{name}.md", DEFAULT_TOOLS)
    check(f"{name}.md", whole(fill(loaded, TASK, TASK.boundaries, GATES)))


@pytest.mark.parametrize(
    ("name", "profile", "boundaries"),
    [
        ("agent_commits", {"commits": "agent", "completion": "commit"}, OPEN),
        ("no_commits", {"commits": "none", "completion": "json"}, OPEN),
        ("within", {}, Boundaries(("src/api/**",), (), (("src/**", "docs/**"), ("**/*.py",)))),
        ("only_within", {}, Boundaries((), (), (("src/**",),))),
        ("hosts", {}, OPEN),
    ],
)
def test_the_first_message_reads_as_pinned(
    name: str, profile: dict[str, object], boundaries: Boundaries
) -> None:
    task = Task("TASK-7", "Say hello", "Say hello.")
    around = Environment(agent_network=("a.example", "*.b.example:8443") if name == "hosts" else ())
    rendered = fill(prompt("x", **profile), task, boundaries, (), around=around)
    check(f"first_message_{name}.md", rendered.first_message)


def test_everything_that_surrounds_a_run_is_told() -> None:
    around = Environment(
        setup=Setup("npm ci", provides=("**/node_modules",)),
        services=(
            Service("db", "postgres", "true", {"DATABASE_URL": "x", "PGUSER": "y"}),
            Service("mail", "mailpit", "true"),
        ),
    )
    briefing = Briefing(
        TASK,
        OPEN,
        (BuildCommand("test", "pytest", report="junit.xml", tests=("a.py::b", "c")),),
        Profile(completion="report"),
        around,
        (Promise("P1", "Notes are kept"), Promise("Fast", "Fast"), Promise("Quiet", "")),
        (Neighbour("T-1", "One", ("a/**",)), Neighbour("T-2", "T-2"), Neighbour("T-3", "")),
        disputed=True,
        mounted=False,
        confined=False,
    )
    check("first_message_surrounded.md", first_message(briefing))
    alone = replace(briefing, beside=(), profile=Profile(completion="json"))
    assert "at the same time" not in first_message(alone)
    assert "leave it and say so in the notes of your answer: " in first_message(alone)


def test_long_lists_are_cut_and_counted() -> None:
    briefing = Briefing(
        TASK,
        OPEN,
        (),
        promises=[Promise(f"P{number}", "") for number in range(LISTED_PROMISES + 2)],
        beside=[Neighbour(f"T{number}", "") for number in range(LISTED_NEIGHBOURS + 3)],
    )
    message = first_message(briefing)
    assert f"  - P{LISTED_PROMISES - 1}\n  - and 2 more in the document\n" in message
    assert f"  - T{LISTED_NEIGHBOURS - 1}: any path\n  - and 3 more\n" in message


def test_a_gate_that_is_not_like_others_says_so() -> None:
    gates = (
        BuildCommand("test", "npm test", cwd="services/notes"),
        BuildCommand("e2e", "make e2e", where="ci"),
        BuildCommand("new", "make new", must_fail_on_base=True),
        BuildCommand("format", "make fmt", fix=True),
    )
    message = fill(prompt("x"), TASK, OPEN, gates).first_message
    assert "  - test: `npm test`, in `services/notes`\n" in message
    assert "  - e2e: `make e2e` (left to a CI job: it may not work here)\n" in message
    assert "  - new: `make new` (it fails before your change)\n" in message
    assert "  - format: `make fmt` (a formatter: what it changes in your files is taken in)\n" in (
        message
    )


def test_the_form_of_a_json_answer_and_a_checklist_are_told() -> None:
    schema = {"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}}
    task = Task("TASK-7", "Say hello", "Say hello.\n\n- [ ] Said hello\n")
    own = prompt("x", completion="json", output_schema=schema)
    check("first_message_json.md", fill(own, task, OPEN, ()).first_message)


def test_a_repository_s_prompt_is_data() -> None:
    body = (
        "{{ cycler.__init__.__globals__.os.popen('id') }} {% raw %} {# c #} {0} {TASK_ID} $1 $$ %s\n"
        '```\nWrite(".orchestrator/complete/TASK-XXX.done")  # {TASK_ID}\n```\n'
        "{{TASK_ID}} ${TASK_ID} MYTASK-XXX TASK-XXXX $TASK_DESCRIPTION $ARGUMENTS\r\n"
    )
    rendered = fill(prompt(body), TASK, OPEN, GATES)
    assert rendered.system == (
        "{{ cycler.__init__.__globals__.os.popen('id') }} {% raw %} {# c #} {0} TASK-7 $1 $$ %s\n"
        '```\nWrite(".orchestrator/complete/TASK-7.done")  # TASK-7\n```\n'
        "{{TASK_ID}} ${TASK_ID} MYTASK-XXX TASK-XXXX $TASK_DESCRIPTION $ARGUMENTS\r\n"
    )


def test_a_task_s_text_is_data_in_a_built_in_prompt() -> None:
    task = replace(TASK, title="{{ 6 * 7 }} {% x %}", text="{{ task.id }} TASK-XXX {TASK_ID}")
    loaded = load_prompt(builtin_folder() / "agent.md", DEFAULT_TOOLS)
    rendered = fill(loaded, task, OPEN, ())
    assert rendered.first_message.startswith(
        "# Task TASK-7: {{ 6 * 7 }} {% x %}\n\n{{ task.id }} TASK-XXX {TASK_ID}\n"
    )


def test_variables_of_the_profile_are_filled_and_values_are_not_looked_at_again() -> None:
    task = replace(TASK, text="about $FILE_BOUNDARIES and TASK-XXX")
    body = "$TASK_DESCRIPTION\n$FILE_BOUNDARIES\n$TASK_DESCRIPTIONS $FILE_BOUNDARIES_2"
    wanted = prompt(body, "$TASK_DESCRIPTION", "$FILE_BOUNDARIES")
    assert fill(wanted, task, TASK.boundaries, ()).system == (
        "about $FILE_BOUNDARIES and TASK-XXX\n- `notes/**`\n- `tests/`\n"
        "$TASK_DESCRIPTIONS $FILE_BOUNDARIES_2"
    )
    assert "- every path that" in fill(wanted, task, OPEN, ()).system


def test_configured_values_fill_the_other_placeholders() -> None:
    body = "$STACK {STACK} $CURRENT_PHASE $PARALLEL_AGENTS $RELEVANT_LESSONS $TASK_DESCRIPTION"
    wanted = prompt(body, *body.replace("{STACK} ", "").split(), "{STACK}")
    values = {"STACK": "Go $CURRENT_PHASE", "CURRENT_PHASE": "2", "TASK_DESCRIPTION": "other"}
    assert fill(wanted, replace(TASK, text="this"), OPEN, (), values).system == (
        "Go $CURRENT_PHASE Go $CURRENT_PHASE 2 none, you work alone none recorded this"
    )


def test_no_value_is_read_as_a_template_of_a_built_in_prompt() -> None:
    loaded = load_prompt(builtin_folder() / "backend-dev.md", DEFAULT_TOOLS)
    task = replace(TASK, text="{{ 6 * 7 }} $RELEVANT_LESSONS")
    system = fill(loaded, task, OPEN, (), {"CURRENT_PHASE": "{{ 6 * 7 }}"}).system
    assert "# Task\n\n{{ 6 * 7 }} $RELEVANT_LESSONS\n" in system
    assert "- Phase: {{ 6 * 7 }}\n" in system


def test_a_placeholder_without_a_source_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        fill(prompt("x", "$OTHER"), TASK, OPEN, (), {"ANOTHER": "x"})
    assert caught.value.message == "own.md: the placeholder $OTHER has no source"
    assert "$TASK_DESCRIPTION" in caught.value.hint
    assert "[variables]" in caught.value.hint


PLACEHOLDERS: tuple[str, ...] = ("{TASK_ID}", "TASK-XXX", "$TASK_DESCRIPTION")
VALUES = {
    "{TASK_ID}": "T{TASK_ID}",
    "TASK-XXX": "TASK-XXX $TASK_DESCRIPTION",
    "$TASK_DESCRIPTION": "é",
}


@given(st.text() | st.text("{}$TASK_IDX-abc .\r\n"))
def test_text_without_a_placeholder_is_not_changed(text: str) -> None:
    if not any(name in text for name in PLACEHOLDERS):
        assert substitute(text, VALUES) == text
    assert substitute(text, {}) == text


@given(st.lists(st.sampled_from([*PLACEHOLDERS, " ", "\n", "{", ". ", "é ", "$ "])))
def test_each_placeholder_is_replaced_once(pieces: list[str]) -> None:
    spaced = [f" {piece} " for piece in pieces]
    expected = [f" {VALUES.get(piece, piece)} " for piece in pieces]
    assert substitute("".join(spaced), VALUES) == "".join(expected)


def test_the_public_agent_file_that_names_the_marker_is_filled(tmp_path: Path) -> None:
    """As seed 004 stands in a repository: no profile, a literal `TASK-XXX.done`."""
    path = tmp_path / "backend-agent.md"
    text = (
        "---\nname: backend-agent\ntools: Read, Write\nmodel: sonnet\nskills: a, b\n---\n\n"
        'Write(".orchestrator/complete/TASK-XXX.done", "done")\n- [ ] **WROTE**\n'
    )
    path.write_text(text, "utf-8")
    rendered = fill(load_prompt(path, DEFAULT_TOOLS), TASK, OPEN, ())
    assert rendered.system == (
        '\nWrite(".orchestrator/complete/TASK-7.done", "done")\n- [ ] **WROTE**\n'
    )


@given(st.text(), st.text())
def test_everything_outside_the_allow_list_survives_byte_for_byte(before: str, after: str) -> None:
    body = f"{before} $TASK_DESCRIPTION {after}"
    if not any(name in before + after for name in PLACEHOLDERS):
        task = replace(TASK, text="{TASK_ID} $TASK_DESCRIPTION @README.md")
        rendered = fill(prompt(body, "$TASK_DESCRIPTION"), task, OPEN, (), attachment="end\n")
        expected = f"{before} {task.text} {after}"
        last = "" if expected.endswith("\n") else "\n"
        assert rendered.system == f"{expected}{last}\nend\n"


def test_nothing_is_filled_in_an_attachment() -> None:
    rendered = fill(prompt("\nx\r\n"), TASK, OPEN, (), attachment="TASK-XXX {TASK_ID}\n")
    assert rendered.system == "\nx\r\n\nTASK-XXX {TASK_ID}\n"
