"""The back end without a sandbox: the toolbox as a plain process. Only the user can ask for it."""

import contextlib
import os
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

from agentflow.records import Json
from agentflow.sandbox.channel import Channel
from agentflow.sandbox.host_paths import private_folders, provide, variables
from agentflow.sandbox.leftovers import end_leftovers, record_of
from agentflow.sandbox.policy import Policy, Session
from agentflow.sandbox.program import TOOLBOX, Program, toolbox_command
from agentflow.sandbox.traffic import Account
from agentflow.threads import then_stop


@contextlib.asynccontextmanager
async def open_channel(
    policy: Policy, state: Json | None = None, account: Account | None = None
) -> AsyncGenerator[Channel]:
    """Start a toolbox that sees this machine as it is, with an environment of its own.

    Its root is the work tree's real path. Of the policy only the tree, the completion
    directory, the environment, the path, the limits, the services and what is provided matter:
    nothing is mounted, so whoever makes the tree writes real paths into its `.git` file, and what
    is provided is copied. What an earlier toolbox left alive on
    the tree is killed first. Services share the ports of this machine. There is no proxy, so `account`
    is told nothing.
    """
    await then_stop(end_leftovers, policy.tree)
    with tempfile.TemporaryDirectory(prefix="agentflow-", ignore_cleanup_errors=True) as folder:
        program, session = await then_stop(prepare, policy, Path(folder), state)
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
    home, scratch = private_folders(folder)
    completion = tree / policy.completion if policy.completion else None
    if completion:
        completion.mkdir(parents=True, exist_ok=True)
    provide(policy, tree)
    program = Program(
        argv=toolbox_command(str(TOOLBOX)),
        environment={
            "PATH": os.pathsep.join((*policy.path, os.environ.get("PATH", os.defpath))),
            **variables(policy, home, scratch, tree),
        },
        directory=str(tree),
    )
    return program, Session(
        root=str(tree),
        completion=str(completion) if completion else None,
        scratch=str(scratch),
        limits=policy.limits,
        disks=(str(tree), str(folder)),
        record=str(record_of(tree)),
        state=state,
    )
