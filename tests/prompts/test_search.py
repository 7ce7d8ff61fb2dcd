"""The order of the search, names, and what is no prompt."""

from pathlib import Path

import pytest

from agentflow.errors import UsageError
from agentflow.prompts.listing import list_prompts
from agentflow.prompts.loader import find_prompt
from agentflow.prompts.search import FOLDERS, candidate_files, search
from agentflow.tools import DEFAULT_TOOLS

HEADER = "---\ndescription: x\n---\nx"


def write(root: Path, path: str, text: str = HEADER) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
    return file


def test_the_first_folder_wins_and_the_others_are_shadowed(tmp_path: Path) -> None:
    files = [write(tmp_path, f"{folder}/deep/worker.md") for folder in reversed(FOLDERS)]
    assert find_prompt("worker", tmp_path) == files[-1]
    found = [each for each in search(tmp_path, DEFAULT_TOOLS) if not each.builtin]
    assert [each.path for each in found] == files[::-1]
    winners = [None] + [files[-1]] * (len(files) - 1)
    assert [each.shadowed_by for each in found] == winners
    listed = [each for each in list_prompts(tmp_path, DEFAULT_TOOLS) if not each.builtin]
    assert [(each.name, each.shadowed, each.shadowed_by) for each in listed] == [
        ("worker", winner is not None, winner) for winner in winners
    ]


def test_two_files_of_one_folder_collide(tmp_path: Path) -> None:
    first = write(tmp_path, ".claude/agents/a_b.md")
    write(tmp_path, ".claude/agents/deep/other.md", "---\nname: A-B\n---\nx")
    third = write(tmp_path, ".claude/agents/z.md", "---\nname: a_b\n---\nx")
    found = {each.path: each for each in search(tmp_path, DEFAULT_TOOLS) if not each.builtin}
    assert found[first].shadowed_by is None
    assert found[third].shadowed_by == first


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("---\nname: my_own\nagent: other\n---\nx", "my_own"),
        ("---\nagent: backend_dev\n---\nx", "backend_dev"),
        (HEADER, "file"),
    ],
)
def test_a_prompt_is_called_by_its_own_name_first(tmp_path: Path, text: str, name: str) -> None:
    file = write(tmp_path, ".github/agents/file.agent.md", text)
    assert search(tmp_path, DEFAULT_TOOLS)[0].name == name
    for wanted in (name, name.upper().replace("_", "-"), "file"):
        assert find_prompt(wanted, tmp_path) == file


def test_what_is_no_prompt_is_not_listed(tmp_path: Path) -> None:
    write(tmp_path, ".claude/agents/README.md")
    write(tmp_path, ".claude/agents/readme.md")
    write(tmp_path, ".claude/agents/AGENTS.md")
    write(tmp_path, ".claude/agents/notes.md", "# Notes\n")
    write(tmp_path, ".claude/agents/worker.tests/case.md")
    write(tmp_path, ".claude/agents/worker.txt")
    command = write(tmp_path, ".claude/commands/changelog.md", "Write it.")
    found = [each.path for each in search(tmp_path, DEFAULT_TOOLS) if not each.builtin]
    assert found == [command]
    with pytest.raises(UsageError, match="there is no prompt"):
        find_prompt("notes", tmp_path)


def test_a_link_that_leads_outside_is_not_read(tmp_path: Path) -> None:
    secret = write(tmp_path, "secret.md", "---\nname: canary\n---\nx")
    root = tmp_path / "root"
    write(root, ".claude/agents/a.md")
    (root / ".claude/agents/link.md").symlink_to(secret)
    (root / ".claude/commands").symlink_to(tmp_path, target_is_directory=True)
    found = {each.name: each for each in search(root, DEFAULT_TOOLS) if not each.builtin}
    assert "canary" not in found
    assert "outside of the repository" in found["link"].problem
    assert found["link"].reading is None


def test_files_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("b/a.md", "a.md", "c.md"):
        write(tmp_path, name)
    found = [str(path.relative_to(tmp_path)) for path in candidate_files(tmp_path)]
    assert found == ["a.md", "b/a.md", "c.md"]


@pytest.mark.parametrize("header", ['name: "my\\x2down"', "name: My_Own", 'name: "my-own"'])
def test_a_name_is_found_however_it_is_written(tmp_path: Path, header: str) -> None:
    file = write(tmp_path, ".orchestrator/prompts/a.md", f"---\n{header}\n---\nx")
    write(tmp_path, ".claude/agents/my-own.md")
    write(tmp_path, ".orchestrator/prompts/b.md", "---\nname: other\n---\nthis one is not my-own")
    assert find_prompt("my_own", tmp_path) == file
    assert len([each for each in search(tmp_path, (), "my-own") if not each.builtin]) == 3
    assert len([each for each in search(tmp_path, (), "absent") if not each.builtin]) == (
        1 if "\\" in header else 0
    )
