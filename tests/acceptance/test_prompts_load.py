"""The script that loads a folder of prompts, on small folders of our own."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.prompts_load import denied, granted

SCRIPT = Path(__file__).with_name("prompts_load.py")


def run(folder: Path) -> tuple[int, list[str]]:
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder)], capture_output=True, text=True, check=False
    )
    return ended.returncode, [" ".join(line.split()) for line in ended.stdout.splitlines()]


def test_counts_what_loads_and_why_others_do_not(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    files = {
        "a.md": "just text",
        "b.md": "---\ntools: Read\n---\nx",
        "deep/c.md": "---\ntools: Bash(git:*)\nd: a: b\n---\nx",
        "d.md": "---\ntools: Read\n\nx",
        "e.txt": "no prompt",
        "f.md": "---\ntools: []\n---\nx",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / "g.md").write_bytes(b"\xff")
    assert run(tmp_path) == (
        0,
        [
            "1 error tools-none",
            "5 profile default",
            "1 read none",
            "1 read repaired",
            "1 read scanned",
            "2 read yaml",
            "1 refused is not UTF- text",
            "4 tools at most those it lists",
            "1 tools the default ones",
            "6 files",
        ],
    )


def test_an_empty_folder_is_a_failure(tmp_path: Path) -> None:
    assert run(tmp_path) == (1, ["0 files"])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("text\n---\ntools: Read\n---\n", None),
        ("---\nname: x\n---\ntools: Read", None),
        ("---\ntools: '*'\n---\n", None),
        ("---\ntools: Read, Bash(x)  # Edit\nz: 1\n---\n", {"Read", "Bash(x)"}),
        (
            "\n\ufeff---\r\nallowed-tools:\r\n- Read\r\n  - 'Edit'\r\nz: Bash\r\n---\r\n",
            {"Read", "Edit"},
        ),
        ("---\rtools: [Read,\r  Edit]\r", {"Read", "Edit"}),
        ("---\ndisallowedTools: Bash\n---\n", None),
        ("---\npermission:\n  bash: deny\n---\n", set[str]()),
    ],
)
def test_the_independent_reading_of_raw_lines(text: str, names: set[str] | None) -> None:
    assert granted(text) == names


def test_an_agent_that_plans_may_change_nothing() -> None:
    assert denied("---\npermissionMode: plan\ndisallowedTools: Grep\n---\nx") == {
        "Grep",
        "Write",
        "Edit",
        "Bash",
    }
    assert denied("---\npermissionMode: default\n---\npermissionMode: plan") == set()
