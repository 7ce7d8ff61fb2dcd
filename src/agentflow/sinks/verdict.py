"""The verdict: a run's report as text that a tired person understands."""

from collections.abc import Iterator, Sequence
from textwrap import indent

from agentflow.durations import format_duration
from agentflow.folding import elided
from agentflow.neutral import neutral, one_line
from agentflow.records import Json
from agentflow.results import Evidence, Verdict
from agentflow.shown_reports import evidence_of, shown
from agentflow.sinks.console import gate_line, last_lines
from agentflow.sinks.printer import Printer, Span
from agentflow.spending import REPLAYED
from agentflow.what_next import next_lines
from agentflow.words import counted, word

TITLES = {
    "done": ("done", "bold green"),
    "failed": ("failed", "bold red"),
    "blocked": ("blocked: an answer is needed", "bold yellow"),
    "budget": ("stopped: a limit was reached", "bold yellow"),
    "environment": ("stopped: repository or machine is not ready", "bold red"),
    "provider": ("stopped: the model API failed", "bold red"),
    "conflict": ("verified, but not landed", "bold yellow"),
    "interrupted": ("interrupted", "bold yellow"),
}


CRITERIA = 20
"""Boxes of a checklist that are listed one by one."""
FILES = 12
"""Changed files that are listed one by one."""


def print_verdict(printer: Printer, report: Json) -> None:
    """Print a run's report: the outcome, gate by gate, where it landed, and the next step.

    The report may be any JSON object: a repository can bring one.
    """
    already_done, report = bool(report.get("already_done")), shown(report)
    if already_done:
        _print_done_before(printer, report)
        return
    title, style = TITLES.get(report["outcome"], (one_line(report["outcome"]), "bold"))
    what = neutral(f"{report['task']}  {report['title']}")
    printer.print((f"{title}  ", style), (what, "bold"))
    if report["reason"]:
        printer.print(indent(neutral(report["reason"]), "  "))
    print_gates(printer, evidence_of(report))
    _print_stat(printer, report["changes"])
    for label, value in (*_facts(report), *_places(report)):
        printer.print((f"  {label:<9}", "dim"), neutral(value))


def _print_stat(printer: Printer, changes: Json) -> None:
    """What changed, file by file, as `git diff --stat` shows it."""
    if not changes["files_changed"]:
        return
    total = (
        f"{counted(changes['files_changed'], 'file')}, +{changes['insertions']} "
        f"−{changes['deletions']}"  # noqa: RUF001
    )
    printer.print(("  changes  ", "dim"), total)
    listed = changes["files"][:FILES]
    room = min(60, (printer.width or 80) - 26)
    paths = [
        elided(one_line(each["path"], 300), room) if printer.width else one_line(each["path"], room)
        for each in listed
    ]
    longest = max(map(len, paths), default=0)
    for path, each in zip(paths, listed, strict=True):
        printer.print(f"           {path:<{longest}}  ", *_counts(each))
    left_out = changes["files_changed"] - len(listed)
    if listed and left_out > 0:
        printer.print((f"           and {counted(left_out, 'more file')}", "dim"))


def _counts(file: Json) -> list[Span]:
    if file["insertions"] is None:
        return [("not text", "dim")]
    return [
        (f"+{file['insertions']:.0f} ", "green"),
        (f"−{file['deletions'] or 0:.0f}", "red"),  # noqa: RUF001
    ]


def print_gates(printer: Printer, evidence: Sequence[Evidence]) -> None:
    """Print what each gate found, failures first, and how many were left to CI."""
    for each in sorted(evidence, key=lambda each: each.status != "failed"):
        printer.print(*gate_line(each))
        for line in _explanation(each):
            printer.print((f"      {line}", "dim"))
    left = Verdict(tuple(evidence)).left_to_ci
    if left:
        text = f"{counted(len(left), 'gate')} left to CI: {', '.join(left)}"
        printer.print((f"  {one_line(text, 200)}", "yellow"))


def _print_done_before(printer: Printer, report: Json) -> None:
    landed: Json = report["landed"] or {}
    where = f": {landed['tip'][:12]}" if landed else ""
    on = f" on {_branch(landed['ref'])}" if landed.get("ref") else ""
    on = ", on no branch" if report["kept"] else on
    line = f"{report['task']} is done already{where}{on}"
    printer.print((neutral(line), "bold green"))
    if landed and report["kept"]:
        put = f"git branch agentflow/{word(report['task'])} {landed['tip'][:12]}"
        printer.print(neutral(f"  kept on {report['kept']}; to land it: {put}"))
    if report["reason"] and not report["run"]:  # no run of it is known here
        printer.print(neutral(f"  {report['reason']}"))
    printer.print("  to run it again, give --fresh")
    if look := _look(report):
        printer.print(("  next     ", "dim"), neutral(look))


def _branch(ref: str) -> str:
    return ref.removeprefix("refs/heads/")


def _explanation(evidence: Evidence) -> Iterator[str]:
    if evidence.status == "failed":
        yield from last_lines(evidence, 15)
    for notice in evidence.notices:
        yield one_line(notice, 160)
    for each in evidence.criteria[:CRITERIA]:
        by = f" ({one_line(each.by, 40)})" if each.by else ""
        yield f"{one_line(each.state, 11):<11} {one_line(each.text, 100)}{by}"
    if len(evidence.criteria) > CRITERIA:
        yield f"and {len(evidence.criteria) - CRITERIA} more in the report"


def _facts(report: Json) -> Iterator[tuple[str, str]]:
    changes, usage, landed = report["changes"], report["usage"], report["landed"]
    for commit in report["commits"] if landed or report["outcome"] == "conflict" else ():
        yield "commit", f"{commit['sha'][:12]}  {one_line(commit['subject'], 90)}"
    if landed and landed["ref"]:
        merged = f"merged as {landed['tip'][:12]}" if report["combined"] else ""
        yield "landed", f"{_branch(landed['ref'])} ({merged or 'on ' + report['base'][:12]})"
    elif landed and changes["files_changed"]:
        yield "kept", f"refs/agentflow/verified/{report['run']}"
    if landed and landed["replaced"]:
        yield "old tip", _branch(landed["replaced"])
    repairs = report["verification"]["repairs"]
    cost = report["total_cost_usd"]
    yield (
        "spent",
        f"{counted(report['num_turns'], 'turn')} · "
        + (f"{counted(repairs, 'repair')} · " if repairs else "")
        + f"{counted(sum(usage.values()), 'token')} · "
        + (REPLAYED if report["replay"] else "cost unknown" if cost is None else f"${cost:.4f}")
        + f" · {format_duration((report['duration_ms'] or 0) / 1000)}",
    )
    whole = report["task_total"]
    if whole["runs"] > 1:
        known = whole["cost_usd"] is not None
        yield (
            "in all",
            f"{whole['runs']} runs of {report['task']} · {counted(whole['turns'], 'turn')} · "
            + (f"${whole['cost_usd']:.4f}" if known else "cost unknown"),
        )


def _places(report: Json) -> Iterator[tuple[str, str]]:
    for each in report["follow_ups"]:
        yield "asks for", f".orchestrator/tasks/{one_line(each, 100)}.md"
    for each in () if report["follow_ups"] else report["needed_elsewhere"]:
        yield "asks for", one_line(each, 200)
    if report["marker"]:
        yield "marker", report["marker"]
    if report["work_tree"]:
        yield "work", f"{report['work_tree']} (the agent's files, kept)"
    yield "report", f".orchestrator/runs/{report['run']}/report.json"
    yield "page", f"agentflow report {word(report['task'])} --open"
    look = _look(report) if report["outcome"] == "done" else ""
    yield from (("next", step) for step in (*next_lines(report), look) if step)


def _look(report: Json) -> str:
    if not report["changes"]["files_changed"]:
        return ""
    landed: Json = report["landed"] or {}
    ref = str(landed.get("ref") or f"refs/agentflow/verified/{report['run']}")
    tip = word(_branch(ref))
    if landed.get("ref") and _branch(ref) != f"agentflow/{report['task']}" and report["commits"]:
        tip = word(report["commits"][-1]["sha"][:12])  # others land there too
    return f"git log -p {report['base'][:12]}..{tip}"
