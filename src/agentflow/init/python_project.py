"""A folder with Python code: its manifests, its lock file, and what they ask for."""

import re
from collections.abc import Iterator

from agentflow.frozen import record
from agentflow.init.files import MAX_LOCK, Files, table, texts
from agentflow.init.proposal import inside
from agentflow.records import Json

MANIFESTS = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "Pipfile")
REQUIREMENTS = re.compile(
    r"requirements(?:[-_.](?:base|dev|tests?|lint|ci|typing))?\.txt"
    r"|(?:dev|tests?|lint)[-_]requirements\.txt"
    r"|requirements/(?:base|common|main|dev|develop|development|tests?|testing|lint|ci|local)\.txt"
)
"""Requirements files that a developer installs: not those of documents or of production."""

LOCKS: dict[str, str] = {
    "uv.lock": "uv sync --frozen",
    "poetry.lock": "POETRY_VIRTUALENVS_IN_PROJECT=true poetry install --no-interaction",
    "pdm.lock": "pdm sync --dev",
    "Pipfile.lock": "PIPENV_VENV_IN_PROJECT=1 pipenv sync --dev",
}
"""For each lock file the line that installs what it says into `.venv`."""


@record
class Python:
    """A folder with Python code, and what was read there."""

    files: Files
    folder: str
    project: Json
    """pyproject.toml."""
    lock: str
    requirements: tuple[str, ...]
    declared: str
    """The names of everything that the manifests and the lock file ask for, one a line."""
    hooks: frozenset[str]
    """Ids of pre-commit hooks."""

    def path(self, name: str) -> str:
        """A file of this folder."""
        return inside(self.folder, name)

    @property
    def manifests(self) -> tuple[str, ...]:
        """The files that decide what is installed, besides a lock file."""
        names = (self.path(name) for name in (*MANIFESTS, "pip.conf"))
        found = [path for path in names if path in self.files]
        return tuple(dict.fromkeys([*found, *self.requirements]))

    @property
    def is_locked(self) -> bool:
        """Whether a file says exactly what is installed; pip refuses to add to hashed ones."""
        return bool(self.lock) or any("--hash=" in self.files.text(p) for p in self.requirements)

    def declares(self, package: str) -> bool:
        """Whether a manifest or the lock file asks for a package."""
        return f"\n{package}\n" in self.declared


def read_python(files: Files, folder: str, hooks: frozenset[str]) -> Python:
    """Read what there is in a folder. `hooks` are ids of pre-commit hooks."""
    project = files.toml(inside(folder, "pyproject.toml"))
    lock = files.first(*(inside(folder, name) for name in LOCKS))
    prefix = f"{folder}/" if folder else ""
    requirements = tuple(
        path
        for path in sorted(files)
        if path.startswith(prefix) and REQUIREMENTS.fullmatch(path, len(prefix))
    )
    declared = [
        *_project_names(project),
        *(line for path in requirements for line in files.text(path).splitlines()),
        *(re.findall(r'^name = "([^"]+)"', files.text(lock, MAX_LOCK), re.MULTILINE)),
        *table(files.toml(inside(folder, "Pipfile")), "packages"),
        *table(files.toml(inside(folder, "Pipfile")), "dev-packages"),
        *re.findall(r"[\w-]+", files.text(inside(folder, "setup.py"))),
        *re.findall(r"[\w-]+", files.text(inside(folder, "setup.cfg"))),
    ]
    names = (re.match(r"\s*([A-Za-z0-9._-]+)", line) for line in declared)
    plain = "\n".join(name[1].lower().replace("_", "-") for name in names if name)
    lock = lock.removeprefix(prefix)
    return Python(files, folder, project, lock, requirements, f"\n{plain}\n", hooks)


def _project_names(project: Json) -> Iterator[str]:
    """The requirements in pyproject.toml, in whichever of its tables."""
    yield from texts(table(project, "project").get("dependencies"))
    for group in (
        *table(project, "project", "optional-dependencies").values(),
        *table(project, "dependency-groups").values(),
        table(project, "tool", "uv").get("dev-dependencies"),
        *table(project, "tool", "pdm", "dev-dependencies").values(),
    ):
        yield from texts(group)
    poetry = table(project, "tool", "poetry")
    groups = (table(group, "dependencies") for group in table(poetry, "group").values())
    for names in (table(poetry, "dependencies"), table(poetry, "dev-dependencies"), *groups):
        yield from names
