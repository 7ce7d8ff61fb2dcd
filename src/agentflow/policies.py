"""Policies: what every sandbox of a run is shown beside its clone."""

import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from agentflow.environment import Service
from agentflow.programs import first_word
from agentflow.records import ProcessLimits
from agentflow.sandbox.policy import Mount, Network, Policy, Provided
from agentflow.sandbox.toolchains import find
from agentflow.workspace.clone import GIT_INSIDE, OBJECTS_INSIDE, Clone

RUNTIMES = (
    *("python", "python3", "pip", "uv", "node", "npm", "pnpm", "yarn", "bun", "deno", "go"),
    *("cargo", "rustc", "java", "mvn", "gradle", "ruby", "bundle", "php", "composer", "dotnet"),
)
"""Programs whose version decides whether what was installed fits."""


class Policies:
    """Makes policies that share programs and readable paths."""

    def __init__(
        self,
        lines: Sequence[str],
        search: str,
        home: Path,
        root: Path,
        *,
        readable: Sequence[str],
        limits: ProcessLimits,
        mounted: bool = True,
    ) -> None:
        """Find the programs that these command lines start, on the PATH `search`.

        `mounted` says that the sandbox shows things under paths of its own, and not of this machine.
        """
        # A gate may come from the repository, and a path in it could show any folder: programs
        # are looked up by name.
        words = (first_word(line) for line in lines)
        self._tools = find([word for word in words if word and "/" not in word], search, home, root)
        self._readable = tuple(readable)
        self._limits = limits
        self._mounted = mounted

    @property
    def toolchain(self) -> str:
        """The machine, and each runtime's real path, size and time."""
        path = os.pathsep.join((*self._tools.path, "/usr/local/bin", "/usr/bin", "/bin"))
        lines = [platform.machine()]
        for name in RUNTIMES:
            program = shutil.which(name, path=path)
            if program:
                status = Path(program).stat()
                real = Path(program).resolve()
                lines.append(f"{name} {real} {status.st_size} {status.st_mtime_ns}")
        return "\n".join(lines)

    def make(
        self,
        clone: Clone,
        *,
        writable: tuple[str, ...],
        protected: tuple[str, ...] = (),
        git_writable: bool = False,
        completion: str | None = None,
        mounts: tuple[Mount, ...] = (),
        provided: tuple[Provided, ...] = (),
        services: tuple[Service, ...] = (),
        network: Network | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> Policy:
        """A policy on a clone: its git directory, the objects that it borrows, the programs."""
        tools = self._tools
        git_dir = GIT_INSIDE if self._mounted else str(clone.git_dir)
        stores = {
            f"{OBJECTS_INSIDE}/{n}" if self._mounted else str(store): store
            for n, store in enumerate(clone.stores)
        }
        return Policy(
            tree=clone.tree,
            git_dir=clone.git_dir,
            writable=writable,
            protected=protected,
            completion=completion,
            mounts=(
                Mount(clone.git_dir, git_dir, git_writable),
                *(Mount(store, target) for target, store in stores.items()),
                *tools.mounts,
                *(Mount(Path(path), path) for path in self._readable),
                *mounts,
            ),
            # A borrowed store's own alternates are mounted too, under other names.
            masked=(
                *tools.masked,
                *(
                    f"{target}/info/alternates"
                    for target, store in stores.items()
                    if self._mounted and (store / "info" / "alternates").exists()
                ),
            ),
            provided=provided,
            network=network or Network(),
            services=services,
            environment={**tools.environment, **(variables or {})},
            path=tools.path,
            limits=self._limits,
        )
