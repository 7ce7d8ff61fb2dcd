"""The page of costs: its amounts and bars are those of the reports, added up by hand here."""

import re
from datetime import UTC, datetime

from agentflow.details.board import Board
from agentflow.pages.dashboard import Page
from agentflow.records import Json
from agentflow.spending import by_day, by_prompt
from agentflow.web.shelf import as_row
from agentflow.web.views import Views

AT = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)


def told(task: str, day: int, prompt: str, model: str, cost: float | None, turns: int) -> Json:
    """What a run's report says of its spending."""
    usage = {"input_tokens": 1000, "output_tokens": 200, "cache_read_input_tokens": 3000}
    return {
        "task": task,
        "run": f"{task}-202611{day:02}T101500-0000",
        "outcome": "done",
        "num_turns": turns,
        "total_cost_usd": cost,
        "usage": usage,
        "prompt": {"name": prompt},
        "models": {model: {"turns": turns, "usage": usage, "cost_usd": cost}},
    }


REPORTS = [
    told("A", 13, "agent", "claude-opus-5", 9.0, 9),
    told("A", 18, "agent", "claude-opus-5", 1.0, 3),
    told("B", 18, "engineer", "claude-sonnet-5-5", 0.5, 2),
    told("A", 20, "engineer", "claude-sonnet-5-5", 0.25, 1),
]


class Shelf:
    """A source that has reports only."""

    def __init__(self, reports: list[Json]) -> None:
        self._reports = reports

    def board(self) -> Board:
        return Board(AT, tuple(map(as_row, self._reports)), ())

    def details(self, run: str) -> None:
        """None is there."""

    def plan(self) -> None:
        """None is asked for."""


def page_of(reports: list[Json], days: int) -> Page:
    source: object = Shelf(reports)
    return Views(source, "form").costs({"days": str(days)})  # pyright: ignore[reportArgumentType]


def table(page: Page, label: str) -> list[list[str]]:
    """The rows of a table: name, part of the highest, cost, runs, turns, tokens."""
    html = str(page.regions[0].html)
    part = html.partition(f'aria-label="Costs by {label}"')[2].partition("</table>")[0]
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", part)
    return [
        [re.sub("<.*", "", row), *re.findall(r'width="([\d.]+)"', row),
         *re.findall(r'<td class="num">(.*?)</td>', row)]
        for row in rows
    ]  # fmt: skip


def test_every_amount_is_the_sum_of_its_runs() -> None:
    page = page_of(REPORTS, 7)
    html = str(page.regions[0].html)
    assert "<strong>$1.7500</strong>" in html
    assert "3 runs · 6 turns · 12,600 tokens" in html
    assert table(page, "task") == [
        ["A", "100.0", "$1.2500", "2", "4", "8k"],
        ["B", "40.0", "$0.5000", "1", "2", "4k"],
    ]
    assert table(page, "prompt") == [
        ["agent", "100.0", "$1.0000", "1", "3", "4k"],
        ["engineer", "75.0", "$0.7500", "2", "3", "8k"],
    ]
    assert table(page, "model") == [
        ["claude-opus-5", "100.0", "$1.0000", "1", "3", "4k"],
        ["claude-sonnet-5-5", "75.0", "$0.7500", "2", "3", "8k"],
    ]
    daily = re.findall(r'<th scope="row">([\d-]+)</th><td>(\d+)</td><td>([\d,]+)</td><td>(.*?)</td>', html)  # fmt: skip
    assert daily == [
        ("2026-11-18", "2", "8,400", "$1.5000"),
        ("2026-11-20", "1", "4,200", "$0.2500"),
    ]


def test_the_columns_are_as_high_as_their_days_cost() -> None:
    html = str(page_of(REPORTS, 7).regions[0].html)
    columns = re.findall(r"<g><title>(.*?)</title><rect .*? height=\"([\d.]+)\"/></g>", html)
    assert [words.partition(":")[0] for words, _ in columns] == [
        f"2026-11-{day}" for day in range(14, 21)
    ]
    heights = {words: float(height) for words, height in columns if float(height)}
    assert heights == {
        "2026-11-18: $1.5000, 2 runs": 160.0,
        "2026-11-20: $0.2500, 1 run": 26.67,
    }
    assert "at most $1.50" in html
    assert "$9" not in html
    assert "<strong>$10.7500</strong>" in str(page_of(REPORTS, 30).regions[0].html)


def test_an_unknown_price_is_no_zero() -> None:
    page = page_of([*REPORTS, told("C", 19, "agent", "local", None, 4)], 7)
    html = str(page.regions[0].html)
    assert "a price among them is not known" in html
    assert table(page, "model")[-1][:3] == ["local", "0.0", "unknown"]


def test_reports_are_summed_up_by_day_and_by_prompt() -> None:
    assert {day: (each.runs, each.spent.cost) for day, each in by_day(REPORTS).items()} == {
        "2026-11-13": (1, 9.0),
        "2026-11-18": (2, 1.5),
        "2026-11-20": (1, 0.25),
    }
    assert {name: (each.runs, each.spent.cost) for name, each in by_prompt(REPORTS).items()} == {
        "agent": (2, 10.0),
        "engineer": (2, 0.75),
    }
    odd: list[Json] = [{"run": "no name", "prompt": 7}, {"prompt": {"name": ""}}]
    assert {*by_day(odd)} == {*by_prompt(odd)} == {"unknown"}
