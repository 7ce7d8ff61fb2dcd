"""JUnit, SARIF, summary and annotations: valid, whole, and harmless whatever a report says."""

import json
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, cast
from xml.etree.ElementTree import fromstring

import jsonschema
import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from agentflow.ci.annotations import annotations
from agentflow.ci.judged import Judged, judged_of
from agentflow.ci.junit import junit
from agentflow.ci.sarif import sarif
from agentflow.ci.summary import summary
from agentflow.records import Json
from agentflow.results import Evidence, Fault

SCHEMAS = Path(__file__).parent / "schemas"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EVIL = "\x1b]0;owned\x07::error::x\n::stop-commands::x\n@ada #1 <img src=x>[a](http://x)```\n| `a``b` \ufffe\u202e"

FAULTS = (Fault("deleted test: t/a.py", "t/a b:c.py"), Fault("added skip", "t/ä.py", 7))
GATES = (
    Evidence("commit", "passed", "1 commit", seconds=0.25),
    Evidence("tamper", "failed", "2 problems", "deleted\nskip", faults=FAULTS),
    Evidence("build:test", "failed", "`pytest` failed", "E   assert 1 == 2"),
    Evidence("secrets", "skipped", "the commit gate failed"),
)
FAILED = Judged("TASK-1", "failed", 1, GATES, "Say hello", "TASK-1-20250101T000000-abcd",
                "not verified after 2 repairs", "Look.", 2.5)  # fmt: skip
DONE = Judged("TASK-2", "done", 0, GATES[:1], "More")
NOT_BEGUN = Judged("TASK-4", "skipped", 1, title="Later", reason="waits for TASK-1")
STOPPED = Judged("TASK-3", "interrupted", 143, reason="stopped by SIGTERM", hint="resume it")


@cache
def junit_schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(str(SCHEMAS / "junit-10.xsd"))


@cache
def sarif_schema() -> Any:
    return jsonschema.Draft4Validator(json.loads((SCHEMAS / "sarif-2.1.0-rtm.5.json").read_text()))


def valid_junit(*judged: Judged) -> Any:
    document = junit(judged, NOW)
    junit_schema().validate(document.encode())
    return fromstring(document.encode())


def valid_sarif(*judged: Judged) -> Json:
    log = json.loads(sarif(judged))
    sarif_schema().validate(log)
    return cast(Json, log["runs"][0])


def test_a_suite_for_each_task_and_a_case_for_each_gate() -> None:
    suites = valid_junit(FAILED, DONE, STOPPED).findall("testsuite")

    assert [
        tuple(suite.get(name) for name in ("name", "tests", "failures", "errors", "skipped"))
        for suite in suites
    ] == [
        ("TASK-1", "5", "3", "0", "1"),
        ("TASK-2", "2", "0", "0", "0"),
        ("TASK-3", "1", "0", "1", "0"),
    ]
    cases = {case.get("name"): [child.tag for child in case] for case in suites[0].iter("testcase")}
    assert cases == {
        "commit": [], "tamper": ["failure"], "build:test": ["failure"], "secrets": ["skipped"],
        "outcome": ["failure"],
    }  # fmt: skip
    assert suites[0].find(".//failure[@type='build:test']").text == "E   assert 1 == 2"
    error = suites[2].find(".//error")
    assert (error.get("type"), error.text) == ("interrupted", "stopped by SIGTERM\nresume it")


def test_a_result_for_each_fault_at_its_line_and_notifications_for_the_rest() -> None:
    run = valid_sarif(FAILED, DONE, STOPPED)

    places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    assert [(p["artifactLocation"]["uri"], p["region"]["startLine"]) for p in places] == [
        ("t/a%20b%3Ac.py", 1),
        ("t/%C3%A4.py", 7),
    ]
    assert {result["ruleId"] for result in run["results"]} == {"tamper"}
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["tamper", "build:test"]
    told = [
        [note["message"]["text"].split(":")[0] for note in each["toolExecutionNotifications"]]
        for each in run["invocations"]
    ]
    assert told == [["failed", "build"], [], ["interrupted"]]
    assert [each["executionSuccessful"] for each in run["invocations"]] == [False, True, False]


def test_a_task_that_was_not_begun_is_skipped_and_no_error() -> None:
    (suite,) = valid_junit(NOT_BEGUN).findall("testsuite")
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == [
        "1", "0", "0", "1",
    ]  # fmt: skip
    assert suite.find(".//skipped").get("message") == "waits for TASK-1"
    assert annotations([NOT_BEGUN]) == []
    (told,) = valid_sarif(NOT_BEGUN)["invocations"]
    assert "exitCode" not in told
    assert [note["level"] for note in told["toolExecutionNotifications"]] == ["note"]
    assert summary([NOT_BEGUN]).startswith("### ⚪ ` skipped ` ` TASK-4 `")


def test_what_stopped_all_is_told_if_no_task_says_it(tmp_path: Path) -> None:
    skipped: Json = {"task": "B", "run": None, "outcome": "skipped", "exit_code": None}
    report: Json = {"outcome": "interrupted", "exit_code": 130, "tasks": [skipped]}
    assert [(each.name, each.outcome, each.exit_code) for each in judged_of(report, tmp_path)] == [
        ("B", "skipped", 1),
        ("-", "interrupted", 130),
    ]


def test_errors_are_shown_at_their_lines() -> None:
    assert annotations([FAILED, DONE, STOPPED]) == [
        "::error file=t/a b%3Ac.py,line=1,title=TASK-1%3A tamper::deleted test: t/a.py",
        "::error file=t/ä.py,line=7,title=TASK-1%3A tamper::added skip",
        "::error title=TASK-1%3A build%3Atest::`pytest` failed%0AE   assert 1 == 2",
        "::error title=TASK-3%3A interrupted::stopped by SIGTERM%0Aresume it",
    ]
    shown = annotations([STOPPED] * 30)
    assert len(shown) == 10
    assert shown[-1] == "::error title=agentflow::21 more errors: see the report"


def test_failures_come_first_in_a_summary() -> None:
    lines = summary([FAILED]).splitlines()

    assert lines[0] == "### ❌ ` failed ` ` TASK-1 `"
    gates = [line for line in lines if line[:3] in {"- ❌", "- ✅", "- ⚪"}]
    assert [line.split("`")[1].strip() for line in gates] == [
        "tamper", "build:test", "commit", "secrets",
    ]  # fmt: skip
    assert "  E   assert 1 == 2" in lines


def test_a_long_summary_is_cut_off() -> None:
    many = [Judged(f"T-{n}", "failed", 1, GATES, reason="x" * 900) for n in range(800)]
    text = summary(many)
    assert len(text.encode()) < 1 << 20
    assert text.endswith("(cut off: the report has all)\n")


def hostile(text: str) -> Judged:
    evidence = Evidence(text, "failed", text, text, faults=(Fault(text, text or "x", 3),))
    return Judged(text, text, 1, (evidence, Evidence(text, "skipped", text)), text, text, text,
                  text)  # fmt: skip


def outside_of_code(markdown: str) -> str:
    """What a reader of Markdown takes for text or markup: all that stands in no code."""
    tokens = MarkdownIt("commonmark").parse(markdown)
    spans = [child for token in tokens for child in token.children or ()]
    blocks = [token for token in tokens if token.type not in {"inline", "fence"}]
    return " ".join(each.content for each in (*spans, *blocks) if each.type != "code_inline")


@pytest.mark.parametrize(
    "text", [EVIL, "`", "x ` @ada <b> `` #1", "``` x", "\n```\n@ada\n", "%0A::error::", "a,b:c"]
)
def test_hostile_text_stays_text(text: str) -> None:
    each = hostile(text)
    valid_junit(each)
    valid_sarif(each)
    rest = outside_of_code(summary([each]))
    assert not {"@", "#", "<", "[", "`", "\x1b", "\u202e"} & {*rest}
    for line in annotations([each]):
        assert "\n" not in line
        assert re.fullmatch(r"::error( (file|line|title)=[^:,]*(,(line|title)=[^:,]*)*)::.*", line)


@given(st.text(st.characters()))
def test_any_text_makes_valid_documents(text: str) -> None:
    valid_junit(hostile(text))
    valid_sarif(hostile(text))
    summary([hostile(text)]).encode()


def test_reports_of_all_commands_are_read(tmp_path: Path) -> None:
    gate: Json = {"gate": "tamper", "status": "failed", "faults": [{"path": "a", "line": 2}]}
    run: Json = {"type": "result", "task": "T-1", "outcome": "failed", "exit_code": 1,
                 "verification": {"gates": [gate]}}  # fmt: skip
    verified: Json = {"type": "verification", "what": "x", "task": None, "passed": True, "exit_code": 0,
                      "reason": "", "base": "b" * 40, "tip": "t" * 40, "gates": []}  # fmt: skip
    linked: Json = {"type": "linked", "task": "H", "outcome": "failed", "exit_code": 1,
                    "reason": "T-1: no", "runs": [run, {**run, "task": "T-2"}]}  # fmt: skip
    conflict: Json = {**linked, "outcome": "conflict", "runs": [{**run, "outcome": "done"}]}
    batches: Json = {"type": "batches", "task": "B", "outcome": "done",
                     "batches": [{"id": "1", "run": "../../x", "outcome": "done"}]}  # fmt: skip

    names = [
        [(each.name, each.outcome) for each in judged_of(report, tmp_path)]
        for report in (run, verified, linked, conflict, batches)
    ]
    assert names == [
        [("T-1", "failed")],
        [("x", "done")],
        [("T-1", "failed"), ("T-2", "failed")],
        [("T-1", "done"), ("H", "conflict")],
        [("-", "done")],
    ]
    assert judged_of(run, tmp_path)[0].evidence[0].faults == (Fault("", "a", 2),)
