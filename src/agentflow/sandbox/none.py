"""The back end without a sandbox: the toolbox as a plain process. Only the user can ask for it."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

from agentflow.errors import EnvironmentFailure
from agentflow.records import Json
from agentflow.sandbox.channel import TOOLBOX, Channel, Program, toolbox_command
from agentflow.sandbox.mountpoints import open_beneath, open_tree
from agentflow.sandbox.policy import ENVIRONMENT, GIT_CONFIGURATION, Policy, Provided, Session
from agentflow.sandbox.services import service_variables
from agentflow.sandbox.tree import check_scratch, open_provided, provided_path
from agentflow.threads import to_the_end


@contextlib.asynccontextmanager
async def open_channel(policy: Policy, state: Json | None = None) -> AsyncGenerator[Channel]:
    """Start a toolbox that sees this machine as it is, with an environment of its own.

    Its root is the work tree's real path. Of the policy only the tree, the completion
    directory, the environment, the path, the limits, the services and what is provided matter:
    nothing is mounted, so whoever makes the tree writes real paths into its `.git` file, and what
    is provided is copied. Services share the ports of this machine.
    """
    with tempfile.TemporaryDirectory(prefix="agentflow-", ignore_cleanup_errors=True) as folder:
        program, session = await to_the_end(prepare, policy, Path(folder), state)
        channel = await Channel.start("none", program, session)
        try:
            yield channel
        finally:
            await channel.close()


def prepare(policy: Policy, folder: Path, state: Json | None) -> tuple[Program, Session]:
    """Make a home and a scratch folder in `folder`, copy what is provided into the tree where
    nothing is yet, and return what to start.

    Raises `UsageError` for a path that crosses a link or leaves the tree, `EnvironmentFailure`
    for a provided directory that is not as the policy says or cannot be copied.
    """
    tree = policy.tree.resolve()
    home, scratch = folder / "home", folder / "scratch"
    home.mkdir()
    scratch.mkdir()
    (home / ".gitconfig").write_text(GIT_CONFIGURATION, encoding="utf-8")
    completion = tree / policy.completion if policy.completion else None
    if completion:
        completion.mkdir(parents=True, exist_ok=True)
    for provided in policy.provided:
        _copy(provided, tree)
    program = Program(
        argv=toolbox_command(str(TOOLBOX)),
        environment={
            "PATH": os.pathsep.join((*policy.path, os.environ.get("PATH", os.defpath))),
            "HOME": str(home),
            "TMPDIR": str(scratch),
            "GIT_CONFIG_NOSYSTEM": "1",
            **ENVIRONMENT,
            **service_variables(policy.services),
            **policy.environment,
        },
        directory=str(tree),
    )
    return program, Session(
        root=str(tree),
        completion=str(completion) if completion else None,
        scratch=str(scratch),
        limits=policy.limits,
        disks=(str(tree), str(folder)),
        state=state,
    )


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
