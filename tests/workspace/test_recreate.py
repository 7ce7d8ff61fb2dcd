"""Re-created commits: messages, trailers, and the variant with the base's files."""

import pytest

from agentflow.workspace.recreate import (
    clean_message,
    trailers_for,
    with_files_of,
    with_trailers,
)
from tests.workspace.place import Work

OURS = ("Agentflow-Run: r", "Assisted-by: agentflow:m")
TAIL = "Agentflow-Run: r\nAssisted-by: agentflow:m\n"


@pytest.mark.parametrize(
    ("message", "cleaned"),
    [
        ("feat: x\n\nbody\n", "feat: x\n\nbody"),
        ("feat: \x1b[31mred\x07\u202e\udcff\r\n\tcode", "feat: [31mred\n\tcode"),
        ("x\n\nAgentflow-Run: forged\nFixes: #1\nSIGNED-OFF-BY: a <a@b>", "x\n\nFixes: #1"),
        ("x\n\nReviewed-by: Linus\n  <l@example.com>\nFixes: #1", "x\n\nFixes: #1"),
        ("x\n\nAgentflow-Task : y\n  Agentflow-Run-2: z\nCo-authored-by: q <q@r>", "x"),
        ("x\n\nAssisted-by: other\n---\nAgentflow-Run: forged", "x\n\n---"),
        ("x\n\nWe discussed reviewed-by: lines.", "x\n\nWe discussed reviewed-by: lines."),
        ("Signed-off-by: a", "Change without a message"),
        ("", "Change without a message"),
        ("x" * 9000, "x" * 8000),
    ],
)
def test_messages_are_cleaned(message: str, cleaned: str) -> None:
    assert clean_message(message) == cleaned


@pytest.mark.parametrize(
    ("message", "complete"),
    [
        ("feat: x", f"feat: x\n\n{TAIL}"),
        ("x\n\nbody", f"x\n\nbody\n\n{TAIL}"),
        ("x\n\nbody\n\nFixes: #1", f"x\n\nbody\n\nFixes: #1\n{TAIL}"),
        ("x\n\nFixes: #1\nand more", f"x\n\nFixes: #1\nand more\n\n{TAIL}"),
    ],
)
def test_trailers_are_added(message: str, complete: str) -> None:
    assert with_trailers(message, OURS) == complete


@pytest.mark.parametrize(
    ("assisted_by", "sign_off", "more"),
    [
        ("agentflow:{model}", None, ["Assisted-by: agentflow:m-1"]),
        ("", None, []),
        (" ", ("Ada", "a@b"), ["Signed-off-by: Ada <a@b>"]),
        (
            "{model} {x}\nReviewed-by: y",
            ("Ada", "a@b"),
            ["Assisted-by: m-1 {x} Reviewed-by: y", "Signed-off-by: Ada <a@b>"],
        ),
    ],
)
def test_trailers_of_a_run(
    assisted_by: str, sign_off: tuple[str, str] | None, more: list[str]
) -> None:
    trailers = trailers_for("T-1", "T-1-r", "m-1", assisted_by, sign_off)

    assert trailers == ("Agentflow-Task: T-1", "Agentflow-Run: T-1-r", *more)
    names = [trailer.partition(":")[0] for trailer in trailers]
    forged = "\n".join(f"{name}: forged" for name in names)
    assert clean_message(f"x\n\n{forged}") == "x"


def test_git_reads_the_trailers_as_ours_alone(work: Work) -> None:
    candidate = work.collect(
        r"""
        echo x > app/x; git add -A
        git commit -qm "$(printf 'x\n\nAgentflow-Run: forged\nFixes: #1\n\n---\n\nReviewed-by: me')"
        """
    )

    trailers = work.state.text("log", "-1", "--format=%(trailers:unfold)", candidate.tip)
    assert trailers.splitlines() == [
        "Agentflow-Task: TASK-1",
        "Agentflow-Run: TASK-1-x",
        "Assisted-by: agentflow:m",
    ]


def test_other_encodings_become_utf_8(work: Work) -> None:
    candidate = work.collect(
        "echo x > app/x; git add -A; git -c i18n.commitEncoding=ISO-8859-1 commit -q "
        "-m $'gr\\xfc\\xdfe'"
    )

    assert candidate.commits[0].subject == "grüße"
    assert "encoding" not in work.state.text("cat-file", "commit", candidate.tip)


def test_files_of_the_base_are_restored_removed_and_added_again(work: Work) -> None:
    candidate = work.candidate(
        """
        echo edited > tests/test_main.py; rm -r docs; echo file > docs; echo x > conftest.py
        echo kept > app/main.py
        """
    )
    paths = ["tests/test_main.py", "docs/guide.md", "conftest.py"]

    restored = with_files_of(work.state, candidate.tip, candidate.base, paths)

    diff = work.state.text("diff-tree", "-r", "--name-status", candidate.base, restored)
    assert diff == "M\tapp/main.py"
    assert work.state.text("rev-parse", f"{restored}^") == candidate.tip
    assert with_files_of(work.state, candidate.tip, candidate.base, paths) == restored
    assert not (work.folder / "state.git/base-files-index").exists()
