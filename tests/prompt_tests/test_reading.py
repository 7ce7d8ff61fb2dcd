"""Suites are found beside their prompts, and a doubtful case is refused with its line."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.errors import UsageError
from agentflow.prompt_tests.case import Fields, Flags
from agentflow.prompt_tests.reading import MAX_CASE, find_suites, read_case
from agentflow.prompts.search import builtin_folder

END = "expect: {outcome: done}\n"


def write(folder: Path, text: str, name: str = "one") -> Path:
    path = folder / "p.tests" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    (folder / "p.md").write_text("Work.\n")
    path.write_text(text, "utf-8")
    return path


def test_a_case_says_what_is_given_and_what_must_hold(tmp_path: Path) -> None:
    case = read_case(
        write(
            tmp_path,
            "task: Say hello\nfiles: {a/b.txt: x}\nflags: {allow: ./a/**, max_turns: 3}\n"
            "conversation:\n  - text: Hello\n"
            "expect:\n  outcome: done\n  reason: x\n  told: [a, b]\n"
            "  system_prompt: {lacks: c}\n  files: {a/b.txt: {exact: y}}\n",
        )
    )
    assert (case.name, case.id, case.files) == ("one", "TASK-1", {"a/b.txt": "x"})
    assert case.flags.settings == {"allow": ("a/**",), "max_turns": 3, "timeout": 120.0}
    assert [turn.text for turn in case.turns] == ["Hello"]
    assert case.config == '[[gates]]\nname = "check"\ncommand = "true"\n'
    assert case.expect.reason.contains == ("x",)
    assert case.expect.told.contains == ("a", "b")
    assert case.expect.system_prompt.lacks == ("c",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("task: x\n", "1: expect: it is missing"),
        ("- a\n", "1: a case must be `key: value` lines with about, id, task,"),
        ("", "1: a case must be"),
        (f"task: 1\n{END}", "1: task: it must be text: quote"),
        ("task: x\nexpect: {outcome: done, tools: 1}\n", "2: expect.tools: it must be a list"),
        ("task: x\nexpect: {outcome: done, files: [a]}\n", "2: expect.files: it must be `key:"),
        (f"task: x\nexpct: 1\n{END}", "2: expct: unknown key; did you mean 'expect'?"),
        ("task: x\nexpect:\n  outcome: don\n", "3: expect.outcome: it must be 'done', "),
        (
            "task: x\nexpect:\n  outcome: done\n  files:\n    a: {exat: b}\n",
            "5: expect.files.a.exat: unknown key; did you mean 'exact'?",
        ),
        (
            "task: x\nexpect: {outcome: done, files: {a: {absent: true, exact: b}}}\n",
            "2: expect.files.a: give `exact`, `contains` or `lacks`, or `absent: true` alone",
        ),
        ("task: x\nexpect: {outcome: done, told: {has: b}}\n", "2: expect.told.has: unknown key"),
        (f"task: x\nflags: {{sandbox: none}}\n{END}", "2: flags.sandbox: unknown key"),
        (f"task: x\nflags: {{base_url: 'http://x'}}\n{END}", "2: flags.base_url: unknown key"),
        (f"task: x\nconversation:\n  - text: a\n  - txt: b\n{END}", "4, turn 2: unknown key 'txt'"),
        (f"task: |\n  ---\n  allw: [a]\n  ---\n  x\n{END}", "3: task: unknown key 'allw'"),
        (f"task: |\n  ---\n  colour: a\n  ---\n  x\n{END}", "3: task: unknown key 'colour'"),
        (f"task: ''\n{END}", "1: task: TASK-1.md says nothing"),
        (f"task: x\nid: ../x\n{END}", "2: '../x' cannot be a task id"),
        (f"task: x\nfiles:\n  a: b\n  .git/config: c\n{END}", "4: the path '.git/config' reaches"),
        (f"task: x\nfiles: {{a/.GIT/config: c}}\n{END}", "2: the path 'a/.GIT/config' reaches"),
        (f"task: x\nfiles: {{/etc/passwd: c}}\n{END}", "2: the path '/etc/passwd' "),
        (f"task: x\nfiles: {{../a: c}}\n{END}", "2: the path '../a' "),
        (f"task: x\nfiles: {{./a: c}}\n{END}", "2: './a' must be one file's path"),
        (f"task: x\nfiles: {{a/: c}}\n{END}", "2: 'a/' must be one file's path"),
        (f"task: x\nfiles: {{{'ä' * 128}: c}}\n{END}", "must be one file's path"),
        (f"task: x\nfiles: {{a: c, a/b: d}}\n{END}", "2: 'a' is a folder, too"),
        (f"task: x\nfiles: {{.orchestrator: c}}\n{END}", "2: '.orchestrator' is a folder, too"),
        (f"task: x\nfiles: {{.orchestrator/config.toml: c}}\n{END}", "give it as `config`"),
        (
            f"task: x\nconfig: {{gates: [{{nam: x}}]}}\n{END}",
            "2: .orchestrator/config.toml: gates.",
        ),
        (
            f"task: x\nconfig: {{sandbox: none}}\n{END}",
            "sandbox.backend may not be set by a repository",
        ),
        (f"task: x\nconfig: {{model: null}}\n{END}", "one.yaml:2: "),
        (f"task: &a x\nabout: *a\n{END}", "2: not valid YAML: aliases"),
    ],
)
def test_a_doubtful_case_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        read_case(path)
    assert f"{path}:{problem}" in caught.value.message or (
        caught.value.message.startswith(f"{path}:") and problem in caught.value.message
    )
    assert str(tmp_path / "TASK") not in caught.value.message


def test_a_case_is_bounded_and_stays_beside_its_prompt(tmp_path: Path) -> None:
    path = write(tmp_path, "#" * (MAX_CASE + 1))
    with pytest.raises(UsageError, match="is larger than"):
        read_case(path)
    path.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_case(path)
    outside = tmp_path / "outside"
    inside = write(tmp_path / "repository", "")
    inside.unlink()
    outside.write_text(f"task: x\n{END}")
    inside.symlink_to(outside)
    with pytest.raises(UsageError, match="outside of the repository"):
        find_suites([str(inside)], tmp_path / "repository")


def test_a_prompt_that_leads_out_of_the_repository_is_not_run(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    write(root / ".orchestrator/prompts", f"task: x\n{END}")
    (tmp_path / "secret").write_text("secret")
    (root / ".orchestrator/prompts/p.md").unlink()
    (root / ".orchestrator/prompts/p.md").symlink_to(tmp_path / "secret")
    for wanted in ([], ["p"]):
        with pytest.raises(UsageError, match="outside of the repository"):
            find_suites(wanted, root)


def test_no_flag_of_a_case_reaches_the_user_s_machine() -> None:
    assert not {"sandbox", "readable", "base_url", "key_variable", "prompt", "environment"} & (
        Flags.model_fields.keys()
    )


def test_suites_are_found_by_name_path_folder_and_file(tmp_path: Path) -> None:
    folder = tmp_path / ".orchestrator/prompts"
    one, two = write(folder, f"task: x\n{END}"), write(folder, f"task: y\n{END}", "two")
    (folder / "bare.md").write_text("Work.\n")

    def found(*wanted: str) -> list[tuple[str, list[str]]]:
        return [
            (suite.name, [case.name for case in suite.cases])
            for suite in find_suites(wanted, tmp_path)
        ]

    assert found("p") == found(str(folder / "p.md")) == [("p", ["one", "two"])]
    assert found(str(one.parent)) == found("p")
    assert found(str(two), "agent")[0] == ("p", ["two"])
    everything = dict(found())
    assert everything.keys() == {"p", "agent", "backend-dev", "engineer", "handoff", "phase-6"}
    with pytest.raises(UsageError, match="the prompt bare has no suite"):
        found("bare")
    with pytest.raises(UsageError, match="did you mean 'agent'"):
        found("agnt")
    (folder / "p.md").unlink()
    with pytest.raises(UsageError, match="there is no prompt"):
        found(str(one))


def test_a_shadowed_prompt_s_suite_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / ".orchestrator/prompts/agent.md"
    path.parent.mkdir(parents=True)
    path.write_text("Ours.\n")
    assert "agent" not in {suite.name for suite in find_suites([], tmp_path)}


def test_every_built_in_prompt_has_a_suite() -> None:
    for prompt in builtin_folder().glob("*.md"):
        (suite,) = find_suites([str(prompt)], builtin_folder())
        assert len(suite.cases) >= 3
        assert {case.expect.outcome for case in suite.cases} > {"done"}
        assert any(case.expect.repairs for case in suite.cases)


@given(st.dictionaries(st.sampled_from([*Fields.model_fields, "other"]), st.text() | st.none()))
def test_no_case_does_anything_but_be_read_or_refused(fields: dict[str, str | None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "c.yaml")
        path.write_text(json.dumps(fields), "utf-8")
        with pytest.raises(UsageError):
            read_case(path)
