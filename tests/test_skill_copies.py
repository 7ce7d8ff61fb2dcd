"""The user's own skills, copied: only what an agent may read of them."""

import os
from pathlib import Path

from agentflow.records import Skill
from agentflow.sandbox.policy import Mount
from agentflow.skill_copies import MAX_FILES, copy_skills


def make(folder: Path) -> Skill:
    for path in ("SKILL.md", "scripts/run.sh", ".env", "keys/id_rsa", "big.bin"):
        file = folder / "own" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path)
    (folder / "own/scripts/run.sh").chmod(0o700)
    (folder / "own/big.bin").write_bytes(b"x" * ((1 << 20) + 1))
    (folder / "outside").mkdir()
    (folder / "outside/secret.txt").write_text("secret")
    (folder / "own/link.txt").symlink_to(folder / "outside/secret.txt")
    (folder / "own/linked").symlink_to(folder / "outside")
    os.mkfifo(folder / "own/pipe.md")
    return Skill("own", "", "/run/agentflow/skills/1-own/SKILL.md", "", folder / "own")


def listed(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_links_secrets_and_large_files_stay_where_they_are(tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    mounts, told = copy_skills([make(tmp_path)], copies)
    assert mounts == (Mount(copies, "/run/agentflow/skills"),)
    assert listed(copies) == ["1-own/SKILL.md", "1-own/scripts/run.sh"]
    assert (copies / "1-own/SKILL.md").read_text() == "SKILL.md"
    assert (copies / "1-own/scripts/run.sh").stat().st_mode & 0o777 == 0o755
    assert told == ("3 files of the skill own not shown: secret, or too much",)


def test_a_skill_without_a_folder_of_its_own_is_one_file(tmp_path: Path) -> None:
    make(tmp_path)
    file = tmp_path / "own/scripts/run.sh"
    skill = Skill("run", "", "/run/agentflow/skills/2-run.sh", "", file)
    assert copy_skills([skill], tmp_path / "copies")[1] == ()
    assert listed(tmp_path / "copies") == ["2-run.sh"]


def test_the_first_files_of_very_many_are_shown_with_the_skill_itself(tmp_path: Path) -> None:
    skill = make(tmp_path)
    for number in range(MAX_FILES):
        (tmp_path / f"own/A{number:04}").write_text("x")
    copy_skills([skill], tmp_path / "copies")
    found = listed(tmp_path / "copies")
    assert len(found) <= MAX_FILES
    assert "1-own/SKILL.md" in found


def test_skills_of_the_repository_need_no_copy(tmp_path: Path) -> None:
    skill = Skill("a", "", ".claude/skills/a/SKILL.md", "")
    assert copy_skills([skill], tmp_path / "copies") == ((), ())
    assert not (tmp_path / "copies").exists()


def test_a_skill_that_became_a_link_is_not_shown(tmp_path: Path) -> None:
    make(tmp_path)
    for number, name in enumerate(("outside", "outside/secret.txt")):
        link = tmp_path / f"link{number}"
        link.symlink_to(tmp_path / name)
        skill = Skill("l", "", f"/run/agentflow/skills/{number}-l/SKILL.md", "", link)
        (told,) = copy_skills([skill], tmp_path / f"copies{number}")[1]
        assert told.startswith("1 file of the skill l")
        assert listed(tmp_path / f"copies{number}") == []
