"""The report of a run as one HTML page that needs nothing else."""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from agentflow.details.records import Details
from agentflow.durations import format_duration
from agentflow.pages.chart import KINDS, draw
from agentflow.pages.code import coloured
from agentflow.pages.environment import asset, dollars, environment
from agentflow.records import Json
from agentflow.spending import REPLAYED
from agentflow.words import counted

MARKS = {"passed": "✓", "failed": "✗", "skipped": "–"}  # noqa: RUF001
TONES = {"done": "good", "failed": "bad", "environment": "bad", "provider": "bad"}
"""Of outcomes; every other one is a warning."""
PARTS = (
    "Summary", "Verdict", "Changes", "Timeline", "Spending", "Checkpoints", "Prompt",
    "Environment",
)  # fmt: skip
SMALL = 400
"""Lines of a diff that is shown at once."""


def render_report(details: Details) -> str:
    """The page: complete, without a network, nothing in it but ours can command a browser."""
    style, script = asset("report.css"), asset("report.js")
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return environment().get_template("report.html.j2").render(
        **run_parts(details),
        policy=policy,
        style=Markup(style),  # noqa: S704  # ours
        script=Markup(script),  # noqa: S704  # ours
    )  # fmt: skip


def run_parts(details: Details) -> dict[str, Any]:
    """What `run_parts.html.j2` shows of a run."""
    shown = sum(len(hunk.lines) for file in details.files for hunk in file.hunks)
    return {
        "details": details,
        "run": details.report,
        "facts": list(_facts(details.report)),
        "evidence": sorted(details.evidence, key=lambda each: each.status != "failed"),
        "files": [(file, coloured(file)) for file in details.files],
        "small": shown <= SMALL,
        "chart": draw(details.turns) if details.turns else None,
        "kinds": KINDS,
        "marks": MARKS,
        "parts": PARTS,
        "tone": TONES.get(details.report["outcome"], "warn"),
    }


def _digest(text: str) -> str:
    """As a content security policy names what it allows."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _facts(run: Json) -> Iterator[tuple[str, str]]:
    changes, landed = run["changes"], run["landed"]
    yield "turns", f"{run['num_turns']:,}"
    if run["verification"]["repairs"]:
        yield "repairs", f"{run['verification']['repairs']:,}"
    yield "tokens", f"{sum(run['usage'].values()):,}"
    yield "cost", REPLAYED if run["replay"] else dollars(run["total_cost_usd"])
    if run["duration_ms"] is not None:
        yield "time", format_duration(run["duration_ms"] / 1000)
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
