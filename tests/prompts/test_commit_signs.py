"""Who commits, as texts say it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.prompts.commit_signs import (
    SIGNS,
    commit_statements,
    disagreement,
    disagreement_told,
)
from agentflow.records import Commits
from tests.growth import check_growth, lines, repeated

FILE = Path("a.md")


def said(body: str) -> list[tuple[int, str]]:
    return [(each.line, each.says) for each in commit_statements(body, FILE, 3)]


def test_every_sign_is_shown_by_its_example() -> None:
    for sign in SIGNS:
        assert re.search(sign.expression, sign.example, re.IGNORECASE)
        assert said(sign.example) == [(4, sign.says)]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("**YOU DO NOT HANDLE GIT**. The team-leader is responsible for all git.", ["other"]),
        ("- Don't commit.", ["other"]),
        ("Never run `git commit`.", ["other"]),
        ("Do not commit your changes yourself", ["other"]),
        ("Developers NEVER commit", ["other"]),
        ("You do NOT create git commits (the lead does)", ["other"]),
        ("Do NOT commit or push", ["other"]),
        ("The orchestrator will then commit.", ["other"]),
        ("- Create ONE commit for entire batch", ["agent"]),
        ("**ONE COMMIT PER BATCH**", ["agent"]),
        ("   git commit -am 'feat: x'", ["agent"]),
        ("5. Commit your changes with a message", ["agent"]),
        ("Make a commit; do not commit.", ["other", "agent"]),
        ("Never commit secrets to git", []),
        ("Do not commit .env. It stays.", []),
        ("# .env (DO NOT commit - add to .gitignore)", []),
        ("never commit directly to main", []),
        ("You are NEVER allowed to stage and commit files automatically.", []),
        ("If a test fails, do not commit until it passes", []),
        ("- All git commits verified", []),
        ("- Team-leader verifies commits", []),
        ("Do not use git push", []),
        ("Never run git rebase.", []),
        ("Create a commit message", []),
        ("commitment to quality: we make one commitment", []),
    ],
)
def test_orders_are_told_from_rules(line: str, says: list[str]) -> None:
    assert said(line) == [(4, each) for each in says]


def test_lines_in_fences_count_and_are_those_of_the_file() -> None:
    assert said("x\n\n```bash\ngit commit -m x\n```\n") == [(7, "agent")]


@pytest.mark.parametrize(
    ("text", "commits", "disputed"),
    [
        ("Do not commit.", "agent", True),
        ("Do not commit.", "orchestrator", False),
        ("Do not commit.", "none", False),
        ("Commit your work.", "agent", False),
        ("Commit your work.", "orchestrator", True),
        ("Commit your work.", "none", True),
        ("Commit your work. Do not commit.", "agent", True),
        ("Work.", "agent", False),
    ],
)
def test_a_text_is_held_against_the_profile(text: str, commits: Commits, disputed: bool) -> None:
    assert bool(disagreement([(text, FILE, 0)], commits)) is disputed


def test_a_disagreement_names_the_first_line_of_each_text_and_kind() -> None:
    texts = [
        ("Make a commit.\nCommit your work.\nDo not commit.", FILE, 2),
        ("Work.", Path("b.md"), 0),
        ("Do not commit.", Path("c.md"), 5),
    ]
    found = disagreement(texts, "agent")
    assert disagreement_told(found, "agent") == (
        "it is not clear who commits: a.md:3 says that the agent commits, a.md:5 says that the "
        "agent does not commit, c.md:6 says that the agent does not commit; the profile decides: "
        "the agent commits"
    )


@given(st.lists(st.sampled_from(["commit", "git ", "not ", "never ", "`", " ", "\n", "-m"])))
def test_no_text_crashes(pieces: list[str]) -> None:
    body = "".join(pieces)
    assert all(each.line <= len(body.split("\n")) for each in commit_statements(body, FILE, 0))


@pytest.mark.parametrize(
    "piece", ["commit ", "not ", "git commit -", "leader will ", "a git ", "a git\n"]
)
@pytest.mark.parametrize(("made", "size"), [(lines, 2_000), (repeated, 128 * 1024)])
def test_time_grows_with_the_length_only(
    piece: str, made: Callable[[str], Callable[[int], str]], size: int
) -> None:
    check_growth(lambda text: commit_statements(text, FILE, 0), made(piece), size)
