"""A journal that grows, read once: each look takes in only the lines that came since the last."""

from datetime import UTC, datetime
from pathlib import Path

from agentflow.errors import AgentflowError
from agentflow.events import RunStarted
from agentflow.history import decoded
from agentflow.journal import MAX_LINE, open_regular
from agentflow.progress import Progress, progressed
from agentflow.records import Json
from agentflow.report import Summary
from agentflow.strict_json import parse_object

MAX_BYTES = 64 << 20
"""That are taken in at one look."""
MADE_UP = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What comes of events that no run of ours has written: a repository may bring a journal."""


class Follower:
    """What one journal says so far. A journal that is damaged stays where it was."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begin((0, 0))

    def _begin(self, file: tuple[int, int]) -> None:
        self._file = file
        self._place = 0
        self._damaged = False
        self._summary = _summary(datetime.fromtimestamp(0, UTC))
        self.started: RunStarted | None = None
        self.progress = Progress()

    def look(self) -> None:
        """Take in the lines that are new. A file that is another one, or shorter, is read anew."""
        try:
            found = self._path.lstat()
            file = (found.st_dev, found.st_ino)
            if file != self._file or found.st_size < self._place:
                self._begin(file)
            if found.st_size > self._place and not self._damaged:
                self._take(self._new_lines())
        except (AgentflowError, OSError, RecursionError, *MADE_UP):
            self._damaged = True

    def spent(self) -> Json:
        """The report of a run that stopped here, as far as it tells what was spent, and on what."""
        try:
            return self._summary.as_json() if self.started else {}
        except MADE_UP:
            return {}

    def _new_lines(self) -> list[Json]:
        lines, left = list[Json](), MAX_BYTES
        with open_regular(self._path) as file:
            file.seek(self._place)
            while left > 0 and (raw := file.readline(MAX_LINE)).endswith(b"\n"):
                lines.append(parse_object(raw))
                left -= len(raw)
                self._place += len(raw)
        return lines

    def _take(self, lines: list[Json]) -> None:
        for line in decoded(lines):
            if isinstance(line.event, RunStarted):
                self.started, self._summary = line.event, _summary(line.at)
            self._summary(line.event)
            self.progress = progressed(self.progress, line.event, line.at.timestamp())


def _summary(at: datetime) -> Summary:
    return Summary(lambda: at)
