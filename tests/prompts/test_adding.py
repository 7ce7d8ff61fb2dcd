"""Adding prompts: copies with their origin, and nothing replaced."""

import hashlib
import json
from pathlib import Path

import pytest

from agentflow.errors import UsageError
from agentflow.prompt_tests.reading import case_files
from agentflow.prompts.adding import Added, add_prompts
from agentflow.prompts.loader import load_prompt
from agentflow.tools import DEFAULT_TOOLS
from tests.run.project import Project, make_project

BYTES = b"\xef\xbb\xbf---\r\nname: x\r\n---\r\nTASK-XXX @README.md \xc3\xa9\r\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def add(project: Project, source: Path) -> list[Added]:
    folder = project.root / ".orchestrator/prompts"
    environment = {**project.world.environment, "GIT_CEILING_DIRECTORIES": "/tmp"}
    return add_prompts(
        source,
        folder,
        project.root,
        environment,
        lambda path: load_prompt(path, DEFAULT_TOOLS),
        case_files,
    )


def origins(project: Project) -> object:
    return json.loads((project.root / ".orchestrator/prompts/origins.json").read_text())


def test_a_file_is_copied_byte_for_byte_with_its_origin(project: Project, tmp_path: Path) -> None:
    source = tmp_path / "x.md"
    source.write_bytes(BYTES)
    target = project.root / ".orchestrator/prompts/x.md"

    assert add(project, source) == [Added(source, target, "added")]
    assert target.read_bytes() == BYTES
    origin = {"source": str(source), "sha256": hashlib.sha256(BYTES).hexdigest()}
    assert origins(project) == {"x.md": origin}
    assert add(project, source) == [Added(source, target, "present")]


def test_a_template_of_a_folder_is_copied_too(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / "a.md.j2").write_text("Do {{ task.id }}.\n")
    (folder / "a.md.bak").write_text("x")
    target = project.root / ".orchestrator/prompts/a.md.j2"
    assert add(project, folder) == [Added(folder / "a.md.j2", target, "added")]


def test_a_folder_is_copied_with_its_subfolders(project: Project, tmp_path: Path) -> None:
    source = make_project(tmp_path / "other")
    source.write("agents/deep/a.md", "A")
    source.write("agents/b.md", "B")
    source.write("agents/README.md", "no prompt")
    source.write("agents/empty.md", "---\nname: x\n---\n")
    (tmp_path / "outside.md").write_text("outside")
    (source.root / "agents/link.md").symlink_to(tmp_path / "outside.md")
    commit = source.commit()

    added = add(project, source.root / "agents")

    folder = project.root / ".orchestrator/prompts"
    assert [(str(each.path.relative_to(folder)), each.state) for each in added] == [
        ("b.md", "added"),
        ("deep/a.md", "added"),
        ("empty.md", "skipped"),
        ("link.md", "skipped"),
    ]
    assert (folder / "deep/a.md").read_text() == "A"
    assert origins(project) == {
        name: {
            "source": str(source.root / "agents" / name),
            "sha256": hashlib.sha256(text).hexdigest(),
            "commit": commit,
        }
        for name, text in (("b.md", b"B"), ("deep/a.md", b"A"))
    }


def test_the_suite_of_a_prompt_comes_with_it(project: Project, tmp_path: Path) -> None:
    source = tmp_path / "agents/deep/a.md"
    source.parent.mkdir(parents=True)
    source.write_text("A")
    suite = source.with_name("a.tests")
    suite.mkdir()
    (suite / "one.yaml").write_text("task: x\n")
    (suite / "notes.txt").write_text("no case")
    (tmp_path / "agents/b.tests").mkdir()
    (tmp_path / "agents/b.tests/two.yaml").write_text("of no prompt")
    folder = project.root / ".orchestrator/prompts"

    whole = add(project, tmp_path / "agents")
    alone = add(project, source)

    assert [str(each.path.relative_to(folder)) for each in whole] == [
        "deep/a.md",
        "deep/a.tests/one.yaml",
    ]
    assert [str(each.path.relative_to(folder)) for each in alone] == ["a.md", "a.tests/one.yaml"]
    assert (folder / "deep/a.tests/one.yaml").read_text() == "task: x\n"
    assert isinstance(known := origins(project), dict)
    assert known["a.tests/one.yaml"]["source"] == str(suite / "one.yaml")


def test_no_link_of_a_suite_brings_a_file_from_elsewhere(project: Project, tmp_path: Path) -> None:
    (tmp_path / "p/a.tests").mkdir(parents=True)
    (tmp_path / "p/a.md").write_text("A")
    (tmp_path / "secret").write_text("s")
    (tmp_path / "p/a.tests/x.yaml").symlink_to(tmp_path / "secret")
    (tmp_path / "p/b.md").write_text("B")
    with pytest.raises(UsageError, match="outside of"):
        add(project, tmp_path / "p/a.md")
    states = [(each.path.name, each.state) for each in add(project, tmp_path / "p")]
    assert states == [("a.md", "skipped"), ("b.md", "added")]
    assert not (project.root / ".orchestrator/prompts/a.md").exists()


def test_nothing_is_replaced_and_then_nothing_is_copied(project: Project, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p/a.md").write_text("new")
    (tmp_path / "p/plain.md").write_text("other")
    with pytest.raises(UsageError, match="is there already and differs") as caught:
        add(project, tmp_path / "p")
    assert "Nothing was copied" in caught.value.hint
    assert not (project.root / ".orchestrator/prompts/a.md").exists()
    assert not (project.root / ".orchestrator/prompts/origins.json").exists()


def test_no_link_of_the_repository_leads_a_copy_outside(project: Project, tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "p/sub").mkdir(parents=True)
    (tmp_path / "p/sub/a.md").write_text("A")
    (project.root / ".orchestrator/prompts/sub").symlink_to(tmp_path / "victim")
    with pytest.raises(UsageError, match="outside of the repository"):
        add(project, tmp_path / "p")
    assert list((tmp_path / "victim").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("none.md", None, "cannot read"),
        ("none", None, "cannot read .*: No such file"),
        ("x.txt", "x", "does not end with .md"),
        ("x.md", "---\ntools: [Nothing]\n---\nx", "none of its tools"),
        ("x.md", "x" * (1 << 20) + "x", "is larger than"),
    ],
)
def test_what_is_no_prompt_is_refused(
    project: Project, tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=message):
        add(project, tmp_path / name)


def test_a_folder_without_prompts_and_a_broken_record_are_refused(
    project: Project, tmp_path: Path
) -> None:
    (tmp_path / "p").mkdir()
    with pytest.raises(UsageError, match="there is no prompt file in"):
        add(project, tmp_path / "p")
    project.write(".orchestrator/prompts/origins.json", "[")
    (tmp_path / "p/a.md").write_text("A")
    with pytest.raises(UsageError, match=r"origins\.json"):
        add(project, tmp_path / "p")
    assert not (project.root / ".orchestrator/prompts/a.md").exists()
