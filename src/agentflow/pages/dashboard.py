"""The dashboard's pages: each a frame around regions, which are sent again when they change."""

import hashlib
from collections.abc import Sequence
from datetime import date
from typing import Any

from markupsafe import Markup

from agentflow.details.board import AtWork, Board, Plan, RunRow, newest_of
from agentflow.details.records import Details
from agentflow.frozen import record
from agentflow.pages.bars import columns, shares
from agentflow.pages.environment import asset, environment
from agentflow.pages.graph import BOX, draw_plan
from agentflow.pages.report import TONES, run_parts
from agentflow.runs import OUTCOMES, RESUMABLE
from agentflow.spending import by_day, by_model, by_prompt, by_task, total

TABS = {"/": "Overview", "/runs": "Runs", "/tasks": "Tasks", "/costs": "Costs"}
ASSETS = {
    "report.css": "text/css",
    "report.js": "text/javascript",
    "dashboard.css": "text/css",
    "dashboard.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
"""Files that the pages load, each with its type."""
SIGNS = {
    "running": "●", "done": "✓", "failed": "✗", "blocked": "?", "ready": "○", "waiting": "·",
}  # fmt: skip
"""Before outcomes and states; every other one is a run that stopped."""
RECENT = 10


@record
class Region:
    """A part of a page."""

    id: str
    html: Markup

    @property
    def digest(self) -> str:
        """Another one when the region looks different."""
        return hashlib.sha256(self.html.encode()).hexdigest()[:16]


@record
class Page:
    """What one address shows."""

    title: str
    tab: str
    """One of `TABS`."""
    regions: tuple[Region, ...]


@record
class Filter:
    """Which runs a list shows."""

    text: str = ""
    """A part of the task's name or the title."""
    outcome: str = ""
    page: int = 1


def frame(page: Page, source: str) -> str:
    """The whole page."""
    return _render("dashboard.html.j2", page=page, source=source, tabs=TABS)


def file_of(name: str) -> tuple[str, str] | None:
    """The text and the type of a file that pages load; None if there is none of this name."""
    kind = ASSETS.get(name)
    return (asset(name), kind) if kind else None


def overview(board: Board, plan: Plan, form_token: str) -> Page:
    """What needs a person, what is at work, what comes next, what was."""
    newest = newest_of(board.rows).values()
    asking = [row for row in newest if row.outcome == "blocked" and row.task not in board.settled]
    ended = [row for row in board.rows if row.outcome != "running"]
    today = f"{board.at:%Y-%m-%d}"
    spent = total(r.report for r in board.rows if r.began and f"{r.began:%Y-%m-%d}" == today)
    return Page(
        "Overview",
        "/",
        (
            _region("needs", rows=asking, problem=board.problem, form_token=form_token),
            _region("at_work", rows=board.at_work, form_token=form_token),
            _region("next", plan=plan, today=spent),
            _region("rows", heading="Latest runs", rows=ended[: -RECENT - 1 : -1], more=len(ended)),
        ),
    )


def run_list(rows: Sequence[RunRow], wanted: Filter, pages: int, count: int) -> Page:
    """One page of all runs, the newest first."""
    listed = _region(
        "run_list", rows=rows, wanted=wanted, pages=pages, count=count, outcomes=OUTCOMES
    )
    return Page("Runs", "/runs", (listed,))


def run_page(
    row: RunRow, details: Details, parts: Markup, at_work: AtWork | None, beside: Sequence[str],
    form_token: str, *, is_newest: bool, is_settled: bool,
) -> Page:  # fmt: skip
    """One run: what it is, what may be done, and everything that a report shows."""
    can = {
        "answer": is_newest and row.outcome == "blocked" and not is_settled,
        "resume": is_newest and row.outcome in RESUMABLE - {"blocked"},
        "retry": is_newest and row.outcome not in {"running", "waiting"},
        "cancel": at_work is not None or row.outcome == "waiting",
    }
    head = _region(
        "run_head", row=row, details=details, can=can, beside=beside, form_token=form_token
    )
    now = _region("now", work=at_work)
    return Page(f"{row.task} {row.outcome}", "/runs", (head, now, Region("parts", parts)))


def parts_of(details: Details) -> Markup:
    """Everything that a report shows of a run."""
    return _render("run_parts.html.j2", **run_parts(details))


def task_list(plan: Plan) -> Page:
    """The tasks: their order as a drawing, and each with where it stands."""
    graph = draw_plan(plan.cards)
    return Page("Tasks", "/tasks", (_region("tasks", plan=plan, graph=graph, box=BOX),))


def costs(board: Board, rows: Sequence[RunRow], first: date, days: int) -> Page:
    """What runs cost: by day, task, prompt and model."""
    reports = [row.report for row in rows]
    daily = by_day(reports)
    groups = {
        "task": shares(by_task(reports)),
        "prompt": shares(by_prompt(reports)),
        "model": shares(by_model(reports)),
    }
    drawn = columns(daily, first, board.at.date())
    region = _region(
        "costs", total=total(reports), drawn=drawn, daily=daily, groups=groups, days=days
    )
    return Page("Costs", "/costs", (region,))


def problem(title: str, message: str, hint: str, back: str) -> Page:
    """What went wrong, in one sentence, and where to go on."""
    region = _region("problem", message=message, hint=hint, back=back, title=title)
    return Page(title, "", (region,))


def _region(name: str, **given: Any) -> Region:
    return Region(name.replace("_", "-"), _render(f"{name}.html.j2", **given))


def _render(template: str, **given: Any) -> Markup:
    made = environment().get_template(template)
    return Markup(made.render(tones=TONES, signs=SIGNS, **given))  # noqa: S704  # escaped
