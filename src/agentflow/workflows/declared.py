"""What the tasks of a batch declare of files, as far as a commit's tree can show it."""

from collections.abc import Collection, Sequence

from agentflow.boundaries import opens_protected
from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.globs import check_glob, is_path, matches
from agentflow.tasks.document import DeclaredFile, TaskEntry


@record
class Declared:
    """Declared files, each once."""

    files: tuple[str, ...] = ()
    """Must be there in the end, not empty."""
    deleted: tuple[str, ...] = ()
    """Must be gone."""
    areas: tuple[str, ...] = ()
    """Folders and globs: must hold such a file."""
    unplaced: tuple[DeclaredFile, ...] = ()
    """What nobody can measure: it has no place in the repository, or says RENAME and not to what."""

    @property
    def nothing_measured(self) -> bool:
        """Whether files are declared, and none of them can be measured."""
        return bool(self.unplaced) and not (self.files or self.deleted or self.areas)


def declared_by(tasks: Sequence[TaskEntry], there: Collection[str]) -> Declared:
    """What these tasks declare. `there` are the files that the base has: they tell a folder, and a
    rename's old name, from what is to be made."""
    folders = {path[:end] for path in there for end in range(len(path)) if path[end] == "/"}
    files, deleted, areas = (dict[str, None]() for _ in range(3))
    unplaced: list[DeclaredFile] = []
    everything = [file for task in tasks for file in task.files]
    paired = {file.line for file in everything if file.action == "delete"}
    for file in everything:
        path = _place(file)
        wide = not path or not is_path(path) or path in folders
        alone = file.action == "rename" and file.line not in paired
        if path is None or (alone and path in there):
            unplaced.append(file)
        elif file.action == "delete" and wide:
            area = path if not is_path(path) else f"{path}/"
            deleted |= dict.fromkeys(each for each in there if matches(area, each))
        elif file.action == "delete":
            deleted[path] = None
        elif wide:
            areas[path] = None
        else:
            files[path] = None
    kept = tuple(path for path in files if path not in deleted)
    return Declared(kept, tuple(deleted), tuple(areas), tuple(unplaced))


def written(declared: Declared) -> tuple[str, ...]:
    """Globs of what a batch changes, as it declares; what a document says opens no protected path."""
    globs = (*declared.files, *declared.deleted, *declared.areas)
    return tuple(glob for glob in globs if not opens_protected(glob))


def _place(file: DeclaredFile) -> str | None:
    """Its path in the repository; None without one, and for what is no path at all."""
    if file.path is None:
        return None
    slash = "/" if file.written.rstrip().endswith(("/", "\\")) else ""
    try:
        return check_glob(file.path.rstrip("/") + slash, where="a declared file")
    except UsageError:
        return None
