"""`prompts lint`: everything that is to be said of a file, in a fixed form."""

from dataclasses import replace
from pathlib import Path

import pytest

from agentflow.errors import UsageError
from agentflow.models.catalog import resolve
from agentflow.prompts.base_tree import BaseTree
from agentflow.prompts.lint import Surroundings, lint, prompt_files
from agentflow.prompts.search import builtin_folder
from agentflow.prompts.skills import repository_places
from agentflow.tools import DEFAULT_TOOLS
from tests.prompts.trees import tree

AROUND = Surroundings(DEFAULT_TOOLS, resolve)


def test_a_file_in_full(tmp_path: Path) -> None:
    file = tmp_path / "worker.md"
    file.write_text(
        "---\nname: my_worker\ndescription: a: b\ntools: Read, Bash(git:*), WebFetch\n"
        "model: sonet\nhooks: x\n---\n\n$TASK_DESCRIPTION for {TASK_ID}\n@docs/a.md @docs/b.md\n",
        "utf-8",
    )
    held = BaseTree(frozenset({"docs/a.md"}), size=lambda path: 1)
    found = lint([file], Surroundings(DEFAULT_TOOLS, resolve, held))
    (entry,) = found["files"]
    problems = [(each["line"], each["severity"], each["code"]) for each in entry.pop("problems")]
    assert entry == {
        "path": str(file),
        "name": "my_worker",
        "ok": False,
        "parse": "repaired",
        "encoding": "utf-8",
        "tools": ["Read", "Bash(git:*)", "WebFetch"],
        "granted": ["Read", "Bash"],
        "scopes": ["git:*"],
        "model": "sonet",
        "profile": "default",
        "sign": "no sign of another",
        "variables": ["$TASK_DESCRIPTION", "{TASK_ID}"],
        "references": ["@docs/a.md"],
        "skills": [],
        "personas": [],
    }
    assert problems == [
        (3, "warning", "header-repaired"),
        (4, "warning", "tool-unavailable"),
        (6, "warning", "key-ignored"),
        (5, "error", "model-unknown"),
        (10, "warning", "reference-missing"),
    ]
    assert found["summary"] == {
        "files": 1,
        "ok": 0,
        "errors": 1,
        "warnings": 4,
        "parse": {"repaired": 1},
        "profiles": {"default": 1},
        "default_tools": 0,
    }


def test_skills_are_those_found_and_the_missing_ones_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "worker.md"
    file.write_text("---\nname: a\nskills: one, two, three\n---\nx", "utf-8")
    places = repository_places(tree({".claude/skills/two/SKILL.md": "x"}))
    (entry,) = lint([file], Surroundings(DEFAULT_TOOLS, resolve, skills=places))["files"]
    assert (entry["ok"], entry["skills"]) == (True, ["two"])
    (problem,) = entry["problems"]
    assert (problem["line"], problem["code"]) == (3, "skill-missing")
    assert problem["message"].startswith("no skill is called one, three (looked in .orch")
    (entry,) = lint([file], AROUND)["files"]
    assert (entry["skills"], entry["problems"]) == ([], [])


def test_a_file_that_cannot_be_read_is_one_problem(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_bytes(b"\xff")
    (entry,) = lint([file], AROUND)["files"]
    assert (entry["ok"], entry["granted"], entry["problems"][0]["code"]) == (
        False,
        [],
        "unreadable",
    )


def test_a_template_needs_the_users_word(tmp_path: Path) -> None:
    file = tmp_path / "a.md.j2"
    file.write_text("Do {{ task.id }}.\n", "utf-8")
    (entry,) = lint([file], AROUND)["files"]
    told = [(each["severity"], each["code"]) for each in entry["problems"]]
    assert (entry["ok"], told) == (True, [("warning", "template")])
    assert "`templates = true`" in entry["problems"][0]["message"]
    (allowed,) = lint([file], replace(AROUND, templates=True))["files"]
    assert allowed["problems"] == []


def test_names_that_are_taken_are_told(tmp_path: Path) -> None:
    for name in ("a_b.md", "x.md"):
        (tmp_path / name).write_text("---\nname: a-b\n---\nx", "utf-8")
    first, second = lint(sorted(tmp_path.glob("*.md")), AROUND)["files"]
    assert first["problems"] == []
    assert second["problems"][0]["message"] == "the name 'a-b' is taken by a_b.md"


def test_all_prompts_of_a_repository_are_held_against_each_other(tmp_path: Path) -> None:
    for name in ("agents/a.md", "agents/deep/b.md", "commands/a.md", "commands/agent.md"):
        file = tmp_path / ".claude" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("---\nname: a\n---\nx" if name != "commands/agent.md" else "x", "utf-8")
    files = prompt_files([], tmp_path)
    found = lint(files, Surroundings(DEFAULT_TOOLS, resolve, root=tmp_path, whole=True))["files"]
    told = [(each["code"], each["message"]) for entry in found for each in entry["problems"]]
    assert told == [
        ("name-taken", "the name 'a' is taken by .claude/agents/a.md"),
        ("shadowed", "the name 'a' leads to .claude/agents/a.md, not to this file"),
    ]
    assert (
        lint(files, Surroundings(DEFAULT_TOOLS, resolve, root=tmp_path))["summary"]["warnings"] == 0
    )


def test_personas_and_who_commits_are_told(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_text(
        "---\nname: a\n---\nImpersonate `agents/b.md`.\nImpersonate `agents/c.md`.\n", "utf-8"
    )
    held = tree({"agents/b.md": "---\ntools: Read\n---\nCommit your work.\n"})
    (entry,) = lint([file], Surroundings(DEFAULT_TOOLS, resolve, held, root=tmp_path))["files"]
    assert (entry["ok"], entry["personas"]) == (True, ["agents/b.md"])
    assert [(each["line"], each["code"]) for each in entry["problems"]] == [
        (5, "persona-missing"),
        (4, "commits-unclear"),
    ]
    assert "agents/b.md:4 says that the agent commits" in entry["problems"][1]["message"]
    (entry,) = lint([file], AROUND)["files"]
    assert (entry["personas"], entry["problems"]) == ([], [])
    file.write_text("Work.\nMake one commit.\n", "utf-8")
    (entry,) = lint([file], AROUND)["files"]
    assert [(each["line"], each["code"]) for each in entry["problems"]] == [(2, "commits-unclear")]


def test_agentflows_own_prompts_are_clear() -> None:
    found = lint(sorted(builtin_folder().glob("*.md")), AROUND)
    assert found["summary"]["warnings"] == found["summary"]["errors"] == 0


def test_files_are_those_given_and_those_in_folders(tmp_path: Path) -> None:
    for name in ("deep/a.md", "deep/README.md", "b.txt"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("x", "utf-8")
    files = prompt_files([tmp_path, tmp_path / "b.txt", tmp_path / "deep/a.md"], None)
    assert files == [tmp_path / "deep/a.md", tmp_path / "b.txt"]
    assert prompt_files([], None) == []
    with pytest.raises(UsageError, match="there is no file or folder"):
        prompt_files([tmp_path / "no"], None)


@pytest.mark.parametrize(
    "tools", ["tools: {Read: true}", "mcp-tools: x", "tools: Read\ntools: Bash"]
)
def test_tools_that_are_unclear_are_none_at_all(tmp_path: Path, tools: str) -> None:
    file = tmp_path / "a.md"
    file.write_text(f"---\n{tools}\n---\nx", "utf-8")
    (entry,) = lint([file], AROUND)["files"]
    assert (entry["ok"], entry["granted"], entry["scopes"]) == (False, [], [])
    assert "tools-unclear" in {each["code"] for each in entry["problems"]}
