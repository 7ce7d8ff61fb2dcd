"""Rows of columns, on terminals and in a log."""

import io
from collections.abc import Sequence

import pytest

from agentflow.sinks.printer import PlainPrinter
from agentflow.sinks.tables import Row, formed, print_table
from tests.golden import check_golden
from tests.sinks.screen import terminal
from tests.sinks.test_screens import GOLDEN, WIDTHS

FORM = "{:<40} {:<12} {:>45}  {:>10}  {}"
LONG = "BILLING-REFUNDS-EVENTS-2026-20261129T110905-d2b9"
SPENT = "5 turns · 31,789 tokens · $0.0447"
RUNS = [
    Row((LONG, "failed", SPENT, "1 min 08 s", "Refunds for orders that were paid in parts")),
    *(
        Row((f"TASK-{n}-20261129T120905-aaaa", ("done", "green"), SPENT, "8.3 s", "Search notes"))
        for n in range(1, 7)
    ),
    Row(("TASK-8-20261129T120905-aaaa", "running", "", "", "世界 of the notes")),
]
CHECKS = [
    Row((("ok", "green"), "git", "2.39.5")),
    Row(
        (("missing", "red"), "key", "the environment variable ANTHROPIC_API_KEY is not set"),
        [(f"{'':20}Run `export ANTHROPIC_API_KEY=…`, or in CI set it as a secret of that name.", "dim")],
    ),
    Row((("ok", "green"), "repository", "/home/ada/work/a-service-with-a-long-name/and-a-folder")),
]  # fmt: skip
TITLED = [
    Row(("task", "commits", "where"), is_heading=True),
    Row(("TASK-1", "2", "agentflow/TASK-1 0123456789ab")),
    Row(("A-TASK-WITH-A-NAME-THAT-IS-LONGER-THAN-OTHERS", "12", "release 0123456789ab")),
]
TABLES = {
    "runs": (FORM, RUNS),
    "checks": ("{:<8}{:<11} {}", CHECKS),
    "titled": ("{:<45}  {:>7}  {}", TITLED),
}


def shown(form: str, rows: Sequence[Row], width: int) -> list[str]:
    with terminal(width) as (screen, printer):
        print_table(printer, form, rows)
    return screen.lines


def words_of(rows: Sequence[Row]) -> list[str]:
    """All words of all cells, but for headings."""
    cells = [cell for row in rows if not row.is_heading for cell in row.cells]
    return [word for cell in cells for word in (cell if isinstance(cell, str) else cell[0]).split()]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", TABLES)
def test_a_table_fits_its_terminal(name: str, width: int) -> None:
    lines = shown(*TABLES[name], width)
    check_golden(GOLDEN / f"table_{name}_{width}.txt", "\n".join(lines) + "\n")


@pytest.mark.parametrize("width", range(60, 200, 7))
@pytest.mark.parametrize("name", TABLES)
def test_no_cell_is_cut_and_every_name_is_whole(name: str, width: int) -> None:
    form, rows = TABLES[name]
    with terminal(width) as (screen, printer):
        print_table(printer, form, rows)
    printed = "".join(screen.writes)
    words = printed.split()
    for word in words_of(rows):
        assert any(word in each for each in words), word
    assert [line for line in screen.lines if line.startswith(LONG)] or name != "runs"


def test_a_log_has_each_row_as_its_form_says() -> None:
    file = io.StringIO()
    print_table(PlainPrinter(file), FORM, RUNS)
    lines = file.getvalue().splitlines()
    assert (
        lines[1]
        == f"{'TASK-1-20261129T120905-aaaa':<40} done         {SPENT:>45}       8.3 s  Search notes"
    )
    assert lines == [formed(FORM, row.cells) for row in RUNS]


def test_there_may_be_no_rows_and_no_cells() -> None:
    assert shown(FORM, [], 60) == []
    assert shown("{} {}", [Row(("", "")), Row(("", ""))], 60) == []


@pytest.mark.parametrize("width", range(1, 12))
@pytest.mark.parametrize("name", TABLES)
def test_a_terminal_of_a_few_columns_still_shows_every_word(name: str, width: int) -> None:
    form, rows = TABLES[name]
    with terminal(width) as (screen, printer):
        print_table(printer, form, rows)
    printed = "".join(screen.writes)
    wide = [word for word in words_of(rows) if not word.isascii()]  # broken after each character
    assert [word for word in words_of(rows) if word not in printed and word not in wide] == []
