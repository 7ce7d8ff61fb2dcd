"""The setup of a Python project: a virtual environment with what its manifests say."""

import re
import shlex

from agentflow.init.files import items, table, texts
from agentflow.init.host import Host
from agentflow.init.proposal import Install
from agentflow.init.python_project import LOCKS, Python
from agentflow.init.registries import reach
from agentflow.records import Json

VENV = ".venv"
ACTIVATE = f". {VENV}/bin/activate && "
"""The start of every line that uses what is installed."""
EXTRAS = ("dev", "test", "tests", "testing", "lint", "typing", "types")
"""Names of optional dependencies and groups that developers install."""


def setup_of(python: Python, host: Host, extra: tuple[str, ...]) -> Install | None:
    """What installs a project and the packages of `extra`; None if there is nothing to install."""
    manifests = python.manifests
    if not manifests and not extra:
        return None
    line = _locked_line(python) if python.lock else _pip_line(python, extra)
    if not line:
        return None
    found = reach("python", python.files, python.folder, host, *python.requirements)
    variables = dict(found.variables)
    if "PIP_INDEX_URL" in variables and python.lock == "uv.lock":
        variables["UV_DEFAULT_INDEX"] = variables["PIP_INDEX_URL"]
    key = [python.path(python.lock)] if python.lock else []
    reason = f"found: {', '.join([*key, *manifests][:4]) or 'tests'}"
    return Install(
        f"cd {shlex.quote(python.folder)} && {line}" if python.folder else line,
        reason,
        (*key, *manifests),
        (python.path(VENV),),
        hosts=found.hosts,
        unfamiliar=found.unfamiliar,
        variables=variables,
    )


def _locked_line(python: Python) -> str:
    line = LOCKS[python.lock]
    extras = _extras(table(python.project, "project", "optional-dependencies"))
    flag = {"uv.lock": "--extra", "poetry.lock": "--extras", "pdm.lock": "--group"}.get(python.lock)
    groups = _extras(table(python.project, "dependency-groups"))
    further = [f"--group {name}" for name in groups if name != "dev" and python.lock == "uv.lock"]
    return " ".join((line, *(f"{flag} {name}" for name in extras if flag), *further))


def _pip_line(python: Python, extra: tuple[str, ...]) -> str:
    """The line that makes a virtual environment and installs what the manifests say."""
    wanted = [f"-r {shlex.quote(_relative(python, path))}" for path in python.requirements]
    if "build-system" in python.project or python.path("setup.py") in python.files:
        extras = ",".join(_extras(table(python.project, "project", "optional-dependencies")))
        wanted.append(f"-e '.[{extras}]'" if extras else "-e .")
    else:
        project = table(python.project, "project")
        wanted += _further(python, texts(project.get("dependencies")))
        wanted += _members(python, table(project, "optional-dependencies"))
    wanted += [*_members(python, table(python.project, "dependency-groups")), *extra]
    pip = f"{VENV}/bin/pip install {' '.join(wanted)}"
    if python.path("pip.conf") in python.files:
        pip = f"PIP_CONFIG_FILE=pip.conf {pip}"
    return f"python3 -m venv {VENV} && {pip}" if wanted else ""


def _relative(python: Python, path: str) -> str:
    return path.removeprefix(f"{python.folder}/" if python.folder else "")


def _extras(given: Json) -> list[str]:
    return [name for name in EXTRAS if items(given.get(name))]


def _members(python: Python, groups: Json) -> list[str]:
    return [each for name in _extras(groups) for each in _further(python, texts(groups[name]))]


def _further(python: Python, requirements: list[str]) -> list[str]:
    """The requirements, quoted, whose packages no requirements file names."""
    listed = "\n".join(python.files.text(path) for path in python.requirements).lower()
    named = {name.replace("_", "-") for name in re.findall(r"^[a-z0-9._-]+", listed, re.MULTILINE)}
    found = ((each, re.match(r"[A-Za-z0-9._-]+", each)) for each in requirements)
    return [
        shlex.quote(each)
        for each, name in found
        if name and name[0].lower().replace("_", "-") not in named
    ]
