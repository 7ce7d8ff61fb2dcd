"""A folder with a package.json: its package manager, its workspace, its scripts."""

import re

from agentflow.frozen import record
from agentflow.init.files import MAX_LOCK, Files, table
from agentflow.init.proposal import inside
from agentflow.records import Json

MANIFEST = "package.json"
MAX_PACKAGES = 100
"""Packages of a workspace that are looked at."""


@record
class Manager:
    """A package manager: its lines for bash."""

    name: str
    locks: tuple[str, ...]
    install: str
    unlocked: str
    run: str
    execute: str
    """Runs an installed program, and never fetches one."""
    everywhere: str
    """Runs a script in every package that has it."""


MANAGERS: tuple[Manager, ...] = (
    Manager("pnpm", ("pnpm-lock.yaml",),
        "pnpm install --frozen-lockfile --store-dir .pnpm-store",
        "pnpm install --store-dir .pnpm-store",
        "pnpm run", "pnpm exec", "pnpm -r --if-present run"),
    Manager("yarn", ("yarn.lock",), "yarn install --frozen-lockfile", "yarn install",
        "yarn run", "yarn run", "yarn workspaces foreach -A run"),
    Manager("bun", ("bun.lock", "bun.lockb"), "bun install --frozen-lockfile", "bun install",
        "bun run", "bunx --no-install", "bun run --filter '*'"),
    Manager("npm", ("package-lock.json", "npm-shrinkwrap.json"),
        "npm ci --no-audit --no-fund", "npm install --no-audit --no-fund",
        "npm run", "npx --no-install", "npm run --workspaces --if-present"),
)  # fmt: skip
"""The last one is taken where no file says otherwise."""

NO_TEST = "no test specified"
"""What `npm init` writes into a new manifest's test script."""
WATCHING = re.compile(r"--watch(?!\s*=?\s*false)\b|--watchAll(?!=false)\b|\bnodemon\b|\s-w\b")


@record
class Node:
    """A folder with a manifest, and what was read there."""

    files: Files
    folder: str
    manager: Manager
    lock: str
    manifest: Json
    packages: tuple[Json, ...]
    """The manifests of a workspace's packages."""

    @property
    def scripts(self) -> dict[str, str]:
        """The manifest's scripts."""
        return scripts_of(self.manifest)

    @property
    def needs(self) -> frozenset[str]:
        """The names of all packages that any manifest here asks for."""
        return frozenset(
            name
            for manifest in (self.manifest, *self.packages)
            for section in ("dependencies", "devDependencies", "optionalDependencies")
            for name in table(manifest, section)
        )

    @property
    def is_berry(self) -> bool:
        """Whether yarn is version 2 or newer."""
        head = self.files.text(self.path("yarn.lock"), MAX_LOCK)[:2000]
        return "__metadata:" in head or self.path(".yarnrc.yml") in self.files

    def path(self, name: str) -> str:
        """A file of this folder."""
        return inside(self.folder, name)


def read_node(files: Files, folder: str) -> Node:
    """Read what there is in a folder."""
    manifest = files.json(inside(folder, MANIFEST))
    wanted = str(manifest.get("packageManager", "")).partition("@")[0]
    named = next((m for m in MANAGERS if m.name == wanted), MANAGERS[-1])
    manager, lock = next(
        (
            (each, lock)
            for each in (named, *MANAGERS)
            for lock in each.locks
            if inside(folder, lock) in files
        ),
        (named, ""),
    )
    prefix = f"{folder}/" if folder else ""
    whole = "workspaces" in manifest or f"{prefix}pnpm-workspace.yaml" in files
    below = [
        path
        for path in files
        if whole and path.startswith(prefix) and path[len(prefix) :].endswith(f"/{MANIFEST}")
    ]
    packages = tuple(files.json(path) for path in sorted(below)[:MAX_PACKAGES])
    return Node(files, folder, manager, lock, manifest, packages)


def scripts_of(manifest: Json) -> dict[str, str]:
    """The scripts of a manifest."""
    found = table(manifest, "scripts")
    return {name: line for name, line in found.items() if isinstance(line, str) and line.strip()}


def is_usable(manifest: Json, script: str) -> bool:
    """Whether a manifest has a script of this name that measures something and ends."""
    line = scripts_of(manifest).get(script, "")
    return bool(line) and NO_TEST not in line and not WATCHING.search(line)
