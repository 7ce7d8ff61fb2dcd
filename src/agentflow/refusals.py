"""What is wrong with several things, told at once: whoever corrects one of them need not ask again for
the next."""

from collections.abc import Generator
from contextlib import contextmanager

from agentflow.errors import UsageError, UsageErrors


class Refusals:
    """Keeps what is wrong with one thing, until all were looked at."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], UsageError] = {}

    @contextmanager
    def kept(self) -> Generator[None]:
        """Keep the `UsageError` that the block raises; what is wrong with all of them, but once."""
        try:
            yield
        except UsageError as error:
            self._found.setdefault((error.message, error.hint), error)

    def check(self) -> None:
        """Raise what was kept, if anything: `UsageErrors` for several."""
        found = tuple(self._found.values())
        if len(found) == 1:
            raise found[0]
        if found:
            raise UsageErrors(f"{len(found)} things are wrong, so no task is begun", found)
