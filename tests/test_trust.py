"""Trust: the words that widen a repository's reach, and what the user granted."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.trust import (
    FILE,
    MAX_TEXT,
    NOTHING,
    VARIABLE,
    Trust,
    difference,
    digest,
    grant,
    read_trust,
    widening,
)

WORDS = 'environment.network = [\n  "a.example",\n]\n'


@pytest.fixture
def user(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path / "config")}


@pytest.fixture
def common_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "repository" / ".git"
    folder.mkdir(parents=True)
    return folder


def store(user: dict[str, str]) -> Path:
    return Path(user["XDG_CONFIG_HOME"]) / "agentflow" / FILE


def test_every_widening_part_is_written_sorted_and_in_ascii() -> None:
    table: dict[str, Any] = {
        "services": {
            "ü z": {"ready": "r", "command": "c\x1b[2J\n", "env": {"B": "2", "A": "\u202e"}},
            "db": {"command": "c", "ready": "r", "timeout": 5},
        },
        "readable": ["/opt/jdk"],
        "environment": {
            "setup": "npm ci",
            "variables": {"X": "1"},
            "network": ["b.example", "a.example"],
            "env_from": ["TOKEN"],
            "files": [".npmrc"],
            "agent": {"env_from": ["A"], "network": ["c.example"], "variables": {"Y": "1"}},
            "gates": {"env_from": ["G"]},
        },
        "max_turns": 3,
    }
    assert (
        widening(table)
        == r"""environment.agent.env_from = [
  "A",
]
environment.agent.network = [
  "c.example",
]
environment.env_from = [
  "TOKEN",
]
environment.files = [
  ".npmrc",
]
environment.gates.env_from = [
  "G",
]
environment.network = [
  "b.example",
  "a.example",
]
environment.setup = "npm ci"
readable = [
  "/opt/jdk",
]
services.db.command = "c"
services.db.ready = "r"
services.db.timeout = 5
services."\u00fc z".command = "c\u001b[2J\n"
services."\u00fc z".env.A = "\u202e"
services."\u00fc z".env.B = "2"
services."\u00fc z".ready = "r"
"""
    )


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"environment": {"setup": "x"}},
        {"environment": {"network": [], "agent": {"env_from": []}}, "services": {}, "readable": []},
    ],
)
def test_what_asks_for_nothing_has_no_words(table: dict[str, Any]) -> None:
    assert widening(table) == ""
    NOTHING.check("", "here")


def test_what_nobody_could_read_is_refused() -> None:
    with pytest.raises(UsageError, match="longer than 32768 characters"):
        widening({"readable": ["/" + "x" * MAX_TEXT]})


def test_only_the_same_words_are_covered() -> None:
    assert Trust(WORDS).covers(WORDS)
    assert Trust(sha256=digest(WORDS)).covers(WORDS)
    assert not Trust(WORDS).covers(WORDS.replace("a.", "b."))
    assert not Trust(sha256=digest(WORDS)[:16]).covers(WORDS)
    assert not NOTHING.covers(WORDS)


def test_a_change_is_refused_with_the_difference() -> None:
    with pytest.raises(UsageError) as caught:
        Trust(WORDS).check(WORDS.replace("a.", "b."), "config.toml")
    assert caught.value.message == (
        "what config.toml asks for beyond the sandbox changed since you trusted it:\n"
        "--- trusted\n+++ config.toml\n@@ -1,3 +1,3 @@\n environment.network = [\n"
        '-  "a.example",\n+  "b.example",\n ]'
    )
    assert "agentflow trust" in caught.value.hint
    assert VARIABLE in caught.value.hint


def test_a_long_difference_is_shortened() -> None:
    items = [f"/{n}{'x' * 300}" for n in range(80)]
    with pytest.raises(UsageError) as caught:
        Trust(WORDS).check(widening({"readable": items}), "config.toml")
    assert len(caught.value.message) < 10_000
    assert caught.value.message.endswith("… and 47 more lines")


def test_a_grant_is_kept_for_this_repository_alone(
    user: dict[str, str], common_dir: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    grant(common_dir, user, WORDS)
    grant(other, user, "x = 1\n")
    assert read_trust(common_dir, user) == Trust(WORDS)
    assert read_trust(other, user) == Trust("x = 1\n")
    assert json.loads(store(user).read_text())[str(common_dir)] == {
        "sha256": digest(WORDS),
        "text": WORDS,
    }
    assert store(user).stat().st_mode & 0o777 == 0o600
    assert store(user).parent.stat().st_mode & 0o777 == 0o700

    grant(common_dir, user, "")
    assert read_trust(common_dir, user) == NOTHING
    assert read_trust(other, user) == Trust("x = 1\n")


def test_a_link_to_the_repository_is_the_repository(
    user: dict[str, str], common_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(common_dir.parent)
    grant(tmp_path / "link" / ".git", user, WORDS)
    assert read_trust(common_dir, user) == Trust(WORDS)


def test_a_path_that_is_no_text_can_be_granted(user: dict[str, str], tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"\xff")
    grant(odd, user, WORDS)
    assert read_trust(odd, user) == Trust(WORDS)


def test_ci_says_it_in_a_variable(user: dict[str, str], common_dir: Path) -> None:
    said = {**user, VARIABLE: f" {digest(WORDS).upper()}\n"}
    assert read_trust(common_dir, said) == Trust("", digest(WORDS))
    with pytest.raises(UsageError, match=f"^{VARIABLE} is not a SHA-256"):
        read_trust(common_dir, {**user, VARIABLE: digest(WORDS)[:16]})


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{", '{"a": 1}', '{"a": {}}', '{"a": {"text": "x"}}', "\xff",
        '{"a": {"text": "x", "sha256": "y"}}', '{"a": {"text": 1, "sha256": "y"}}',
        '{"a": {"text": "x", "sha256": "y", "more": 1}}', "[" * 9999,
    ],
)  # fmt: skip
def test_a_damaged_file_grants_nothing(user: dict[str, str], common_dir: Path, text: str) -> None:
    store(user).parent.mkdir(parents=True)
    store(user).write_text(text, "latin-1")
    for use in (lambda: read_trust(common_dir, user), lambda: grant(common_dir, user, WORDS)):
        with pytest.raises(UsageError, match=r"trust\.json is damaged"):
            use()
    assert store(user).read_text("latin-1") == text


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, common_dir: Path) -> None:
    (tmp_path / "file").touch()
    user = {"XDG_CONFIG_HOME": str(tmp_path / "file")}
    assert read_trust(common_dir, user) == NOTHING
    with pytest.raises(EnvironmentFailure, match=r"file/agentflow: Not a directory$"):
        grant(common_dir, user, WORDS)


def test_a_file_that_cannot_be_read_is_named(user: dict[str, str], common_dir: Path) -> None:
    store(user).mkdir(parents=True)
    with pytest.raises(UsageError, match=r"trust.json: Is a directory$"):
        read_trust(common_dir, user)


def test_equal_words_do_not_differ() -> None:
    assert difference(WORDS, WORDS, "x") == ""
