"""What a sandbox shows and allows: frozen records, no I/O."""

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from agentflow.environment import Service
from agentflow.frozen import record
from agentflow.records import Json, ProcessLimits

GIT_DIRECTORY = "/run/agentflow/git"
"""Where the agent's private git directory is mounted; `.git` in the tree points here."""

TOOLBOX_DIRECTORY = "/run/agentflow/toolbox"
"""Where the toolbox's program is mounted."""

HOME = "/home/agent"
"""The agent's home folder: empty, in memory, gone with the sandbox."""

SCRATCH = "/tmp"  # noqa: S108  a private tmpfs inside the sandbox, not the host's folder
"""Where the agent may leave what nobody keeps."""

SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
"""The end of every PATH inside."""

ENVIRONMENT: Mapping[str, str] = {
    "USER": "agent",
    "LOGNAME": "agent",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "CI": "1",
    "SHELL": "/bin/bash",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_AUTHOR_NAME": "agent",
    "GIT_AUTHOR_EMAIL": "agent@sandbox.invalid",
    "GIT_COMMITTER_NAME": "agent",
    "GIT_COMMITTER_EMAIL": "agent@sandbox.invalid",
    "PYTHONDONTWRITEBYTECODE": "1",
}
"""The whole environment inside, but for PATH, HOME and what the policy adds."""

GIT_CONFIGURATION = (
    "[safe]\n\tdirectory = *\n[core]\n\tpager = cat\n[gc]\n\tauto = 0\n"
    "[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n"
)
"""Git's system-wide configuration inside. The tree belongs to the agent there, whoever owns it."""


@record
class Mount:
    """One file or directory of the host, shown inside."""

    source: Path
    target: str
    """Absolute, and never beneath the work tree."""
    writable: bool = False


@record
class Provided:
    """A directory that git does not hold, shown in the work tree, read-only.

    Without a sandbox it is copied into the tree where nothing is yet, and can be written to.
    """

    source: Path
    path: str
    """In the tree; created if absent."""
    scratch: tuple[str, ...] = ()
    """Directories beneath `source`, relative to it, that are empty, private and in memory inside.
    Each holds at most `Policy.scratch_size`."""


@record
class Network:
    """What can be reached besides the sandbox's own loopback. Without a sandbox: everything."""

    hosts: tuple[str, ...] = ()
    """As `environment.Setup.network`; reached through a proxy of ours, the only way out."""
    host: bool = False
    """Everything that this machine reaches; stronger than `hosts`.

    That includes what listens on its loopback for its own users only (databases, debuggers, a
    cloud's metadata service) and, as abstract Unix sockets belong to a network namespace, those
    of its desktop, buses and container engines. The latter are kept out: no process inside can
    make a Unix socket then (`socketpair` works), so process pools and daemons that need one do
    not work either.
    """
    setting: str = "environment.network"
    """The setting that lists the hosts: what is refused names it."""


@record
class Policy:
    """Everything that a sandbox shows and allows. What is not named here is not there."""

    tree: Path
    """The work tree on the host, mounted at `records.WORKSPACE` by back ends that can mount."""
    git_dir: Path | None = None
    """The tree's git directory on the host, for back ends that cannot mount: the tree's `.git`
    names it as long as they are open."""
    writable: tuple[str, ...] = (".",)
    """Directories of the tree that may be changed, created if absent; "." is the whole tree."""
    protected: tuple[str, ...] = ()
    """Files and directories of the tree that stay read-only whatever is writable.

    `.git` always is. What does not exist or lies behind a link cannot be protected by a mount and
    is skipped: the import check refuses a change of it.
    """
    completion: str | None = ".orchestrator/complete"
    """A directory of the tree that is private and in memory inside: the agent's claims."""
    mounts: tuple[Mount, ...] = ()
    masked: tuple[str, ...] = ()
    """Files inside that are read as empty."""
    provided: tuple[Provided, ...] = ()
    network: Network = Network()
    services: tuple[Service, ...] = ()
    """Started before anything else, in this order, each when the one before is ready. They live
    as long as the sandbox; their variables are everybody's inside."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Added to `ENVIRONMENT`, and stronger."""
    path: tuple[str, ...] = ()
    """Searched for programs before the system's directories."""
    limits: ProcessLimits = field(default_factory=ProcessLimits)
    scratch_size: int = 1024**3
    """Bytes of the scratch folder, which is in memory."""
    home_size: int = 512 * 1024**2
    """Bytes of the home folder, which is in memory."""


@record
class Session:
    """What the toolbox is told when it starts: paths as it sees them."""

    root: str
    completion: str | None
    scratch: str
    limits: ProcessLimits
    state: Json | None = None
    """What an earlier toolbox answered to `State`, if this one continues it."""
    listener: int | None = None
    """The number of an inherited socket: on it the toolbox sends a listener on its loopback, at
    the port `toolbox.listener.PORT`, before it is ready."""
    disks: tuple[str, ...] = ()
    """Writable directories that are not in memory."""
    record: str | None = None
    """Where the toolbox writes down what must be killed if it and agentflow are dead."""
