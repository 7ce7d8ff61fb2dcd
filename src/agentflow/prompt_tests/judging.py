"""Judging a case: what was expected and is not so, one line each."""

from collections.abc import Iterator
from typing import Any, cast

from agentflow.neutral import one_line
from agentflow.prompt_tests.case import (
    Case,
    CommitExpectation,
    Expectation,
    FileExpectation,
    Words,
)
from agentflow.prompt_tests.running import Observed
from agentflow.records import Json
from agentflow.words import counted

SHOWN = 200
"""Characters of a text that a line shows."""


def judge(case: Case, observed: Observed) -> tuple[str, ...]:
    """Compare a case's end with what it expects; empty if all of it holds."""
    return (
        *_ending(case.expect, observed),
        *_result(case.expect, observed),
        *_asked(case, observed),
    )


def _ending(expect: Expectation, observed: Observed) -> Iterator[str]:
    if expect.outcome != observed.outcome:
        why = f" ({one_line(observed.reason, SHOWN)})" if observed.reason else ""
        yield f"outcome: {observed.outcome}{why}, not {expect.outcome}"
        yield from _failures(observed.report)
    if expect.exit_code not in {None, observed.exit_code}:
        yield f"exit_code: {observed.exit_code}, not {expect.exit_code}"
    marker = observed.marker or "none"
    if expect.marker not in {None, marker}:
        yield f"marker: {marker}, not {expect.marker}"
    yield from _words("reason", observed.reason, expect.reason)


def _failures(report: Json) -> Iterator[str]:
    """Which gates failed, where nobody expected a failure."""
    for gate in _gates(report):
        if gate["status"] == "failed":
            yield f"gate {gate['gate']} failed: {one_line(gate['summary'], SHOWN)}"


def _gates(report: Json) -> list[Json]:
    return report["verification"]["gates"] if report else []


def _result(expect: Expectation, observed: Observed) -> Iterator[str]:
    for path, wanted in expect.files.items():
        yield from _file(path, observed.read(path), wanted)
    landed = observed.report.get("landed")
    subjects = [each["subject"] for each in observed.report["commits"]] if landed else []
    yield from _commits(subjects, expect.commits)
    gates = {each["gate"]: each["status"] for each in _gates(observed.report)}
    for name, status in expect.gates.items():
        found = gates.get(name, "absent")
        if found != status:
            others = "" if name in gates else f" (there are: {', '.join(gates) or 'none'})"
            yield f"gates.{name}: {found}, not {status}{others}"
    repairs = observed.report["verification"]["repairs"] if observed.report else 0
    if expect.repairs not in {None, repairs}:
        yield f"repairs: {repairs}, not {expect.repairs}"


def _file(path: str, text: str | None, wanted: FileExpectation) -> Iterator[str]:
    if text is None or wanted.absent:
        if (text is None) != wanted.absent:
            yield f"files.{path}: it is {'not ' if text is None else ''}there"
        return
    if wanted.exact not in {None, text}:
        yield f"files.{path}: it holds {one_line(text, SHOWN)!r}"
    yield from _words(f"files.{path}", text, wanted)


def _commits(subjects: list[str], wanted: CommitExpectation) -> Iterator[str]:
    if wanted.count not in {None, len(subjects)}:
        yield f"commits.count: {len(subjects)}, not {wanted.count}"
    for part in wanted.subjects:
        if not any(part in subject for subject in subjects):
            told = "; ".join(subjects) or "nothing landed"
            yield f"commits.subjects: none contains {part!r}: {one_line(told, SHOWN)}"


def _asked(case: Case, observed: Observed) -> Iterator[str]:
    expect, requests = case.expect, observed.requests
    if expect.requests not in {None, len(requests)}:
        yield f"requests: {len(requests)}, not {expect.requests}"
    answered = [_answers(each) + 1 for each in requests]
    left = len(case.turns) - max(answered, default=0)
    if left > 0:
        yield f"conversation: the last {counted(left, 'turn')} not asked for"
    if not requests:
        return
    first, last = requests[0], requests[-1]
    yield from _words("system_prompt", _text(first.get("system")), expect.system_prompt)
    yield from _words("first_message", _text(first["messages"][0]["content"]), expect.first_message)
    told = [each["content"] for each in last["messages"][1:] if each["role"] == "user"]
    yield from _words("told", "\n".join(map(_text, told)), expect.told)
    tools = sorted(str(each.get("name")) for each in first.get("tools") or ())
    if expect.tools is not None and tools != sorted(expect.tools):
        yield f"tools: {', '.join(tools)}, not {', '.join(sorted(expect.tools))}"


def _answers(request: Json) -> int:
    return sum(each["role"] == "assistant" for each in request["messages"])


def _text(content: Any) -> str:
    """All the text of a message's content, results of tools included."""
    if isinstance(content, dict):
        block = cast(Json, content)
        return _text(block.get("text") or block.get("content"))
    if isinstance(content, list):
        return "\n".join(map(_text, cast(list[Any], content)))
    return content if isinstance(content, str) else ""


def _words(key: str, text: str, wanted: Words) -> Iterator[str]:
    for part in wanted.contains:
        if part not in text:
            yield f"{key}: it does not contain {one_line(part, SHOWN)!r}"
    for part in wanted.lacks:
        if part in text:
            yield f"{key}: it contains {one_line(part, SHOWN)!r}"
