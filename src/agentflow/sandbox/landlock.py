"""The Landlock back end, for machines without user namespaces: fewer promises, and it says so.

The kernel grants paths to a process and denies all others; a system call filter takes away every
socket. There is no mount, so everything keeps its path on this machine; no namespace, so other
processes can be seen; and rules only add up, so nothing can be denied within what is allowed.
"""

import contextlib
import json
import os
import sys
import tempfile
from base64 import b64encode
from collections.abc import AsyncGenerator, Iterable, Iterator
from pathlib import Path

from agentflow.errors import EnvironmentFailure
from agentflow.records import Json
from agentflow.sandbox.channel import Channel
from agentflow.sandbox.descriptors import Descriptors
from agentflow.sandbox.host_paths import private_folders, provide, variables
from agentflow.sandbox.leftovers import end_leftovers, record_of
from agentflow.sandbox.mountpoints import open_beneath, open_tree
from agentflow.sandbox.policy import SYSTEM_PATH, Network, Policy, Session
from agentflow.sandbox.program import TOOLBOX, Program, toolbox_command
from agentflow.sandbox.seccomp import assemble
from agentflow.sandbox.traffic import Account
from agentflow.threads import then_stop
from agentflow.toolbox.landlock import LEAST_ABI, SCOPE_ABI, abi

WEAKER: tuple[str, ...] = (
    "the mode and times of your own files can be changed wherever they are; their content cannot",
    "the command lines of other processes can be read, and whether a path exists",
    "what a task denies within what it allows can be written; the import refuses it",
    "there is no network at all, so no hosts, no services and no servers under test",
    "scratch and home folders are on the disk, where only the growth of all files is bounded",
    "installed dependencies are copied into the tree and can be changed there",
)
"""What bubblewrap promises, and Landlock does not."""

UNSCOPED = "your other processes can be killed (Landlock before ABI 6)"

SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/proc"),
    *(
        "/etc/ssl/certs",
        "/etc/ca-certificates",
        "/etc/pki/tls/certs",
        "/etc/pki/ca-trust/extracted",
    ),
    *("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d"),
    *("/etc/localtime", "/etc/mime.types", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf"),
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def weaknesses() -> tuple[str, ...]:
    """What is not promised here, one sentence each, without a full stop."""
    return WEAKER if abi() >= SCOPE_ABI else (*WEAKER, UNSCOPED)


@contextlib.asynccontextmanager
async def open_channel(
    policy: Policy, state: Json | None = None, account: Account | None = None
) -> AsyncGenerator[Channel]:
    """Start a toolbox that the kernel keeps to what the policy names, under the paths of this
    machine.

    What an earlier one left alive in the same tree is killed first. There is no network, so
    `account` is told nothing. Raises `EnvironmentFailure`
    if the kernel has no Landlock of at least ABI 3, or the policy asks for what only mounts and
    namespaces can give; `UsageError` for a boundary that crosses a link.
    """
    check(policy)
    await then_stop(end_leftovers, policy.tree)
    with tempfile.TemporaryDirectory(prefix="agentflow-", ignore_cleanup_errors=True) as folder:
        with Descriptors() as descriptors:
            program, session = await then_stop(prepare, policy, Path(folder), state, descriptors)
            channel = await Channel.start("landlock", program, session)
        try:
            yield channel
        finally:
            await channel.close()


def check(policy: Policy) -> None:
    """Refuse what this back end cannot do. Raises `EnvironmentFailure`."""
    version = abi()
    if version < LEAST_ABI:
        raise EnvironmentFailure(
            f"this kernel offers Landlock with ABI {version}, and at least {LEAST_ABI} is needed",
            hint="use Linux 6.2 or later with Landlock enabled (lsm=landlock,…), or bubblewrap",
        )
    check_network(policy.network)
    if policy.services:
        raise EnvironmentFailure(
            f"the service {policy.services[0].name!r} needs a network of its own, which the "
            "Landlock sandbox does not have",
            hint="take it out of [services], or make bubblewrap work: `agentflow doctor`",
        )


def check_network(network: Network) -> None:
    """Refuse any. Raises `EnvironmentFailure`."""
    asked = f"a list of hosts ({network.setting})" if network.hosts else "this machine's network"
    if network.hosts or network.host:
        raise EnvironmentFailure(
            f"the Landlock sandbox has no network, and {asked} is configured",
            hint="take it out of [environment], or make bubblewrap work: `agentflow doctor`",
        )


def prepare(
    policy: Policy, folder: Path, state: Json | None, descriptors: Descriptors
) -> tuple[Program, Session]:
    """Make the agent's own folders, copy what is provided, open all that is granted, and return
    what to start. Raises `UsageError` and `EnvironmentFailure`."""
    tree = policy.tree.resolve()
    home, scratch = private_folders(folder)
    provide(policy, tree)
    rules = [
        *_granted("write", (home, scratch), descriptors),
        *_granted("read", (Path(each) for each in SYSTEM if Path(each).exists()), descriptors),
        *_granted("device", (Path(each) for each in DEVICES), descriptors),
        *_granted("read", _own(), descriptors),
        *_mounts(policy, descriptors),
        *_tree(policy, tree, descriptors),
    ]
    launch = {
        "parent": os.getpid(),
        "rules": [(int(descriptor), access) for descriptor, access in rules],
        "seccomp": b64encode(assemble(own_namespaces=False)).decode("ascii"),
        "processes": policy.limits.processes,
        "root": str(tree),
        "pointer": f"gitdir: {policy.git_dir}\n" if policy.git_dir else None,
        "record": str(record_of(tree)),
    }
    command = toolbox_command(str(TOOLBOX))
    program = Program(
        argv=(*command, "landlock", descriptors.data(json.dumps(launch).encode("ascii"))),
        environment={
            "PATH": os.pathsep.join((*policy.path, *SYSTEM_PATH)),
            **variables(policy, home, scratch, tree),
        },
        directory=str(tree),
        descriptors=descriptors.passed,
        keeper=True,
    )
    return program, Session(
        root=str(tree),
        completion=str(tree / policy.completion) if policy.completion else None,
        scratch=str(scratch),
        limits=policy.limits,
        state=state,
        disks=(str(tree), str(scratch)),
    )


_Rules = Iterator[tuple[str, str]]
"""The number of a descriptor, and a name in `toolbox.landlock.ACCESS`."""


def _granted(access: str, paths: Iterable[Path], descriptors: Descriptors) -> _Rules:
    for path in paths:
        try:
            yield descriptors.give(os.open(path, os.O_PATH | os.O_CLOEXEC)), access
        except OSError as error:
            raise EnvironmentFailure(
                f"{path}, which the sandbox should show, cannot be opened: {error.strerror}"
            ) from error


def _own() -> Iterator[Path]:
    """The toolbox, and the interpreter that runs it."""
    yield TOOLBOX
    prefix = Path(sys.base_prefix).resolve()
    if not prefix.is_relative_to("/usr"):
        yield prefix


def _mounts(policy: Policy, descriptors: Descriptors) -> _Rules:
    masked = [Path(path) for path in policy.masked]
    for mount in policy.mounts:
        if str(mount.source) != mount.target:
            raise EnvironmentFailure(
                f"the Landlock sandbox cannot show {mount.source} at {mount.target}"
            )
        hidden = [path for path in masked if path.is_relative_to(mount.source)]
        if mount.writable and hidden:
            raise EnvironmentFailure(f"the Landlock sandbox cannot hide {hidden[0]}")
        if mount.writable:
            yield from _granted("write", (mount.source,), descriptors)
        else:
            yield from _sparing(mount.source, hidden, descriptors)


def _sparing(path: Path, hidden: list[Path], descriptors: Descriptors) -> _Rules:
    """Grant a path but for hidden files in it: all that lies beside them, one by one."""
    if not hidden:
        yield from _granted("read", (path,), descriptors)
    elif path not in hidden:
        yield from _granted("list", (path,), descriptors)
        for entry in sorted(path.iterdir()):
            within = [each for each in hidden if each.is_relative_to(entry)]
            if within or not entry.is_symlink():
                yield from _sparing(entry, within, descriptors)


def _tree(policy: Policy, tree: Path, descriptors: Descriptors) -> _Rules:
    opened = descriptors.hold(open_tree(tree))
    yield descriptors.give(os.dup(opened)), "read"
    scratch = (f"{each.path}/{name}" for each in policy.provided for name in each.scratch)
    made = [policy.completion] if policy.completion else []
    for path in (*policy.writable, *made, *scratch):
        yield descriptors.give(open_beneath(opened, path, create=True)), "write"
