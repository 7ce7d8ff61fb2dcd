"""What the builders give: repositories, turns, a turnstile, signatures."""

import subprocess
from pathlib import Path

import pytest

from agentflow.models.scripted import read_script
from tests.examples.example import SECRET, Recipe, build, turnstile
from tests.examples.make_project import MAKE
from tests.examples.node import NODE
from tests.examples.python_service import PYTHON
from tests.needs import need

RECIPES = (NODE, PYTHON, MAKE)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_every_script_is_valid_and_every_edit_fits(recipe: Recipe, tmp_path: Path) -> None:
    example = build(recipe, tmp_path)
    assert example.project.git("status", "--porcelain") == ""

    for change in (recipe.feature, recipe.package, example.secret()):
        script = read_script({"turns": change.turns})
        last = script.turns[-1].calls[-1]
        assert f".orchestrator/complete/{change.task}.done" in last.json
        change.apply(example.root)
        assert example.project.git("status", "--porcelain") != ""
        example.project.git("checkout", "--quiet", ".")
        example.project.git("clean", "--quiet", "-d", "--force")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_red_main_differs_by_one_line(recipe: Recipe, tmp_path: Path) -> None:
    example = build(recipe, tmp_path, red=True)
    assert example.project.git("diff", "--shortstat", "HEAD~1") == (
        "1 file changed, 1 insertion(+), 1 deletion(-)"
    )


def test_the_secret_is_in_a_file_of_the_feature(tmp_path: Path) -> None:
    example = build(MAKE, tmp_path)
    example.secret().apply(example.root)
    assert SECRET in (example.root / "src/token.txt").read_text()
    assert len(SECRET) == len("ghp_") + 36


def test_a_turnstile_lets_every_reader_have_one_answer(tmp_path: Path) -> None:
    with turnstile(tmp_path / "gate", ["fail", "pass", "fail", "pass"]) as command:
        codes = [subprocess.run(["bash", "-c", command], check=False).returncode for _ in "123456"]
    assert codes == [1, 0, 1, 0, 0, 0]


def test_commits_are_signed_and_the_signature_is_good(tmp_path: Path) -> None:
    need("ssh-keygen")
    example = build(MAKE, tmp_path)
    example.sign_commits()
    example.project.write("README.md", "# signed\n")
    example.project.commit("docs: signed")

    example.project.git("verify-commit", "HEAD")
    with pytest.raises(subprocess.CalledProcessError):
        example.project.git("verify-commit", "HEAD~1")
