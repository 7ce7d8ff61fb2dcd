"""What the dashboard needs of whoever knows the runs, and of whoever may change them.

That is the repository (`local`, `actions`), and with a database that several machines share the runs
that were submitted to workers as well (`shared`).
"""

from collections.abc import Mapping
from typing import Protocol

from agentflow.details.board import Board, Plan
from agentflow.details.records import Details


class Source(Protocol):
    """Knows the runs. Called in threads, also several at once; quick when nothing has changed."""

    @property
    def name(self) -> str:
        """Of what is shown, in a few words."""
        ...

    def board(self) -> Board:
        """All runs, and what is at work."""
        ...

    def forget(self) -> None:
        """What was seen before counts no more: somebody has changed something."""
        ...

    def plan(self) -> Plan:
        """The tasks in the order in which they would be run."""
        ...

    def details(self, run: str) -> Details | None:
        """All that can be shown of a run; None if there is none of this name.

        Raises `AgentflowError` if it cannot be read.
        """
        ...


class Actions(Protocol):
    """Changes runs. Each returns the run that it is about, or raises `AgentflowError`."""

    async def cancel(self, run: str, form: Mapping[str, str]) -> str:
        """Interrupt it as Ctrl-C does."""
        ...

    async def resume(self, run: str, form: Mapping[str, str]) -> str:
        """Let it go on."""
        ...

    async def retry(self, run: str, form: Mapping[str, str]) -> str:
        """Begin its task anew."""
        ...

    async def answer(self, run: str, form: Mapping[str, str]) -> str:
        """Give it the `text` of a person."""
        ...
