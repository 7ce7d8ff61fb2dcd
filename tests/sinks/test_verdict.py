"""The verdict, for reports that a repository may have brought."""

import io
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.records import Limits
from agentflow.shown_reports import shown
from agentflow.sinks.printer import PlainPrinter
from agentflow.sinks.verdict import print_verdict
from tests.changed import changed

EVIL = "\x1b]0;owned\x07\x1b[2J\n::error::x \u202e"
WRONG: list[Any] = [None, True, -1, 10**400, 1e300, "x", EVIL, [], [1], {}, {"a": 1}]

FIELDS: dict[str, Any] = {
    "task": "TASK-1",
    "run": "TASK-1-20250101T000000-abcd",
    "outcome": "done",
    "title": "Say hello",
    "reason": "r",
    "hint": "h",
    "base": "b" * 40,
    "marker": "m",
    "work_tree": "w",
    "num_turns": 1,
    "duration_ms": 1500,
    "total_cost_usd": 0.5,
    "usage": {"input_tokens": 10, "output_tokens": 2},
    "landed": {"ref": "refs/heads/x", "tip": "t" * 40, "replaced": "refs/old"},
    "commits": [{"sha": "c" * 40, "subject": "mine"}],
    "changes": {
        "files_changed": 1,
        "insertions": 2,
        "deletions": 3,
        "files": [{"path": "app/x", "insertions": 2, "deletions": 3}],
    },
    "verification": {
        "repairs": 1,
        "gates": [
            {
                "gate": "build",
                "status": "failed",
                "summary": "s",
                "detail": "d",
                "criteria": [{"text": "the box", "state": "met", "by": "build"}],
            }
        ],
    },
}


def printed(report: dict[str, Any]) -> str:
    file = io.StringIO()
    print_verdict(PlainPrinter(file), report)
    return file.getvalue()


def evil(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: evil(each) for name, each in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [evil(each) for each in cast(list[Any], value)]
    return EVIL if isinstance(value, str) else value


def is_harmless(text: str) -> bool:
    commands = [line for line in text.splitlines() if line.lstrip().startswith("::")]
    return not commands and not {"\x1b", "\x07", "\u202e"} & set(text)


def test_a_whole_report_is_printed() -> None:
    assert printed(FIELDS).splitlines() == [
        "done  TASK-1  Say hello",
        "  r",
        "  ✗ failed  build        s",
        "      d",
        "      met         the box (build)",
        "  changes  1 file, +2 −3",  # noqa: RUF001
        "           app/x  +2 −3",  # noqa: RUF001
        "  commit   cccccccccccc  mine",
        "  landed   x (on bbbbbbbbbbbb)",
        "  old tip  refs/old",
        "  spent    1 turn · 1 repair · 12 tokens · $0.5000 · 1.5 s",
        "  marker   m",
        "  work     w (the agent's files, kept)",
        "  report   .orchestrator/runs/TASK-1-20250101T000000-abcd/report.json",
        "  page     agentflow report TASK-1 --open",
        "  next     h",
        "  next     git log -p bbbbbbbbbbbb..cccccccccccc",
    ]


def test_the_name_of_a_branch_is_one_word_where_its_command_is_copied() -> None:
    landed = {**FIELDS["landed"], "ref": "refs/heads/feat/a&b"}
    fields: dict[str, Any] = {**FIELDS, "landed": landed, "commits": []}
    assert printed(fields).endswith("git log -p bbbbbbbbbbbb..'feat/a&b'\n")


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize("outcome", ["done", "blocked", "budget", "odd"])
def test_a_report_with_any_wrong_part_is_printed(wrong: Any, outcome: str) -> None:
    for report in changed({**FIELDS, "outcome": outcome}, wrong)[1:]:
        assert is_harmless(printed(report))


@given(st.dictionaries(st.sampled_from([*FIELDS, "already_done"]), st.sampled_from(WRONG)))
def test_any_object_is_printed(report: dict[str, Any]) -> None:
    assert is_harmless(printed(report))


@pytest.mark.parametrize("outcome", ["done", "conflict", "budget", EVIL])
@pytest.mark.parametrize("already_done", [True, False])
def test_no_text_of_a_report_reaches_the_terminal(outcome: str, *, already_done: bool) -> None:
    report = {**evil(FIELDS), "outcome": outcome, "already_done": already_done}
    assert is_harmless(printed(report))


def test_what_is_shown_of_a_report_of_ours_is_what_it_says() -> None:
    usage = {"cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
    gate: dict[str, Any] = {
        **FIELDS["verification"]["gates"][0],
        "seconds": 0,
        "notices": [],
        "faults": [],
    }
    assert shown({**FIELDS, "type": "result"}) == {
        **FIELDS,
        "reply": None,
        "combined": None,
        "again": "",
        "enough": dict.fromkeys(Limits.__annotations__),
        "needed_elsewhere": [],
        "follow_ups": [],
        "replay": False,
        "kept": "",
        "task_total": {"cost_usd": None, "runs": 0, "turns": 0},
        "usage": {**FIELDS["usage"], **usage},
        "verification": {"repairs": 1, "gates": [gate]},
    }
    assert shown({})["landed"] is None
