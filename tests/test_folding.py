"""Lines for a terminal: broken between words, and never inside what is copied."""

import itertools

import pytest

from agentflow.folding import columns, elided, fold, folded, with_commands_apart
from tests.growth import check_growth, repeated

RUN = "BILLING-REFUNDS-EVENTS-2026-20261129T110905-d2b9"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("short", ["short"]),
        ("one two three four five", ["one two three", "  four five"]),
        ("  one two three four", ["  one two three", "    four"]),
        ("a  one two three four", ["a  one two", "   three four"]),
        ("12 words take 3 min 07 s or so", ["12 words take", "  3 min 07 s or", "  so"]),
        ("(`a b c`) and `d e f`", ["(`a b c`) and", "  `d e f`"]),
        ("x `a b c d e f g h i` y", ["x `a b c d e f", "  g h i` y"]),
        ("path /a/b/c/d/e/f", ["path", "  /a/b/c/d/e/f"]),
        ("path /a/b/c/d/e/f/g/h/i/j/k now", ["path", "  /a/b/c/d/e/f/g/h/i/j/k", "  now"]),
        ("          deep text that goes on", ["    deep text", "      that goes", "      on"]),
        ("世界世界世界世界", ["世界世界世界世", "  界"]),
        ("go: git log -p a..bc, then stop", ["go:", "  git log -p a..bc,", "  then stop"]),
        ("go on (agentflow trust) or not", ["go on", "  (agentflow trust)", "  or not"]),
        ("agentflow run X --gate 'a b'  # as", ["agentflow run X --gate 'a b'", "  # as"]),
        ("yes. agentflow never asks it to", ["yes. agentflow", "  never asks it", "  to"]),
        ("", [""]),
        ("x" * 40, ["x" * 40]),
    ],
)  # fmt: skip
def test_a_line_is_broken_between_words(text: str, lines: list[str]) -> None:
    assert folded(text, 15).split("\n") == lines


@pytest.mark.parametrize("width", range(20, 90))
@pytest.mark.parametrize(
    "text",
    [
        f"error: nothing is kept of the run {RUN}, so it cannot go on",
        f"  next     agentflow answer {RUN} 'your answer'",
        "  report   .orchestrator/runs/TASK-1-20261129T110905-d2b9/report.json",
        "  ✓ passed  boundaries   every commit stays within notes/**, tests/**, README.md",
        f"{'':40}Get 0.12 or later where you can.",
        "wörter 世界 in e\u0301 mixed  columns",
    ],
)
def test_nothing_is_lost_and_only_what_is_copied_is_wider(text: str, width: int) -> None:
    lines = folded(text, width).split("\n")
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    for line in lines:
        alone = line.strip()
        assert columns(line) <= width or " " not in alone or alone.startswith("agentflow answer")
    for before, after in itertools.pairwise(lines):
        assert before.strip()
        assert after.startswith(" ") or columns(after) > width - 3


def test_offsets_name_the_text() -> None:
    text = "a  one two three"
    assert [(line.indent, text[line.start : line.end]) for line in fold(text, 10)] == [
        (0, "a  one two"),
        (3, "three"),
    ]


@pytest.mark.parametrize("width", range(3, 30))
def test_a_path_loses_its_middle(width: int) -> None:
    path = "src/世界/modules/billing/refunds.py"
    shown = elided(path, width)
    assert columns(shown) <= width
    if width < columns(path):
        head, _, tail = shown.partition("…")
        assert path.startswith(head)
        assert path.endswith(tail)
    assert elided(path, 100) == path


@pytest.mark.parametrize(
    "pattern",
    ["a ", "`", "` a", "agentflow ", "'", "世", "3 min ", "a  b ", ": git x", "\u3099", "::a "],
)
def test_long_lines_take_time_in_proportion(pattern: str) -> None:
    check_growth(lambda text: folded(text, 60), repeated(pattern), 80_000)


def test_blanks_at_a_lines_end_take_time_in_proportion() -> None:
    check_growth(lambda count: folded("a" + " " * count, 60), int, 80_000)


@pytest.mark.parametrize("width", range(3, 80))
def test_no_line_begins_with_what_a_ci_system_obeys(width: int) -> None:
    text = f"{'x' * 50} and then ::error file=a::b ::warning::c"
    assert not any(line.lstrip().startswith("::") for line in folded(text, width).split("\n"))


def test_a_sentence_that_begins_with_a_programs_name_is_no_command() -> None:
    text = "error: git is not installed on this machine and cannot be found"
    assert folded(text, 40).split("\n") == [
        "error: git is not installed on this",
        "  machine and cannot be found",
    ]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("agentflow run B", ["agentflow run B"]),
        ("Go on with: agentflow resume B. Or start anew: agentflow run B --fresh.",
         ["Go on with:", "agentflow resume B", "Or start anew:", "agentflow run B --fresh"]),
        ("Do that: git add . Then more.", ["Do that:", "git add .", "Then more."]),
        ("Remove it (git branch -D x), or not.", ["Remove it (git branch -D x), or not."]),
        ("agentflow run B --gate 't=a. b: agentflow x'", ["agentflow run B --gate 't=a. b: agentflow x'"]),
        ("git is here: agentflow was there", ["git is here: agentflow was there"]),
        ("one\ntwo: cd x", ["one", "two:", "cd x"]),
        ("", [""]),
    ],
)  # fmt: skip
def test_each_command_stands_alone(text: str, lines: list[str]) -> None:
    apart = with_commands_apart(text)
    assert apart.split("\n") == lines
    assert with_commands_apart(apart) == apart


@pytest.mark.parametrize("pattern", ["x: agentflow y. ", "x (agentflow y) ", "x  agentflow y  z "])
def test_commands_apart_take_time_in_proportion(pattern: str) -> None:
    check_growth(with_commands_apart, repeated(pattern), 80_000)
