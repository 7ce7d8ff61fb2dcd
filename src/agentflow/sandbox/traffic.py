"""What goes through the proxies of one run: each connection is told, and uploads are bounded."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from agentflow.events import ConnectionClosed, Notice
from agentflow.interfaces import Emit
from agentflow.records import UPLOAD

LISTED = 1000
"""Connections of one sandbox that are told one by one, and as many refused ones; of the others
one line tells the sums."""
OTHERS = "(others)"
"""Stands for the hosts in that line."""


class CutOff(Exception):
    """A connection that may not go on, with the reason."""


@dataclass(slots=True)
class Flow:
    """One connection, as far as it has gone."""

    spend: Callable[[int], None]
    host: str = ""
    """Empty until a request has named one."""
    port: int = 0
    uploaded: int = 0
    downloaded: int = 0
    refused: str = ""
    """Why it was refused or cut off."""

    def send(self, size: int) -> None:
        """Count bytes before they go to the host. Raises `CutOff`."""
        self.spend(size)
        self.uploaded += size

    def receive(self, size: int) -> None:
        """Count bytes that came from the host."""
        self.downloaded += size


class Traffic:
    """One run's connections, of all its sandboxes. `emit` may be set until the first is made."""

    def __init__(
        self,
        upload: int = UPLOAD,
        uploaded: int = 0,
        emit: Emit = lambda event: None,
        listed: int = LISTED,
    ) -> None:
        """`upload` bytes may go out in all, of which `uploaded` have gone before; `listed` is how
        many connections of a sandbox are told one by one."""
        self.upload = upload
        self.listed = listed
        self.left = max(0, upload - uploaded)
        self.emit = emit
        self._told = False

    def account(self, place: str) -> "Account":
        """The connections of one sandbox; `place` says what it is for."""
        return Account(self, place)

    def spend(self, size: int) -> None:
        """Take bytes from what may still be uploaded; if there are too few, none are left.

        Raises `CutOff`.
        """
        if size <= self.left:
            self.left -= size
            return
        self.left = 0
        if not self._told:
            self._told = True
            self.emit(
                Notice(
                    f"{self.used_up}: nothing more is sent. `upload` under [sandbox] of your own "
                    "configuration raises it."
                )
            )
        raise CutOff(self.used_up)

    @property
    def used_up(self) -> str:
        """The sentence for it."""
        return f"this run's upload quota of {self.upload:,} bytes is used up"


class Account:
    """The connections of one sandbox."""

    def __init__(self, traffic: Traffic, place: str) -> None:
        self.traffic = traffic
        self._place = place
        self._count = {True: 0, False: 0}
        self._others: dict[bool, ConnectionClosed] = {}

    def flow(self) -> Flow:
        """One more connection."""
        return Flow(self.traffic.spend)

    def close(self, flow: Flow, seconds: float) -> None:
        """Tell a connection that has ended, if it named a host or was refused."""
        if not flow.host and not flow.refused:
            return
        refused = bool(flow.refused)
        closed = ConnectionClosed(
            self._place, flow.host, flow.port, flow.uploaded, flow.downloaded, seconds, flow.refused
        )
        self._count[refused] += 1
        if self._count[refused] <= self.traffic.listed:
            self.traffic.emit(closed)
        else:
            self._others[refused] = _sum(self._others.get(refused), closed)

    def settle(self) -> None:
        """Tell the sums of what was not told one by one; when all connections have ended."""
        for others in self._others.values():
            self.traffic.emit(others)
        self._others.clear()


def _sum(sums: ConnectionClosed | None, one: ConnectionClosed) -> ConnectionClosed:
    if sums is None:
        several = "refused or cut off for several reasons" if one.refused else ""
        return replace(one, host=OTHERS, port=0, refused=several)
    return replace(
        sums,
        uploaded=sums.uploaded + one.uploaded,
        downloaded=sums.downloaded + one.downloaded,
        seconds=round(sums.seconds + one.seconds, 3),
        connections=sums.connections + 1,
    )
