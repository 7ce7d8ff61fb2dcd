"""Python: package managers, virtual environments, test runners, linters and type checkers."""

import re
from collections.abc import Iterator
from dataclasses import replace

from agentflow.frozen import record
from agentflow.init.files import Files, table
from agentflow.init.host import Host
from agentflow.init.proposal import CHANGED, GateProposal, Kind, Proposal, gate_name
from agentflow.init.python_project import Python, read_python
from agentflow.init.python_setup import ACTIVATE, setup_of


@record
class Tool:
    """A tool, and how one sees that a repository uses it."""

    name: str
    kind: Kind
    command: str
    tables: tuple[str, ...] = ()
    """Tables of pyproject.toml that configure it, below `tool`."""
    files: tuple[str, ...] = ()
    """Its own configuration files."""
    hooks: tuple[str, ...] = ()
    """Ids of pre-commit hooks that run it."""
    fix: bool = False


TOOLS: tuple[Tool, ...] = (
    Tool("ruff", "format", f"{CHANGED}'*.py' '*.pyi' | xargs -0 -r ruff format --force-exclude",
         ("ruff.format",), hooks=("ruff-format",), fix=True),
    Tool("black", "format", f"{CHANGED}'*.py' '*.pyi' | xargs -0 -r black --quiet",
         ("black",), hooks=("black", "black-jupyter"), fix=True),
    Tool("ruff", "lint", "ruff check .", ("ruff",), ("ruff.toml", ".ruff.toml"),
         ("ruff", "ruff-check")),
    Tool("flake8", "lint", "flake8", files=(".flake8",), hooks=("flake8",)),
    Tool("mypy", "typecheck", "mypy", ("mypy",), ("mypy.ini", ".mypy.ini"), ("mypy",)),
    Tool("basedpyright", "typecheck", "basedpyright", ("basedpyright",), hooks=("basedpyright",)),
    Tool("pyright", "typecheck", "pyright", ("pyright",), ("pyrightconfig.json",), ("pyright",)),
    Tool("pytest", "test", "pytest -q", ("pytest",), ("pytest.ini", "conftest.py"), ("pytest",)),
)  # fmt: skip
"""The first one of a kind that a repository uses becomes its gate."""
CACHES = {
    "ruff": ("RUFF_CACHE_DIR", "/tmp/ruff"),  # noqa: S108  inside the sandbox
    "mypy": ("MYPY_CACHE_DIR", "/tmp/mypy"),  # noqa: S108
    "pytest": ("PYTEST_ADDOPTS", "-o cache_dir=/tmp/pytest"),
}
"""Variables that move a tool's cache off the agent's read-only tree. ruff fails without."""


def detect(files: Files, folder: str, host: Host, hooks: frozenset[str]) -> Proposal:
    """What a folder with Python code proposes. `hooks` are ids of pre-commit hooks."""
    python = read_python(files, folder, hooks)
    chosen = _chosen(python)
    missing = [tool.name for tool in chosen if not python.declares(tool.name)]
    # A lock file says exactly what is installed; beside it nothing may be added by guessing.
    extra = () if python.is_locked else tuple(dict.fromkeys(missing))
    bare = extra == ("pytest",) and not python.manifests and host.has("pytest")
    install = None if bare else setup_of(python, host, extra)
    if install:
        caches = dict(
            CACHES[name] for name in dict.fromkeys(t.name for t in chosen) if name in CACHES
        )
        install = replace(install, agent_variables=caches)
    prefix = ACTIVATE if install else ""
    gates = [_gate(python, tool, prefix, extra) for tool in chosen]
    if not any(gate.kind == "test" for gate in gates) and (example := _unittest(python)):
        gates.append(
            GateProposal(
                gate_name(folder, "test"), "test", f"{prefix}python3 -m unittest discover",
                f"{example} uses unittest", cwd=folder,
            )
        )  # fmt: skip
    return Proposal(tuple(gates), (install,) if install else (), notes=tuple(_notes(python)))


def _chosen(python: Python) -> list[Tool]:
    """The first tool of each kind that is used here."""
    found: dict[Kind, Tool] = {}
    for tool in TOOLS:
        if tool.kind not in found and _uses(python, tool):
            found[tool.kind] = tool
    return list(found.values())


def _uses(python: Python, tool: Tool) -> bool:
    configured = any(table(python.project, "tool", *name.split(".")) for name in tool.tables)
    there = any(python.path(name) in python.files for name in tool.files)
    section = f"[{'tool:pytest' if tool.name == 'pytest' else tool.name}]"
    if configured or there or python.hooks.intersection(tool.hooks):
        return True
    if section in python.files.text(python.path("setup.cfg")):
        return True
    if tool.name == "pytest":
        return any(_is_pytest(python.files.text(path)) for path in _tests(python))
    # ruff formats only where somebody chose that; black does nothing else
    return python.declares(tool.name) and not (tool.name == "ruff" and tool.fix)


def _tests(python: Python) -> list[str]:
    prefix = f"{python.folder}/" if python.folder else ""
    pattern = re.compile(r"(?:.*/)?(?:test_[^/]*|[^/]*_test|tests|conftest)\.py")
    return [p for p in python.files if p.startswith(prefix) and pattern.fullmatch(p)][:50]


def _is_pytest(text: str) -> bool:
    return bool(
        re.search(r"^(?:async )?def test_|^[ \t]*(?:import|from) pytest\b", text, re.MULTILINE)
    )


def _unittest(python: Python) -> str:
    return next((p for p in _tests(python) if "unittest" in python.files.text(p)), "")


def _gate(python: Python, tool: Tool, prefix: str, extra: tuple[str, ...]) -> GateProposal:
    command, reason = tool.command, _reason(python, tool)
    live = bool(python.declares(tool.name) or tool.name in extra)
    if tool.name == "mypy":
        settings = table(python.project, "tool", "mypy")
        command += (
            "" if settings.keys() & {"files", "packages", "modules"} else f" {_source(python)}"
        )
    if tool.name in extra and prefix:
        reason += "; it is in no manifest, so the setup installs it as well"
    elif not live:
        holder = python.lock or python.requirements[0]
        reason += f"; but {holder} does not hold it: add it there first"
    if tool.name == "pyright":
        live, reason = False, f"{reason}; it fetches Node when it is first started"
    name = gate_name(python.folder, tool.kind)
    if tool.name == "pytest" and not prefix:
        command, reason = "python3 -m pytest -q", f"{reason}; pytest is the one of this machine"
    return GateProposal(
        name, tool.kind, f"{prefix}{command}", reason, cwd=python.folder, fix=tool.fix, live=live
    )


def _source(python: Python) -> str:
    return "src" if any(p.startswith(python.path("src/")) for p in python.files) else "."


def _reason(python: Python, tool: Tool) -> str:
    for name in tool.tables:
        if table(python.project, "tool", *name.split(".")):
            return f"{python.path('pyproject.toml')} has [tool.{name}]"
    there = python.files.first(*(python.path(name) for name in tool.files))
    if there:
        return f"{there} is there"
    if python.hooks.intersection(tool.hooks):
        return f"a pre-commit hook runs {tool.name}"
    return f"{tool.name} is asked for" if python.declares(tool.name) else f"{tool.name} is used"


def _notes(python: Python) -> Iterator[str]:
    for name, program in (("tox.ini", "tox"), ("noxfile.py", "nox")):
        if python.path(name) in python.files:
            yield (
                f"{python.path(name)}: {program} makes environments of its own, which needs "
                + "network; the gates run the tools directly"
            )
