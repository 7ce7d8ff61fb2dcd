"""A summary in Markdown, for a job's page and a pull request; failures come first."""

from collections.abc import Iterator, Sequence

from agentflow.ci.judged import Judged
from agentflow.durations import format_duration
from agentflow.neutral import code_block, code_span
from agentflow.results import Evidence
from agentflow.spending import REPLAYED
from agentflow.words import counted

MAX_SUMMARY = 900_000
"""Bytes; GitHub takes 1 MiB of a step."""
LINES = 20
"""Of what a failed gate found, the last ones."""
MARKS = {"passed": "✅", "failed": "❌", "skipped": "⚪"}
ORDER = ("failed", "passed", "skipped")


def summary(judged: Sequence[Judged]) -> str:
    """The Markdown. Whatever a model or a repository wrote stands in code, where it is no markup,
    link or mention."""
    text = "\n".join(line for each in judged for line in _lines(each))
    data = text.encode("utf-8", "replace")
    if len(data) > MAX_SUMMARY:
        text = data[:MAX_SUMMARY].decode("utf-8", "ignore")
        text += "\n\n(cut off: the report has all)"
    return f"{text}\n"


def _lines(judged: Judged) -> Iterator[str]:
    mark = MARKS["passed" if judged.passed else "skipped" if judged.skipped else "failed"]
    yield f"### {mark} {code_span(judged.outcome)} {code_span(judged.name)}"
    yield ""
    if judged.title:
        yield f"{code_span(judged.title)}"
        yield ""
    for label, value in (("reason", judged.reason), ("next", judged.hint)):
        if value:
            yield f"- {label}: {code_span(value, 1000)}"
    yield from _facts(judged)
    yield ""
    for evidence in sorted(judged.evidence, key=lambda each: ORDER.index(each.status)):
        yield from _gate(evidence)
    yield ""


def _gate(evidence: Evidence) -> Iterator[str]:
    took = f" · {format_duration(evidence.seconds)}" if evidence.seconds >= 0.05 else ""
    status = f"{MARKS[evidence.status]} {evidence.status}"
    yield f"- {status} {code_span(evidence.gate)}: {code_span(evidence.summary, 500)}{took}"
    if evidence.status == "failed" and evidence.detail:
        lines = [line[:400] for line in evidence.detail.rstrip().splitlines()[-LINES:]]
        yield ""
        yield from (f"  {line}" for line in code_block("\n".join(lines)).splitlines())
        yield ""


def _facts(judged: Judged) -> Iterator[str]:
    report = judged.report
    if not report or not judged.run:
        return
    changes, landed, cost = report["changes"], report["landed"], report["total_cost_usd"]
    if changes["files_changed"]:
        yield (
            f"- changes: {counted(changes['files_changed'], 'file')}, "
            f"+{changes['insertions']} -{changes['deletions']}"
        )
    for commit in report["commits"]:
        yield f"- commit: {code_span(commit['sha'][:12])} {code_span(commit['subject'])}"
    if landed and landed["ref"]:
        yield f"- landed: {code_span(landed['ref'].removeprefix('refs/heads/'))}"
    spent = "cost unknown" if cost is None else f"cost ${cost:.4f}"
    spent = REPLAYED if report["replay"] else spent
    yield (
        f"- spent: {counted(report['num_turns'], 'turn')}, {spent}, "
        f"{format_duration(judged.seconds)}"
    )
    yield f"- run: {code_span(judged.run)}"
