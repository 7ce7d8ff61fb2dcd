"""What back ends share that cannot mount: places and variables under the paths of this machine."""

import os
import subprocess
from pathlib import Path

from agentflow.errors import EnvironmentFailure
from agentflow.records import WORKSPACE
from agentflow.sandbox.mountpoints import open_beneath, open_tree
from agentflow.sandbox.policy import ENVIRONMENT, GIT_CONFIGURATION, Policy, Provided
from agentflow.sandbox.services import service_variables
from agentflow.sandbox.tree import check_scratch, open_provided, provided_path


def private_folders(folder: Path) -> tuple[Path, Path]:
    """Make a home, with git's configuration, and a scratch folder."""
    home, scratch = folder / "home", folder / "scratch"
    home.mkdir()
    scratch.mkdir()
    (home / ".gitconfig").write_text(GIT_CONFIGURATION, encoding="utf-8")
    return home, scratch


def variables(policy: Policy, home: Path, scratch: Path, tree: Path) -> dict[str, str]:
    """The environment but for PATH. A value that starts in the mounted work tree means the tree."""
    given = {**service_variables(policy.services), **policy.environment}
    return {
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "GIT_CONFIG_NOSYSTEM": "1",
        **ENVIRONMENT,
        **{name: _in_tree(value, tree) for name, value in given.items()},
    }


def provide(policy: Policy, tree: Path) -> None:
    """Copy what is provided into the tree where nothing is yet.

    Raises `UsageError` for a path that crosses a link or leaves the tree, `EnvironmentFailure`
    for a provided directory that is not as the policy says or cannot be copied.
    """
    for provided in policy.provided:
        _copy(provided, tree)


def _in_tree(value: str, tree: Path) -> str:
    inside = value == WORKSPACE or value.startswith(f"{WORKSPACE}/")
    return f"{tree}{value.removeprefix(WORKSPACE)}" if inside else value


def _copy(provided: Provided, tree: Path) -> None:
    path = provided_path(provided)
    source, opened = open_provided(provided), open_tree(tree)
    try:
        check_scratch(provided, source)
        if not _is_there(opened, path):
            parent, _, _ = path.rpartition("/")
            os.close(open_beneath(opened, parent or ".", create=True))
            command = ["cp", "-aT", "--reflink=auto", "--", str(provided.source), str(tree / path)]
            copied = subprocess.run(command, capture_output=True, text=True, check=False)
            if copied.returncode:
                words = copied.stderr.strip()[-500:]
                raise EnvironmentFailure(f"{provided.source} cannot be copied: {words}")
    finally:
        os.close(opened)
        os.close(source)


def _is_there(tree: int, path: str) -> bool:
    try:
        os.close(open_beneath(tree, path))
    except FileNotFoundError:
        return False
    return True
