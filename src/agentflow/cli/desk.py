"""Where documents of tasks lie, as this repository says."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agentflow.frozen import record
from agentflow.words import word

if TYPE_CHECKING:
    from agentflow.setting_tables import DocumentsSetting
    from agentflow.tasks.document import Document
    from agentflow.workspace.repository import Repository


@record
class Desk:
    """Where documents are looked for."""

    root: Path
    setting: "DocumentsSetting"
    locks: Path
    repository: "Repository | None" = None

    def read(self, path: Path) -> "Document":
        from agentflow.task_documents import looks_in
        from agentflow.tasks.tasks_md import read_tasks_md

        return read_tasks_md(path, looks_in(self.root), self.setting.prefixes)

    def find(self, name: str, queued: Sequence[str] = ()) -> Path:
        from agentflow.task_documents import find_document

        return find_document(name, self.root, self.setting.roots, queued)

    def has_task(self, name: str) -> bool:
        """Whether a task file has this name, or a document, or one of a document's batches."""
        from agentflow.task_documents import NAME
        from agentflow.tasks.task import FOLDER, names_a_file

        if names_a_file(name):
            return False
        task = name.partition("-batch-")[0]
        places = (Path(folder, task, NAME) for folder in self.setting.roots)
        return any((self.root / each).is_file() for each in (Path(FOLDER, f"{name}.md"), *places))

    def elsewhere(self, path: Path, task: str) -> str:
        """Where another version of a document is: on the branch of its task; empty if nowhere."""
        branch = f"agentflow/{task}"
        if self.repository is None or not path.resolve().is_relative_to(self.root.resolve()):
            return ""
        name = path.resolve().relative_to(self.root.resolve()).as_posix()
        text = self.repository.read(f"refs/heads/{branch}", name)
        same = text is None or text == path.read_text("utf-8", "replace")
        return "" if same else f"{branch} has another version: git show {word(f'{branch}:{name}')}"

    def landed(self, asked: Iterable[str]) -> frozenset[str]:
        """The tasks whose commits HEAD holds, and which of those that are asked for are documents
        that are complete there."""
        if self.repository is None:
            return frozenset()
        from agentflow.kept_documents import left_of

        head = self.repository.head
        landed = self.repository.landed_tasks(head)
        others = set(asked) - landed
        return landed.union(
            name
            for name in others
            if left_of(self.repository, head, name, self.setting, landed) == ""
        )


def root_here() -> Path:
    """The root of the repository around here. Raises `UsageError` if there is none."""
    from agentflow.workspace.repository import open_repository
    from agentflow.world import World

    world = World()
    return open_repository(world.directory, world.environment).root


def desk() -> Desk:
    """The repository's settings at HEAD; without a repository, this folder and the defaults."""
    from agentflow.errors import AgentflowError
    from agentflow.setting_tables import DocumentsSetting
    from agentflow.settings import settings_at
    from agentflow.workspace.repository import open_repository
    from agentflow.world import World

    world = World()
    try:
        repository = open_repository(world.directory, world.environment)
        head = repository.resolve("HEAD")
    except AgentflowError:
        return Desk(world.directory, DocumentsSetting(), world.cache / "locks")
    settings = settings_at(repository, head, world.environment)
    return Desk(repository.root, settings.documents, repository.locks(world.cache), repository)
