"""What is prepared around the agent, and what leaves it."""

from typing import ClassVar

from agentflow.frozen import record
from agentflow.records import Json


@record
class SetupStarted:
    """Emitted when the setup command begins, because what it makes is not kept yet."""

    type: ClassVar[str] = "agentflow.setup_started"
    durable: ClassVar[bool] = True
    command: str


@record
class SetupFinished:
    """Emitted when the directories that the setup command makes are there, once for each key."""

    type: ClassVar[str] = "agentflow.setup_finished"
    durable: ClassVar[bool] = True
    seconds: float
    cached: bool
    """Whether they were kept from before, and nothing was run."""
    directories: tuple[str, ...]
    """Relative to the repository's root."""


@record
class ConnectionClosed:
    """Emitted when a connection through the proxy of a sandbox has ended, or was refused."""

    type: ClassVar[str] = "agentflow.connection_closed"
    durable: ClassVar[bool] = True
    place: str
    """Whose sandbox: `agent` or `setup`."""
    host: str
    """As it was asked for; empty where a request named none."""
    port: int
    uploaded: int
    downloaded: int
    """Bytes to the host, and from it."""
    seconds: float
    refused: str = ""
    """Why nothing was carried, or no more."""
    connections: int = 1
    """More where one line tells the sums of several."""


@record
class PackagesChanged:
    """Emitted after `Collected` if the candidate's manifests ask for other packages."""

    type: ClassVar[str] = "agentflow.packages_changed"
    durable: ClassVar[bool] = True
    difference: Json
    """As `dependencies.Difference.as_json` says."""
