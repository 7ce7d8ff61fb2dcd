"""Skills: found by id, by name and by folder, where they may be looked for and nowhere else."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.prompts.base_tree import BaseTree
from agentflow.prompts.skills import (
    MAX_LISTED,
    MAX_READ,
    MAX_TRIED,
    Place,
    find_skills,
    folder_tree,
    missing_skills,
    own_places,
    repository_places,
    shown_to_agent,
    skills_section,
)
from agentflow.records import Skill
from tests.prompts.trees import tree


def skill(*lines: str) -> str:
    return "\n".join(("---", *lines, "---", "Do it well.", ""))


ALPHA = skill("name: Alpha", "description: |", "  What it\x1b[31m\x07 does.", "  More.")
FILES = {
    ".orchestrator/skills/alpha/SKILL.md": ALPHA,
    ".orchestrator/skills/deep/er/by_folder/SKILL.md": "no header",
    ".orchestrator/skills/lists/some.md": skill("id: by-id", "description: [x]"),
    ".orchestrator/skills/lists/other.md": skill("name: not-by-name"),
    ".claude/skills/alpha/SKILL.md": skill("name: shadowed"),
    ".claude/skills/x/SKILL.md": skill("name: By Name"),
    ".claude/skills/keys/.env/SKILL.md": "secret",
    "src/beta/SKILL.md": "elsewhere",
    "SKILL.md": "elsewhere",
}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("alpha", ".orchestrator/skills/alpha/SKILL.md"),
        ("ALPHA", ".orchestrator/skills/alpha/SKILL.md"),
        ("by-folder", ".orchestrator/skills/deep/er/by_folder/SKILL.md"),
        ("by_id", ".orchestrator/skills/lists/some.md"),
        ("by name", ".claude/skills/x/SKILL.md"),
        ("shadowed", ".claude/skills/alpha/SKILL.md"),
    ],
)
def test_a_skill_is_found_by_folder_id_or_name(name: str, path: str) -> None:
    (found,), missing = find_skills([name], repository_places(tree(FILES)))
    assert (found.path, missing, found.source) == (path, (), None)
    assert found.sha256 == hashlib.sha256(FILES[path].encode()).hexdigest()


@pytest.mark.parametrize(
    "name",
    [
        *("not-by-name", "beta", "other", "deep/er/by_folder", "../src/beta", "..", ".", ""),
        *(".env", "skills", "\\alpha", "/alpha", "a\0b", "x" * 5000),
    ],
)
def test_what_is_no_skill_of_these_folders_is_missing(name: str) -> None:
    assert find_skills([name], repository_places(tree(FILES))) == ((), (name,))


def test_each_skill_is_given_once_and_in_order() -> None:
    found, missing = find_skills(["x", "no", "by-name", "by name", "alpha"], _places())
    assert ([each.name for each in found], missing) == (["By Name", "Alpha"], ("no", "by-name"))
    told = missing_skills(missing, _places())
    assert told == "no skill is called no, by-name (looked in .orchestrator/skills, .claude/skills)"
    assert missing_skills((), _places()) == ""


def _places() -> tuple[Place, ...]:
    return repository_places(tree(FILES))


def test_links_are_followed_within_the_repository_only() -> None:
    links = {
        ".claude/skills/linked": "../../shared/linked",
        ".claude/skills/out": "../../../out",
        ".claude/skills/root": "/etc",
        ".claude/skills/loop": "loop",
        ".orchestrator/skills": "../shared",
    }
    files = {
        "shared/linked/SKILL.md": skill("name: linked"),
        "shared/direct/SKILL.md": "x",
        "shared/linked/other.md": skill("id: inner"),
    }
    places = repository_places(tree(files, links))
    found, missing = find_skills(["linked", "direct", "inner", "out", "root", "loop"], places)
    assert [each.path for each in found] == [
        ".orchestrator/skills/linked/SKILL.md",
        ".orchestrator/skills/direct/SKILL.md",
        ".orchestrator/skills/linked/other.md",
    ]
    assert missing == ("out", "root", "loop")
    (found,), _ = find_skills(["linked"], places[1:])
    assert found.path == ".claude/skills/linked/SKILL.md"


def test_a_place_with_very_many_files_is_read_in_part() -> None:
    many = {f".claude/skills/{n:04}.md": skill(f"id: s{n}") for n in range(MAX_READ + 5)}
    places = repository_places(tree(many))
    found, missing = find_skills([f"s{MAX_READ - 1}", f"s{MAX_READ}"], places)
    assert ([each.path for each in found], missing) == (
        [f".claude/skills/{MAX_READ - 1:04}.md"],
        (f"s{MAX_READ}",),
    )


def test_links_to_a_large_folder_are_not_all_listed() -> None:
    files = {f"big/{n}.md": "x" for n in range(4_000)}
    links = {f".claude/skills/l{n}": "../../big" for n in range(200)}
    (_, place) = repository_places(tree(files, links))
    assert len(place.files) <= 2 * MAX_LISTED


def test_unreadable_skills_of_one_name_are_not_all_tried() -> None:
    read: list[str] = []

    def size(path: str) -> int:
        read.append(path)
        return 1 << 30

    paths = frozenset(f".claude/skills/{n}/same/SKILL.md" for n in range(3 * MAX_READ))
    places = repository_places(BaseTree(paths, size=size))
    assert find_skills(["same", "same", "other"], places)[1] == ("same", "same", "other")
    assert len(read) <= 2 * MAX_TRIED + MAX_READ


def test_paths_that_would_break_the_prompt_are_no_skills() -> None:
    odd = {".claude/skills/a`b/SKILL.md": "x", ".claude/skills/a\nb/SKILL.md": "x"}
    assert find_skills(["a`b", "a\nb"], repository_places(tree(odd)))[0] == ()


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    for path, text in {
        "config/agentflow/skills/first/SKILL.md": "of agentflow",
        "config/agentflow/skills/notes/alone.md": skill("id: alone"),
        "home/.claude/skills/first/SKILL.md": "of another tool",
        "home/.claude/skills/second/SKILL.md": skill("name: Second one"),
        "home/.claude/skills/second/.git/SKILL.md": "x",
        "home/secret/third/SKILL.md": "x",
    }.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "home/.claude/skills/third").symlink_to(tmp_path / "home/secret/third")
    (tmp_path / "home/.claude/skills/fourth").mkdir()
    target = tmp_path / "home/secret/third/SKILL.md"
    (tmp_path / "home/.claude/skills/fourth/SKILL.md").symlink_to(target)
    return {"HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(tmp_path / "config")}


def test_the_users_own_skills_come_last_and_links_are_none(
    home: dict[str, str], tmp_path: Path
) -> None:
    places = own_places(home)
    names = ["first", "second-one", "alone", "second one", "third", "fourth", ".git"]
    found, missing = find_skills(names, places)
    assert [each.source for each in found] == [
        tmp_path / "config/agentflow/skills/first",
        tmp_path / "config/agentflow/skills/notes/alone.md",
        tmp_path / "home/.claude/skills/second",
    ]
    assert missing == ("second-one", "third", "fourth", ".git")

    shown = shown_to_agent(found, mounted=True)
    assert [each.path for each in shown] == [
        "/run/agentflow/skills/1-first/SKILL.md",
        "/run/agentflow/skills/2-alone.md",
        "/run/agentflow/skills/3-second/SKILL.md",
    ]
    bare = shown_to_agent(found, mounted=False)
    assert [Path(each.path).is_file() for each in bare] == [True, True, True]


def test_a_repository_comes_before_the_users_own(home: dict[str, str]) -> None:
    ours = tree({".claude/skills/first/SKILL.md": "of the repository"})
    (found,), _ = find_skills(["first"], (*repository_places(ours), *own_places(home)))
    assert (found.source, shown_to_agent([found], mounted=True)) == (None, (found,))


def test_a_user_without_skills_has_none(tmp_path: Path) -> None:
    assert find_skills(["a"], own_places({"HOME": str(tmp_path)})) == ((), ("a",))
    assert folder_tree(tmp_path / "absent").paths == frozenset()


def test_the_agent_is_told_name_description_and_path() -> None:
    (found,), _ = find_skills(["alpha"], _places())
    assert skills_section([found, Skill("b", "", "b.md", "")]) == (
        "# Skills\n\nRead a skill's file before you do what it is about.\n\n"
        "- Alpha (`.orchestrator/skills/alpha/SKILL.md`): What it\ufffd does. More.\n- b (`b.md`)\n"
    )
    assert skills_section([]) == ""


ODD = st.sampled_from(["..", ".", "", "a", "A", "SKILL.md", "/", "../..", ".claude/skills"])
LINKED = [".claude/skills/l", ".orchestrator/skills", "a/link"]


@given(st.lists(st.text() | ODD), st.dictionaries(st.sampled_from(LINKED), st.text() | ODD))
def test_no_name_and_no_link_leads_out_of_the_folders(
    names: list[str], links: dict[str, str]
) -> None:
    ours = tree({**FILES, ".claude/skills/a/SKILL.md": "x", "outside/a/SKILL.md": "x"}, links)
    found, missing = find_skills(names, repository_places(ours))
    assert len(found) + len(missing) <= len(names)
    for each in found:
        assert each.path.startswith((".claude/skills/", ".orchestrator/skills/"))
        assert ours.resolve(each.path) in ours.paths
        assert each.path.isprintable()
