"""The verdict: a run's report as text that a tired person understands."""

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from agentflow.durations import format_duration
from agentflow.neutral import neutral, one_line
from agentflow.records import Evidence, Json
from agentflow.sinks.console import gate_line

TITLES = {
    "done": ("done", "bold green"),
    "failed": ("failed", "bold red"),
    "blocked": ("blocked: an answer is needed", "bold yellow"),
    "budget": ("stopped: a limit was reached", "bold yellow"),
    "environment": ("stopped: this machine cannot do it", "bold red"),
    "provider": ("stopped: the model API failed", "bold red"),
    "conflict": ("verified, but not landed", "bold yellow"),
    "interrupted": ("interrupted", "bold yellow"),
}


def print_verdict(console: Console, report: Json) -> None:
    """Print a run's report: the outcome, gate by gate, where it landed, and the next step."""
    if report.get("already_done"):
        console.print(Text(f"{report['task']} is done already", "bold green"))
        console.print(Text("Give --fresh to run it again."))
        return
    title, style = TITLES.get(report["outcome"], (report["outcome"], "bold"))
    head = Text(f"{title}  ", style)
    head.append(neutral(f"{report['task']}  {report['title'] or ''}"), "bold")
    console.print(head, soft_wrap=True)
    if report["reason"]:
        console.print(Text(f"  {neutral(report['reason'])}"), soft_wrap=True)
    for gate in report["verification"]["gates"]:
        fields: Json = {**gate, "notices": tuple(gate["notices"])}
        evidence = Evidence(**fields)
        console.print(gate_line(evidence), soft_wrap=True)
        for line in _explanation(evidence):
            console.print(Text(f"      {line}", "dim"), soft_wrap=True)
    for label, value in _facts(report):
        console.print(Text.assemble((f"  {label:<9}", "dim"), neutral(value)), soft_wrap=True)


def _explanation(evidence: Evidence) -> Iterator[str]:
    if evidence.status == "failed":
        yield from (one_line(line, 160) for line in evidence.detail.splitlines()[-12:])
    yield from (one_line(notice, 160) for notice in evidence.notices)


def _facts(report: Json) -> Iterator[tuple[str, str]]:
    changes, usage, landed = report["changes"], report["usage"], report["landed"]
    if changes["files_changed"]:
        yield (
            "changes",
            f"{changes['files_changed']} files, +{changes['insertions']} −{changes['deletions']}",  # noqa: RUF001
        )
    for commit in report["commits"]:
        yield "commit", f"{commit['sha'][:12]}  {one_line(commit['subject'], 90)}"
    if landed and landed["ref"]:
        yield "landed", f"{landed['ref'].removeprefix('refs/heads/')} (on {report['base'][:12]})"
    if landed and landed["replaced"]:
        yield "replaced", f"the old branch is {landed['replaced'].removeprefix('refs/heads/')}"
    tokens = sum(usage.values())
    cost = report["total_cost_usd"]
    yield (
        "spent",
        f"{report['num_turns']} turns · {tokens:,} tokens · "
        + ("cost unknown" if cost is None else f"${cost:.4f}")
        + f" · {format_duration(report['duration_ms'] / 1000)}",
    )
    yield from _places(report)


def _places(report: Json) -> Iterator[tuple[str, str]]:
    landed = report["landed"]
    if report.get("marker"):
        yield "marker", report["marker"]
    yield "report", f".orchestrator/runs/{report['run']}/report.json"
    if report["hint"]:
        yield "next", report["hint"]
    elif landed and landed["ref"]:
        branch = landed["ref"].removeprefix("refs/heads/")
        yield "next", f"git log -p {report['base'][:12]}..{branch}"
