"""The back end without a sandbox: the toolbox as a plain process. Only the user can ask for it."""

import contextlib
import os
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

from agentflow.records import Json
from agentflow.sandbox.channel import TOOLBOX, Channel, Program, toolbox_command
from agentflow.sandbox.policy import ENVIRONMENT, GIT_CONFIGURATION, Policy, Session


@contextlib.asynccontextmanager
async def open_channel(policy: Policy, state: Json | None = None) -> AsyncGenerator[Channel]:
    """Start a toolbox that sees this machine as it is, with an environment of its own.

    Its root is the work tree's real path. Of the policy only the tree, the completion
    directory, the environment, the path and the limits matter: nothing is mounted, so whoever
    makes the tree writes real paths into its `.git` file.
    """
    with tempfile.TemporaryDirectory(prefix="agentflow-", ignore_cleanup_errors=True) as folder:
        program, session = prepare(policy, Path(folder), state)
        channel = await Channel.start("none", program, session)
        try:
            yield channel
        finally:
            await channel.close()


def prepare(policy: Policy, folder: Path, state: Json | None) -> tuple[Program, Session]:
    """Make a home and a scratch folder in `folder`, and return what to start."""
    tree = policy.tree.resolve()
    home, scratch = folder / "home", folder / "scratch"
    home.mkdir()
    scratch.mkdir()
    (home / ".gitconfig").write_text(GIT_CONFIGURATION, encoding="utf-8")
    completion = tree / policy.completion if policy.completion else None
    if completion:
        completion.mkdir(parents=True, exist_ok=True)
    program = Program(
        argv=toolbox_command(str(TOOLBOX)),
        environment={
            "PATH": os.pathsep.join((*policy.path, os.environ.get("PATH", os.defpath))),
            "HOME": str(home),
            "TMPDIR": str(scratch),
            "GIT_CONFIG_NOSYSTEM": "1",
            **ENVIRONMENT,
            **policy.environment,
        },
        directory=str(tree),
    )
    return program, Session(
        root=str(tree),
        completion=str(completion) if completion else None,
        scratch=str(scratch),
        limits=policy.limits,
        state=state,
    )
