import pytest

from tests.many.fleet import Fleet
from tests.run.project import Project


@pytest.fixture
def fleet(project: Project) -> Fleet:
    """A repository without tasks, where a sandbox works."""
    (project.root / ".orchestrator/tasks/TASK-1.md").unlink()
    project.commit("chore: no tasks yet")
    return Fleet(project)
