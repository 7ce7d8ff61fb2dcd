"""The report of a run as one HTML page that needs nothing else."""

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from agentflow.details.records import Details
from agentflow.durations import format_duration
from agentflow.neutral import one_line, visible
from agentflow.pages.chart import KINDS, draw
from agentflow.pages.code import coloured
from agentflow.records import Json
from agentflow.words import counted

TEMPLATES = Path(__file__).with_name("templates")
MARKS = {"passed": "✓", "failed": "✗", "skipped": "–"}  # noqa: RUF001
TONES = {"done": "good", "failed": "bad", "environment": "bad", "provider": "bad"}
PARTS = (
    "Summary", "Verdict", "Changes", "Timeline", "Spending", "Checkpoints", "Prompt",
    "Environment",
)  # fmt: skip
SMALL = 400
"""Lines of a diff that is shown at once."""


def render_report(details: Details) -> str:
    """The page: complete, without a network, nothing in it but ours can command a browser."""
    style, script = _asset("report.css"), _asset("report.js")
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    shown = sum(len(hunk.lines) for file in details.files for hunk in file.hunks)
    turns = details.turns
    return _environment().get_template("report.html.j2").render(
        details=details,
        run=details.report,
        facts=list(_facts(details.report)),
        evidence=sorted(details.evidence, key=lambda each: each.status != "failed"),
        files=[(file, coloured(file)) for file in details.files],
        small=shown <= SMALL,
        chart=draw(turns) if turns else None,
        kinds=KINDS,
        marks=MARKS,
        parts=PARTS,
        tone=TONES.get(details.report["outcome"], "warn"),
        policy=policy,
        style=Markup(style),  # noqa: S704  # ours
        script=Markup(script),  # noqa: S704  # ours
    )  # fmt: skip


@cache
def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text("utf-8")


def _digest(text: str) -> str:
    """As a content security policy names what it allows."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _environment() -> Environment:
    """Everything that is printed is made visible first and escaped then."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        keep_trailing_newline=True,
    )
    cast("dict[str, Any]", made.filters).update({
        "number": "{:,}".format,
        "duration": format_duration,
        "counted": counted,
        "line": one_line,
        "short": _short,
    })
    return made


def _finalized(value: Any) -> Any:
    return visible(value) if type(value) is str else value


def _short(number: float) -> str:
    """`950`, `31k`, `1.2M`."""
    if number < 1000:
        return f"{number:.0f}"
    return f"{number / 1000:.0f}k" if number < 999_500 else f"{number / 1e6:.1f}M"


def _facts(run: Json) -> Iterator[tuple[str, str]]:
    changes, landed = run["changes"], run["landed"]
    cost = run["total_cost_usd"]
    yield "turns", f"{run['num_turns']:,}"
    if run["verification"]["repairs"]:
        yield "repairs", f"{run['verification']['repairs']:,}"
    yield "tokens", f"{sum(run['usage'].values()):,}"
    yield "cost", "unknown" if cost is None else f"${cost:.4f}"
    yield "time", format_duration((run["duration_ms"] or 0) / 1000)
    yield (
        "changes",
        f"{counted(changes['files_changed'], 'file')}, +{changes['insertions']:,} "
        f"−{changes['deletions']:,}",  # noqa: RUF001
    )
    if landed:
        where = (landed["ref"] or "kept").removeprefix("refs/heads/")
        yield "landed", f"{where} at {landed['tip'][:12]}"
    yield "base", run["base"][:12]
    if run["marker"]:
        yield "marker", run["marker"]
    if run["work_tree"]:
        yield "work tree", run["work_tree"]
