"""JavaScript and TypeScript: package managers, workspaces, scripts and the common tools."""

import re
import shlex
from collections.abc import Iterator

from agentflow.init.files import Files
from agentflow.init.host import Host
from agentflow.init.node_project import (
    MANIFEST,
    NO_TEST,
    WATCHING,
    Manager,
    Node,
    is_usable,
    read_node,
)
from agentflow.init.node_tasks import find_task
from agentflow.init.proposal import CHANGED, GateProposal, Install, Kind, Proposal, gate_name
from agentflow.init.registries import reach

SCRIPTS: dict[Kind, tuple[str, ...]] = {
    "format": ("format:check", "format-check", "check:format", "prettier:check", "fmt:check"),
    "lint": ("lint", "lint:check", "eslint"),
    "typecheck": ("typecheck", "type-check", "check-types", "check:types", "types:check", "tsc"),
    "test": ("test", "test:unit", "unit", "test:ci"),
}
"""For each kind of gate the names of scripts that measure it, the usual one first."""
CI_SCRIPTS = ("test:e2e", "e2e", "test:integration", "integration")
"""Scripts that need a browser or running services."""


def detect(files: Files, folder: str, host: Host) -> Proposal:
    """What the manifest in a folder proposes."""
    node = read_node(files, folder)
    gates: list[GateProposal] = []
    notes: list[str] = []
    for kind in SCRIPTS:
        found = _script_gate(node, kind, notes) or _task_gate(node, kind) or _tool_gate(node, kind)
        if found is not None:
            gates.append(found)
    gates += [*_formatter(node), *_ci_gates(node)]
    if "build" in node.scripts:
        notes.append(
            f"{node.path(MANIFEST)} has a script `build`: add it as a gate if it works without "
            + "network"
        )
    return Proposal(tuple(gates), tuple(_install(node, host)), notes=tuple(notes))


def _task_gate(node: Node, kind: Kind) -> GateProposal | None:
    found = find_task(node, SCRIPTS[kind])
    return _gate(node, kind, kind, *found) if found else None


def _runs(manager: Manager, script: str) -> str:
    """The line that runs a script."""
    if manager.name == "npm" and script == "test":
        return "npm test"
    return f"{manager.run} {shlex.quote(script)}"


def _gate(node: Node, name: str, kind: Kind, command: str, reason: str) -> GateProposal:
    return GateProposal(gate_name(node.folder, name), kind, command, reason, cwd=node.folder)


def _script_gate(node: Node, kind: Kind, notes: list[str]) -> GateProposal | None:
    for script in SCRIPTS[kind]:
        line = node.scripts.get(script, "")
        where = f"{node.path(MANIFEST)} has a script `{script}`"
        if NO_TEST in line:
            notes.append(f"{where} that only says that there is no test")
        elif line and WATCHING.search(line):
            notes.append(f"{where} that watches and never ends")
        elif line:
            name = "format-check" if kind == "format" else kind
            return _gate(node, name, kind, _runs(node.manager, script), where)
    return None


def _tool_gate(node: Node, kind: Kind) -> GateProposal | None:
    needs, execute = node.needs, node.manager.execute
    near = [path for path in node.files if path.rpartition("/")[0] == node.folder]
    names = {path.rpartition("/")[2] for path in near}
    eslint = "eslintConfig" in node.manifest or any("eslint" in name for name in names)
    project = '"references"' in node.files.text(node.path("tsconfig.json"))
    tools: tuple[tuple[Kind, str, bool, str], ...] = (
        ("lint", "eslint", eslint, "eslint ."),
        ("lint", "@biomejs/biome", bool(names & {"biome.json", "biome.jsonc"}), "biome check ."),
        ("typecheck", "typescript", "tsconfig.json" in names,
         "tsc -b" if project else "tsc --noEmit"),
        ("test", "vitest", True, "vitest run"),
        ("test", "jest", True, "jest"),
    )  # fmt: skip
    for of, package, fits, line in tools:
        if of == kind and package in needs and fits:
            reason = f"{node.path(MANIFEST)} asks for `{package}`"
            return _gate(node, kind, kind, f"{execute} {line}", reason)
    if kind == "test" and (example := _builtin_test(node)):
        return _gate(node, kind, kind, "node --test", f"{example} uses Node's own test runner")
    return None


def _builtin_test(node: Node) -> str:
    """A test file for Node's own runner; empty if there is none."""
    prefix = f"{node.folder}/" if node.folder else ""
    tests = [
        path
        for path in node.files
        if path.startswith(prefix)
        and re.search(r"(?:\.test|(?:^|/)test)\.[cm]?js$|/tests?/[^/]+\.[cm]?js$", path)
    ]
    return next((path for path in tests[:20] if "node:test" in node.files.text(path)), "")


def _formatter(node: Node) -> Iterator[GateProposal]:
    if "prettier" in node.needs:
        line = f"{CHANGED}. | xargs -0 -r {node.manager.execute} prettier --write --ignore-unknown"
        reason = f"{node.path(MANIFEST)} asks for `prettier`; it formats what the change touched"
        yield GateProposal(
            gate_name(node.folder, "format"), "format", line, reason, cwd=node.folder, fix=True
        )


def _ci_gates(node: Node) -> Iterator[GateProposal]:
    for script in CI_SCRIPTS:
        if is_usable(node.manifest, script):
            reason = f"{node.path(MANIFEST)} has a script `{script}`: a browser, or services"
            name = gate_name(node.folder, script)
            line = _runs(node.manager, script)
            yield GateProposal(name, "other", line, reason, cwd=node.folder, ci=True)


def _install(node: Node, host: Host) -> Iterator[Install]:
    if not node.needs and not node.packages:
        return
    line = node.manager.install if node.lock else node.manager.unlocked
    found = reach("npm", node.files, node.folder, host)
    variables = dict(found.variables)
    scratch = ["node_modules/.cache"]
    if node.needs & {"vite", "vitest"}:
        scratch += ["node_modules/.vite", "node_modules/.vite-temp"]
    if node.manager.name == "yarn" and node.is_berry:
        line = "yarn install --immutable"
        # Plug'n'Play installs files beside the folders that can be kept.
        variables |= {
            "YARN_NODE_LINKER": "node-modules",
            "YARN_INSTALL_STATE_PATH": "node_modules/.yarn-install-state.gz",
        }
    if node.path("nx.json") in node.files:
        variables["NX_DAEMON"] = "false"
    names = [node.lock, MANIFEST, ".npmrc", ".yarnrc.yml", "pnpm-workspace.yaml"]
    key = [node.path(name) for name in names if name and node.path(name) in node.files]
    yield Install(
        f"cd {shlex.quote(node.folder)} && {line}" if node.folder else line,
        node.path(node.lock or MANIFEST) + (" is there" if node.lock else " has no lock file"),
        tuple(dict.fromkeys([*key, *([f"**/{MANIFEST}"] if node.packages else [])])),
        ("**/node_modules",) if node.packages else (node.path("node_modules"),),
        tuple(node.path(name) for name in scratch),
        found.hosts,
        found.unfamiliar,
        variables,
    )
