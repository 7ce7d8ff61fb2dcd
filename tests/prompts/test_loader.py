"""Prompt files: found by name or path, and never given a tool that they do not grant."""

import hashlib
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.errors import UsageError
from agentflow.json_schema import problems
from agentflow.prompts.loader import find_prompt, load_prompt
from agentflow.prompts.reading import MAX_PROMPT
from agentflow.prompts.search import FOLDER, builtin_folder
from agentflow.records import Profile, Prompt
from agentflow.tools import DEFAULT_TOOLS


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "worker.md"


def load(path: Path, text: str) -> Prompt:
    path.write_bytes(text.encode())
    return load_prompt(path, DEFAULT_TOOLS)


def test_the_built_in_prompts_load() -> None:
    loaded = {p.stem: load_prompt(p, DEFAULT_TOOLS) for p in builtin_folder().glob("*.md")}
    assert {"agent", "backend-dev", "engineer", "handoff", "phase-6"} == loaded.keys()
    assert all(prompt.builtin and not prompt.warnings for prompt in loaded.values())
    assert loaded["agent"].tools == ("Read", "Write", "Edit", "Bash", "Grep", "Glob")
    assert loaded["agent"].profile == Profile(commits="orchestrator", completion="marker")
    assert loaded["engineer"].tools == ("Read", "Edit", "Bash", "Grep", "Glob")
    assert loaded["engineer"].profile == Profile(
        completion="report",
        documents=(
            "docs/plans/backend-plan.md",
            "docs/intent/product-intent.md",
            "docs/plans/**",
            "docs/intent/**",
        ),
    )
    assert loaded["backend-dev"].profile.completion == "json"
    assert "$TASK_DESCRIPTION" in loaded["backend-dev"].profile.variables
    assert loaded["handoff"].profile == Profile(
        commits="orchestrator", completion="message", sections=("implemented", "files", "frontend")
    )
    assert loaded["phase-6"].profile == Profile(
        ("$IMPLEMENTATION_PLAN",), commits="agent", completion="commit"
    )


def test_the_example_of_the_json_prompt_keeps_its_own_contract() -> None:
    loaded = load_prompt(builtin_folder() / "backend-dev.md", DEFAULT_TOOLS)
    _, example, _ = re.split(r"^```(?:json)?\n", loaded.body, flags=re.MULTILINE)
    schema = loaded.profile.output_schema or {}
    answer = json.loads(example)
    assert problems(answer, schema) == []
    assert set(answer) == set(schema["properties"])


def test_a_file_becomes_a_record(file: Path) -> None:
    text = "---\r\nname: My  worker\r\ntools: [Grep, Read]\r\nmodel: opus\r\n---\r\n\r\nWork. é\r\n"
    assert load(file, text) == Prompt(
        name="My worker",
        path=file,
        body="\r\nWork. é\r\n",
        tools=("Read", "Grep"),
        model="opus",
        profile=Profile(),
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        lines_above=5,
        profile_sign="no sign of another",
    )


@pytest.mark.parametrize(
    ("header", "name", "model"),
    [
        ("name: a", "a", None),
        ("agent: backend_dev", "backend_dev", None),
        ("name: a\nagent: b", "a", None),
        ("description: x", "worker", None),
        ("model: inherit", "worker", None),
        ("model: default", "worker", None),
        ("model:", "worker", None),
        ("model: sonnet", "worker", "sonnet"),
    ],
)
def test_name_and_model(file: Path, header: str, name: str, model: str | None) -> None:
    prompt = load(file, f"---\n{header}\n---\nx")
    assert (prompt.name, prompt.model) == (name, model)


@pytest.mark.parametrize(
    ("header", "tools"),
    [
        ("name: a", DEFAULT_TOOLS),
        ("tools: '*'", DEFAULT_TOOLS),
        ("tools: Read", ("Read",)),
        ("tools: Bash, Read", ("Read", "Bash")),
        ("tools: Read,Grep", ("Read", "Grep")),
        ("tools: [Read, Grep]", ("Read", "Grep")),
        ("tools:\n  - Read\n  - 'Grep'", ("Read", "Grep")),
        ("tools: Read  # , Bash", ("Read",)),
        ("allowed-tools: Read", ("Read",)),
        ("allowed_tools: Read", ("Read",)),
        ("allowedTools: Read", ("Read",)),
        ("Tools: Read", ("Read",)),
        ("tools: Read, Bash(git log:*, git diff:*)", ("Read", "Bash")),
        ("tools: read", ("Read",)),
        ("tools: ['edit/editFiles', runTests]", ("Write", "Edit")),
        ("disallowedTools: Bash, Write", ("Read", "Edit", "Grep", "Glob")),
        ("tools: Read, Bash\ndisallowed-tools: [Bash(rm:*)]", ("Read",)),
        ("tools: *", DEFAULT_TOOLS),
        ("tools: Read\ndescription: a: b", ("Read",)),
        ("tools: Read # , Bash\ndescription: a: b", ("Read",)),
        ("tools: Read # x: , Bash\ndescription: a: b", ("Read",)),
        ("tools: Read\ndescription: a: b\nmore: text: c\nunindented", ("Read",)),
        ("tools:\n- Read # , Bash\n- 'Grep'\ndescription: 'a", ("Read", "Grep")),
        ("tools: Read, mcp__x__y, WebFetch", ("Read",)),
        ("tools: !!set [Read]", ("Read",)),
        ("metadata: {tools: [Bash]}\ntools: Read", ("Read",)),
    ],
)
def test_tools_are_what_the_header_grants(file: Path, header: str, tools: tuple[str, ...]) -> None:
    assert load(file, f"---\n{header}\n---\nx").tools == tuple(tools)


def test_tools_that_are_not_available_are_one_warning(file: Path) -> None:
    prompt = load(file, "---\nname: x\ntools: Read, MultiEdit, Edit(src/**), mcp__a__*\n---\nx")
    assert prompt.warnings == (
        f"{file}:3: tools that are not available: 'MultiEdit' (did you mean 'Edit'?), "
        + "'Edit(src/**)' (only Bash can be limited by a pattern), "
        + "'mcp__a__*' (no server is configured)",
    )
    many = ", ".join([
        "Read",
        *(f"mcp__a__{n}" for n in range(90)),
        *("x" * n for n in range(2, 30)),
    ])
    (warning,) = load(file, f"---\ntools: {many}\n---\nx").warnings
    assert warning.endswith(", 8 more, 90 of mcp__* (no server is configured)")


def test_plan_mode_leaves_only_tools_that_change_nothing(file: Path) -> None:
    for mode in ("plan", "'plan'", "Plan", "plan # note: x", "\n  plan"):
        assert load(file, f"---\npermissionMode: {mode}\n---\nx").tools == ("Read", "Grep", "Glob")
    for key in ("permission-mode", "permission_mode", "PermissionMode"):
        text = f"---\ndescription: a: b\ntools: Bash(git:*), Read\n{key}: plan\n---\nx"
        prompt = load(file, text)
        assert (prompt.tools, prompt.scopes) == (("Read",), ())
    with pytest.raises(UsageError, match=":2: none of its tools is one of Read, Grep, Glob"):
        load(file, "---\ntools: Write, Bash\npermissionMode: plan\n---\nx")


@pytest.mark.parametrize(
    "header",
    [
        "permissionMode: [plan]",
        "permissionMode: {mode: plan}",
        "description: 'a\npermissionMode: plan'",
        "description: a: b\n  permissionMode: plan",
        "permissionMode: default\npermissionMode: plan",
        "name: x\n permission-mode: 'plan'\nmore: [",
    ],
)
def test_a_plan_mode_that_cannot_be_told_for_certain_stops_the_prompt(
    file: Path, header: str
) -> None:
    with pytest.raises(UsageError, match=r"may limit the tools|stands twice"):
        load(file, f"---\n{header}\n---\nx")


def test_other_modes_have_no_effect_and_say_so(file: Path) -> None:
    prompt = load(file, "---\npermissionMode: bypassPermissions\ntools: Read\n---\nx")
    assert prompt.tools == ("Read",)
    assert prompt.warnings == (
        f"{file}:2: `permissionMode: bypassPermissions` has no effect here: only `plan` has",
    )


def test_effort_skills_and_a_first_prompt_are_kept(file: Path) -> None:
    prompt = load(
        file,
        "---\neffort: High\nskills: [a, b_c, a]\ninitialPrompt: |\n  Look\n  first.\n---\nx",
    )
    assert (prompt.effort, prompt.skills) == ("high", ("a", "b_c"))
    assert (prompt.initial_prompt, prompt.warnings) == ("Look\nfirst.", ())
    plain = load(file, "---\neffort: inherit\nskills: a, b\ninitialPrompt:\n---\nx")
    assert (plain.effort, plain.skills, plain.initial_prompt) == (None, ("a", "b"), "")


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("name: a\neffort: hihg", ":3: `effort` must be one of low, .*max; did you mean 'high'"),
        ("effort: [high]", ":2: `effort` must be one of"),
        ("initialPrompt: [a]", ":2: `initialPrompt` must be text of at most 16384 characters"),
        (f"initialPrompt: {'x' * 16385}", ":2: `initialPrompt` must be text"),
    ],
)
def test_keys_that_cannot_be_honoured_stop_the_prompt(file: Path, header: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        load(file, f"---\n{header}\n---\nx")


def test_skills_that_cannot_be_read_are_warned_of(file: Path) -> None:
    prompt = load(file, "---\nskills: {a: b}\n---\nx")
    assert (prompt.skills, len(prompt.warnings)) == ((), 1)
    prompt = load(file, f"---\nskills: {', '.join(map(str, range(60)))}\n---\nx")
    assert (len(prompt.skills), len(prompt.warnings)) == (50, 1)


def test_patterns_of_bash_are_kept(file: Path) -> None:
    prompt = load(file, "---\ntools: Bash(git:*), Bash(npm run test:*)\n---\nx")
    assert (prompt.tools, prompt.scopes) == (("Bash",), ("git:*", "npm run test:*"))
    assert load(file, "---\ntools: Bash(git:*), Bash\n---\nx").scopes == ()


def test_the_most_turns_are_kept(file: Path) -> None:
    assert load(file, "---\nmaxTurns: 5\n---\nx").max_turns == 5
    assert load(file, "---\nmaxTurns: 5\n---\nx").warnings == ()
    for value in ("0", "-1", "many", "[1]", "1e3"):
        with pytest.raises(UsageError, match=":2: `maxTurns` must be a number from 1"):
            load(file, f"---\nmaxTurns: {value}\n---\nx")


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("---\rtools: Read\r---\rx", "x"),
        (" ---\ntools: Read\n ---\nx", "x"),
        ("\u200b---\ntools: Read\n---\nx", "x"),
        ("---\nname: \x01\ntools: Read\n---\nx", "x"),
        ("---\ntools: Read\n\nx", "---\ntools: Read\n\nx"),
        ("<!-- x -->\n---\nname: a\ntools: Read\n---\nx",) * 2,
    ],
)
def test_a_broken_header_limits_as_a_whole_one_does(file: Path, text: str, body: str) -> None:
    prompt = load(file, text)
    assert (prompt.tools, prompt.body) == (("Read",), body)
    assert prompt.warnings


@pytest.mark.parametrize(
    "text",
    [
        # what is said of tools and cannot be told for certain
        "---\ntools:\n---\nx",
        "---\ntools: []\n---\nx",
        "---\ntools: none\n---\nx",
        "---\ntools: ~\n---\nx",
        "---\ntools: Read Write\n---\nx",
        "---\ntools: {Read: true, Bash: false}\n---\nx",
        "---\ntools: [Read, [Bash]]\n---\nx",
        "---\ntools: Read\ntools: Bash\n---\nx",
        "---\ntools: Read\nallowed-tools: Bash\n---\nx",
        "---\ntools: Read\nTools: Bash\n---\nx",
        "---\npermission: {bash: deny}\n---\nx",
        "---\nmcp-tools: x\n---\nx",
        "---\n<<: {tools: Read}\n---\nx",
        "---\ntools: Bash()\n---\nx",
        "---\ndisallowedTools: '*'\n---\nx",
        "---\ndisallowedTools: {a: b}\n---\nx",
        "---\nname: x\ntools:Read\n---\nx",
        "---\nname: 'x\ntools: Read'\n---\nx",
        # a header that is not one
        "---\nname: x\n\ntools: Read\nx",
        "---\ndescription: a: b\n  tools: Read\n---\nx",
        "---\ndescription: a: b\ntools:Read\n---\nx",
        "---\ndescription: 'a\ntools: Read\ntools: Bash\n---\nx",
        "---\ndescription: 'a\ntools: [Read, [Bash]]\n---\nx",
        "---\ntools: Read\nx",
        "---\n- tools: Read\n---\nx",
    ],
)
def test_what_is_unclear_about_tools_is_an_error_and_not_all_tools(file: Path, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(file, text)
    assert caught.value.message.startswith(f"{file}:")


@given(
    st.lists(st.sampled_from([*DEFAULT_TOOLS, "REED", "Task", "mcp__*", ""]), min_size=1),
    st.sampled_from([", ", ",", "list", "flow"]),
)
def test_no_list_gives_more_than_its_names(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], style: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "given.md"
    if style == "list":
        value = "".join(f"\n  - '{name}'" for name in names)
    elif style == "flow":
        value = "[" + ", ".join(f"'{name}'" for name in names) + "]"
    else:
        value = f"'{style.join(names)}'"
    expected = {name for name in names if name in DEFAULT_TOOLS}
    try:
        prompt = load(file, f"---\ntools: {value}\n---\nx")
    except UsageError:
        assert not expected
    else:
        assert set(prompt.tools) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no text after its header"),
        ("---\nname: x\n---\n \n", "has no text after its header"),
        ("---\nmodel: {a: b}\n---\nx", ":2: `model` must be text"),
        ("---\nagentflow: {commit: agent}\n---\nx", "agentflow: unknown key 'commit'"),
        ("x" * (MAX_PROMPT + 1), "is larger than"),
        ("a\0b", "is not text"),
    ],
)
def test_a_bad_file_is_named(file: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(file, text)
    assert str(file) in caught.value.message
    assert message in caught.value.message


def test_a_name_is_looked_up_in_the_repository_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    assert find_prompt("agent", tmp_path) == builtin_folder() / "agent.md"
    for name in ("Agent.md", "back_end.md"):
        (folder / name).write_text("x", "utf-8")
    assert find_prompt("agent", tmp_path) == folder / "Agent.md"
    assert find_prompt("back-end", tmp_path) == folder / "back_end.md"
    assert find_prompt("BACK_END", tmp_path) == folder / "back_end.md"
    monkeypatch.chdir(folder)
    assert find_prompt("back_end.md", tmp_path, trusted=True) == Path("back_end.md")
    assert find_prompt("./Agent.md", tmp_path, trusted=True) == Path("Agent.md")
    assert find_prompt(f"{FOLDER}/Agent.md", tmp_path) == folder / "Agent.md"


@pytest.mark.parametrize("name", ["../secret.md", "{tmp}/secret.md", "linked", "./linked.md"])
def test_only_the_user_may_name_a_file_outside(tmp_path: Path, name: str) -> None:
    root = tmp_path / "repository"
    (root / FOLDER).mkdir(parents=True)
    (tmp_path / "secret.md").write_text("canary", "utf-8")
    (root / FOLDER / "linked.md").symlink_to(tmp_path / "secret.md")
    (root / "linked.md").symlink_to(tmp_path / "secret.md")
    with pytest.raises(UsageError, match="outside of the repository"):
        find_prompt(name.replace("{tmp}", str(tmp_path)), root)
    assert find_prompt(str(tmp_path / "secret.md"), root, trusted=True).is_file()


def test_an_unknown_prompt_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_prompt("engneer", tmp_path)
    assert caught.value.message == "there is no prompt 'engneer'; did you mean 'engineer'?"
    assert "agent, backend-dev, engineer" in caught.value.hint
    assert FOLDER in caught.value.hint
    for name in ("no.md", "no/such", str(tmp_path) + "/"):
        with pytest.raises(UsageError, match=r"^there is no prompt file"):
            find_prompt(name, tmp_path)


def test_only_our_own_folder_makes_a_prompt_built_in(tmp_path: Path) -> None:
    copy = tmp_path / "prompts" / "agent.md"
    copy.parent.mkdir()
    copy.write_bytes((builtin_folder() / "agent.md").read_bytes())
    assert not load_prompt(copy, DEFAULT_TOOLS).builtin
