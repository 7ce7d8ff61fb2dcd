"""What each address shows: the source's records as pages."""

from collections.abc import Mapping
from datetime import timedelta

from markupsafe import Markup

from agentflow.details.board import AtWork, Board
from agentflow.details.records import Details
from agentflow.errors import UsageError
from agentflow.pages.dashboard import (
    Filter,
    Page,
    costs,
    overview,
    parts_of,
    run_list,
    run_page,
    task_list,
)
from agentflow.web.interfaces import Source

PAGE = 50
"""Runs on a page."""
PERIODS = (7, 30, 90)
"""Days of costs."""
RENDERED = 4
"""Runs whose parts are kept as HTML."""


class Views:
    """The pages of a source. Called in threads."""

    def __init__(self, source: Source, form_token: str) -> None:
        self._source = source
        self._form_token = form_token
        self._parts: dict[str, tuple[Details, Markup]] = {}

    def overview(self, query: Mapping[str, str]) -> Page:
        """The first page."""
        return overview(self._source.board(), self._source.plan(), self._form_token)

    def runs(self, query: Mapping[str, str]) -> Page:
        """All runs, a page at a time."""
        text, outcome = query.get("text", "")[:200], query.get("outcome", "")
        rows = [
            row
            for row in reversed(self._source.board().rows)
            if (not outcome or row.outcome == outcome)
            and text.lower() in f"{row.task} {row.title}".lower()
        ]
        pages = max(1, -(-len(rows) // PAGE))
        number = min(_number(query.get("page", ""), 1), pages)
        shown = rows[(number - 1) * PAGE : number * PAGE]
        return run_list(shown, Filter(text, outcome, number), pages, len(rows))

    def run(self, query: Mapping[str, str]) -> Page:
        """One run. Raises `UsageError` if there is none."""
        name = query.get("run", "")
        board = self._source.board()
        row = next((row for row in board.rows if row.run == name), None)
        details = self._source.details(name) if row else None
        if row is None or details is None:
            raise UsageError(f"there is no run {name!r} here")
        newest = next(each for each in reversed(board.rows) if each.task == row.task)
        at_work = next((each for each in board.at_work if each.row.run == name), None)
        return run_page(
            row, details, self._rendered(name, details), at_work, _beside(board, at_work),
            self._form_token, is_newest=newest.run == name,
            is_settled=row.task in board.settled,
        )  # fmt: skip

    def _rendered(self, name: str, details: Details) -> Markup:
        kept = self._parts.get(name)
        if kept is None or kept[0] is not details:
            while len(self._parts) >= RENDERED:
                self._parts.pop(next(iter(self._parts)), None)
            kept = self._parts[name] = details, parts_of(details)
        return kept[1]

    def tasks(self, query: Mapping[str, str]) -> Page:
        """The plan."""
        return task_list(self._source.plan())

    def costs(self, query: Mapping[str, str]) -> Page:
        """What was spent in the last days."""
        days = _number(query.get("days", ""), 30)
        days = days if days in PERIODS else 30
        board = self._source.board()
        first = board.at.date() - timedelta(days=days - 1)
        rows = [row for row in board.rows if row.began and row.began.date() >= first]
        return costs(board, rows, first, days)


def _beside(board: Board, at_work: AtWork | None) -> list[str]:
    """Tasks that the process of a run works on too."""
    if at_work is None or at_work.process is None:
        return []
    return [
        each.row.task
        for each in board.at_work
        if each.process == at_work.process and each.row.task != at_work.row.task
    ]


def _number(text: str, otherwise: int) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else otherwise
    return max(1, number)
