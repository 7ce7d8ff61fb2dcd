"""The parts of a handoff whose work lies in several repositories."""

import pytest

from agentflow.errors import UsageError
from agentflow.handoff_parts import prepare
from agentflow.handoffs import choose_block, read_in
from agentflow.workspace.repository import Repository, open_repository
from tests.run.project import make_project
from tests.workflows.superproject import BLOCK, MAIL, TYPES, add_submodules


@pytest.fixture(scope="module")
def superproject(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    folder = tmp_path_factory.mktemp("superproject")
    project = make_project(folder)
    project.write("tools/main.py", "x = 1\n")
    project.write("libs/kit/package.json", '{"name": "@acme/kit"}\n')
    project.write("tools/project.json", '{"name": "workbench"}\n')  # as nx calls it
    add_submodules(project, folder)
    return open_repository(project.root, project.world.environment)


@pytest.mark.parametrize(
    ("services", "packages", "places"),
    [
        ("mail", " in @acme/types", [TYPES, MAIL]),
        ("mail, @acme/types", "", [TYPES, MAIL]),
        ("mail, acme-types", " in @acme/types", [TYPES, MAIL]),
        ("tools, mail, acme-types", " in @acme/types", [TYPES, "", MAIL]),
        ("mail, tools", "", ["", MAIL]),
        ("workbench", "", [""]),
        ("tools", " in @acme/types and @acme/kit", [TYPES, ""]),
    ],
)
def test_the_shared_contract_comes_first_whatever_the_block_calls_it(
    superproject: Repository, services: str, packages: str, places: list[str]
) -> None:
    text = BLOCK.replace(": mail\n", f": {services}\n").replace(" in @acme/types", packages)
    reading = read_in(superproject, choose_block(text, where="x"), None, (), {})

    assert reading.questions == ()
    parts = prepare(superproject, reading, None, "HANDOFF-1").parts
    assert [part.submodule for part in parts] == places
    assert ("tools" in reading.folders) == ("" in places)


def test_a_base_of_this_repository_is_none_for_work_in_a_submodule(
    superproject: Repository,
) -> None:
    reading = read_in(superproject, choose_block(BLOCK, where="x"), "HEAD", (), {})

    with pytest.raises(UsageError, match=f"and the work is in {MAIL}"):
        prepare(superproject, reading, "HEAD", "HANDOFF-1")
