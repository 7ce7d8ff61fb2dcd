"""Tasks of a workspace whose root has no script for them: by turbo, by nx, or in every package."""

import re
import shlex

from agentflow.init.files import Files, table
from agentflow.init.node_project import MAX_PACKAGES, Node, is_usable, scripts_of
from agentflow.records import Json


def find_task(node: Node, names: tuple[str, ...]) -> tuple[str, str] | None:
    """The line that runs the first known of some tasks, and how one knows it; None without one."""
    for file, tasks, command in (
        ("turbo.json", _turbo_tasks(node), "turbo run"),
        ("nx.json", _nx_targets(node), "nx run-many -t"),
    ):
        task = next((name for name in names if name in tasks), "")
        if task:
            reason = f"{node.path(file)} knows `{task}`"
            if file == "nx.json":
                reason += (
                    "; for a large repository: "
                    + f'nx affected -t {task} --base="$AGENTFLOW_BASE" --head="$AGENTFLOW_HEAD"'
                )
            return f"{node.manager.execute} {command} {shlex.quote(task)}", reason
    script = next((s for s in names if any(is_usable(p, s) for p in node.packages)), "")
    if not script:
        return None
    reason = f"packages of the workspace have a script `{script}`"
    return f"{_everywhere(node)} {shlex.quote(script)}", reason


def _everywhere(node: Node) -> str:
    classic = node.manager.name == "yarn" and not node.is_berry
    return "yarn workspaces run" if classic else node.manager.everywhere


def _turbo_tasks(node: Node) -> frozenset[str]:
    configuration = _commented(node.files, node.path("turbo.json"))
    tasks = {**table(configuration, "pipeline"), **table(configuration, "tasks")}
    return frozenset(name.rpartition("#")[2] for name in tasks)


def _nx_targets(node: Node) -> frozenset[str]:
    configuration = _commented(node.files, node.path("nx.json"))
    if not configuration:
        return frozenset()
    projects = [path for path in node.files if path.endswith("/project.json")][:MAX_PACKAGES]
    found = {*table(configuration, "targetDefaults")}
    for manifest in (*node.packages, *(node.files.json(path) for path in projects)):
        found |= {*table(manifest, "targets"), *scripts_of(manifest)}
    # plugins derive these from the configuration of test runners and linters
    return frozenset(found | ({"lint", "test"} if configuration.get("plugins") else set()))


def _commented(files: Files, path: str) -> Json:
    """A JSON object whose file may hold whole lines of comment and commas at an end."""
    plain = files.json(path)
    if plain or path not in files:
        return plain
    text = re.sub(r"^[ \t]*//.*$", "", files.text(path), flags=re.MULTILINE)
    changed = Files({path: 0}, lambda _: re.sub(r",(\s*[}\]])", r"\1", text).encode())
    return changed.json(path)
