"""The bubblewrap back end: turns a policy into mounts and namespaces, and the toolbox into PID 1."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.records import WORKSPACE, Json
from agentflow.sandbox.channel import Channel
from agentflow.sandbox.descriptors import Descriptors
from agentflow.sandbox.hosts import parse_rules, proxy_environment
from agentflow.sandbox.policy import (
    ENVIRONMENT,
    GIT_CONFIGURATION,
    HOME,
    SCRATCH,
    SYSTEM_PATH,
    TOOLBOX_DIRECTORY,
    Mount,
    Policy,
    Session,
)
from agentflow.sandbox.program import TOOLBOX, Program, toolbox_command
from agentflow.sandbox.scope import Scope, find_scope
from agentflow.sandbox.seccomp import assemble
from agentflow.sandbox.services import service_variables
from agentflow.sandbox.traffic import Account, Traffic
from agentflow.sandbox.tree import TreeMounts, refuse_sockets
from agentflow.threads import once

NAMESPACES = (
    *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"),
    *("--unshare-cgroup-try", "--disable-userns", "--assert-userns-disabled", "--as-pid-1"),
    *("--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"),
    *("--uid", "1000", "--gid", "1000", "--hostname", "sandbox"),
)
"""PID 1 must be the toolbox: bubblewrap's own reaper would show the host's environment in /proc."""

MERGED_DIRECTORIES = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Links into /usr on current systems, directories on older ones."""

SYSTEM_FILES = (
    "/etc/ssl/certs",
    "/etc/ca-certificates",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
)

SYNTHETIC_FILES = {
    "/etc/passwd": (
        f"agent:x:1000:1000::{HOME}:/bin/bash\nnobody:x:65534:65534::/:/usr/sbin/nologin\n"
    ),
    "/etc/group": "agent:x:1000:\nnogroup:x:65534:\n",
    "/etc/hosts": "127.0.0.1 localhost sandbox\n::1 localhost sandbox\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "/etc/gitconfig": GIT_CONFIGURATION,
}

RESOLVER = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf")
"""How this machine finds hosts: shown only with its network."""

SHARED_MEMORY_SIZE = 256 * 1024**2
"""Bytes, in memory."""


@contextlib.asynccontextmanager
async def open_channel(
    policy: Policy,
    state: Json | None = None,
    account: Account | None = None,
    search: str | None = None,
    scope: Callable[[], Scope | None] = find_scope,
) -> AsyncGenerator[Channel]:
    """Start a toolbox as the first process of its own namespaces.

    `account` is told what goes through the proxy; `search` is the PATH on which bubblewrap is looked for, this process's own if None; `scope`
    finds the control group around it. Raises
    `EnvironmentFailure` if bubblewrap is missing or refused, `UsageError` for a boundary that
    crosses a link and for a list of hosts that cannot be read.
    """
    executable = find(search)
    network = policy.network
    rules = parse_rules(network.hosts, network.setting)
    proxied = bool(rules) and not network.host
    async with contextlib.AsyncExitStack() as stack:
        ours, theirs = socket.socketpair()
        stack.callback(ours.close)
        with Descriptors() as descriptors, theirs:
            handed = int(descriptors.give(os.dup(theirs.fileno()))) if proxied else None
            session = Session(
                root=WORKSPACE,
                completion=f"{WORKSPACE}/{policy.completion}" if policy.completion else None,
                scratch=SCRATCH,
                limits=policy.limits,
                disks=_disks(policy),
                state=state,
                listener=handed,
            )
            command = toolbox_command(TOOLBOX_DIRECTORY)
            program = _scoped(prepare(executable, policy, command, descriptors), policy, scope())
            try:
                channel = await Channel.start("bubblewrap", program, session)
            except EnvironmentFailure as failure:
                raise EnvironmentFailure(failure.message, hint=advice(failure.message)) from failure
        stack.push_async_callback(channel.close)
        if proxied:
            from agentflow.sandbox.proxy import serve

            account = account or Traffic().account("sandbox")
            proxy = serve(await _received(ours, channel), rules, account, setting=network.setting)
            await stack.enter_async_context(proxy)
        yield channel


async def _received(control: socket.socket, channel: Channel) -> socket.socket:
    """Take over the listener that the toolbox opened in its network before it was ready.

    Nothing but this one message ever comes from inside: the toolbox then closes its end.
    """
    _, passed, _, _ = socket.recv_fds(control, 1, 1, socket.MSG_DONTWAIT)
    if not passed:
        raise EnvironmentFailure(f"the toolbox of {channel.name} handed on no listener")
    return socket.socket(fileno=passed[0])


def prepare(
    executable: str, policy: Policy, command: Sequence[str], descriptors: Descriptors
) -> Program:
    """Open everything that the policy names and return the command line that mounts it."""
    reading, writing = os.pipe()
    descriptors.hold(reading)
    tree = TreeMounts(policy, descriptors, by_descriptor=_has_bind_fd(executable))
    options = [
        *NAMESPACES,
        *_network(policy),
        *_system(policy, descriptors),
        *_private(policy),
        *_mounts(policy),
        *_masks(policy, descriptors),
        *tree.options(),
        *("--remount-ro", "/", "--chdir", WORKSPACE),
        *_environment(policy),
        *("--info-fd", descriptors.give(writing)),
        *("--seccomp", descriptors.data(assemble(unix_sockets=not policy.network.host))),
    ]
    arguments = descriptors.data(b"".join(os.fsencode(option) + b"\0" for option in options))
    return Program(
        argv=(executable, "--args", arguments, "--", *command),
        environment={"PATH": "/usr/bin:/bin"},
        directory="/",
        descriptors=descriptors.passed,
        information=reading,
    )


def _scoped(program: Program, policy: Policy, scope: Scope | None) -> Program:
    """The program in a control group of its own, where there can be one."""
    if scope is None:
        return program
    return replace(
        program,
        argv=(*scope.prefix(policy, SHARED_MEMORY_SIZE), *program.argv),
        environment={**program.environment, **scope.environment},
    )


def find(search: str | None = None) -> str:
    """Return bubblewrap's path, the system's own first: AppArmor profiles name that one.

    Raises `EnvironmentFailure` if there is none.
    """
    own = os.environ.get("PATH", "") if search is None else search
    system = [] if search is not None else ["/usr/bin", "/bin"]
    absolute = [entry for entry in own.split(os.pathsep) if entry.startswith("/")]
    found = shutil.which("bwrap", path=os.pathsep.join([*system, *absolute]))
    if found is None:
        raise EnvironmentFailure(
            "bubblewrap (bwrap) is not installed, and agents run only in a sandbox",
            hint="apt-get install bubblewrap",
        )
    return found


def version() -> str:
    """Return what bubblewrap calls itself (`0.8.0`); empty if there is none."""
    try:
        shown = subprocess.run([find(), "--version"], capture_output=True, check=False, env={})
    except EnvironmentFailure:
        return ""
    return shown.stdout.decode("ascii", "replace").removeprefix("bubblewrap ").strip()


def advice(message: str, kernel: Path = Path("/proc/sys")) -> str:
    """Return the one line that mends a failed start, as far as the message and the kernel's
    settings (a folder) tell."""
    if "Unknown option" in message:
        return "install bubblewrap 0.8 or later"
    if not any(word in message for word in ("namespace", "uid map", "RTM_", "not permitted")):
        return ""
    for name, forbidding, remedy in (
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
        ("kernel/unprivileged_userns_clone", "0", "1"),
        ("user/max_user_namespaces", "0", "15000"),
    ):
        setting = kernel / name
        if setting.exists() and setting.read_text(encoding="ascii").strip() == forbidding:
            return f"sysctl -w {name.replace('/', '.')}={remedy}"
    return (
        "allow user namespaces; in a container: docker run --security-opt seccomp=unconfined "
        "--security-opt apparmor=unconfined --security-opt systempaths=unconfined"
    )


@once
def _has_bind_fd(executable: str) -> bool:
    """Tell whether mounts can be named by descriptor (0.10, and security updates before it)."""
    shown = subprocess.run([executable, "--help"], capture_output=True, check=False, env={})
    return b"--ro-bind-fd" in shown.stdout + shown.stderr


def _network(policy: Policy) -> tuple[str, ...]:
    if not policy.network.host:
        return ("--unshare-net",)
    return tuple(word for name in RESOLVER for word in ("--ro-bind-try", name, name))


def _system(policy: Policy, descriptors: Descriptors) -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for name in MERGED_DIRECTORIES:
        path = Path(name)
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), name)
        elif path.is_dir():
            yield from ("--ro-bind", name, name)
    for name in SYSTEM_FILES:
        yield from ("--ro-bind-try", name, name)
    for name, content in SYNTHETIC_FILES.items():
        if policy.network.host and Path(name).exists() and name in RESOLVER:
            continue
        yield from ("--perms", "0644", "--ro-bind-data", descriptors.data(content.encode()), name)


def _private(policy: Policy) -> Iterator[str]:
    """The kernel's file systems and those in memory, all sized: unsized ones hold half of it."""
    # bubblewrap leaves /proc/sys writable for root, who could set core_pattern on the host.
    yield from ("--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev")
    yield from ("--perms", "1777", "--size", str(SHARED_MEMORY_SIZE), "--tmpfs", "/dev/shm")  # noqa: S108
    yield from ("--remount-ro", "/dev")
    yield from ("--perms", "1777", "--size", str(policy.scratch_size), "--tmpfs", SCRATCH)
    yield from ("--perms", "0700", "--size", str(policy.home_size), "--tmpfs", HOME)


def _mounts(policy: Policy) -> Iterator[str]:
    own = [Mount(TOOLBOX, TOOLBOX_DIRECTORY)]
    prefix = Path(sys.base_prefix).resolve()
    if not prefix.is_relative_to("/usr"):
        own.append(Mount(prefix, str(prefix)))
    for mount in (*own, *policy.mounts):
        target = os.path.normpath(Path("/", mount.target))
        if mount.target != target or Path(target).is_relative_to(WORKSPACE):
            raise UsageError(
                f"nothing can be mounted at {mount.target!r}: it is not absolute, or in the tree"
            )
        if not mount.source.exists():
            raise EnvironmentFailure(f"{mount.source}, which the sandbox should show, is missing")
        # What is writable is the agent's own: a socket in it was left by a process that is dead.
        refuse_sockets(mount.source, contents=not mount.writable)
        option = "--bind" if mount.writable else "--ro-bind"
        yield from (option, str(mount.source), mount.target)


def _disks(policy: Policy) -> tuple[str, ...]:
    """Where files of this machine can grow, by their paths inside."""
    written = (mount.target for mount in policy.mounts if mount.writable)
    return (*([WORKSPACE] if policy.writable else []), *written)


def _masks(policy: Policy, descriptors: Descriptors) -> Iterator[str]:
    for path in policy.masked:
        yield from ("--perms", "0644", "--ro-bind-data", descriptors.data(b""), path)


def _environment(policy: Policy) -> Iterator[str]:
    variables = {
        "PATH": os.pathsep.join((*policy.path, *SYSTEM_PATH)),
        "HOME": HOME,
        **ENVIRONMENT,
        **proxy_environment(policy.network),
        **service_variables(policy.services),
        **policy.environment,
    }
    for name, value in variables.items():
        yield from ("--setenv", name, value)
