"""Files that an answer lists, in the shapes in which agents list them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.gates.file_list import FileListAudit, asks_for_files, listed_files
from agentflow.results import Candidate, Change, Commit, Evidence
from tests.growth import check_growth, repeated


@pytest.mark.parametrize(
    ("answer", "files"),
    [
        ("## Files\n- `app/a.py`: new\n- app/b.py - changed\n\n## Notes\n- c.py", ("app/a.py", "app/b.py")),
        ("**Files created/modified**:\n1. [x] `/workspace/app/a.py`\n2. ./b.py,\n", ("app/a.py", "b.py")),
        ("Files modified:\n\n- **src/[id]/route.ts** (new)\n", ("src/[id]/route.ts",)),
        ("- **Files created**\n  - `a/b.ts`\n- **Files deleted**\n  - `c/d.ts`\n", ("a/b.ts", "c/d.ts")),
        ("Modified files:\n* none\n", ()),
        ("I changed app/a.py.\n- `app/b.py`", ()),
        ("### Tests\n- tests/a.py passes", ()),
    ],
)  # fmt: skip
def test_lists_in_every_shape(answer: str, files: tuple[str, ...]) -> None:
    assert listed_files(answer) == files


async def test_differences_are_told_and_nothing_fails() -> None:
    changes = (Change("A", "app/a.py", "100644", "x"), Change("M", "app/m.py", "100644", "x"))
    candidate = Candidate(
        "b",
        "t",
        (Commit("t", "tree", ("b",), "m", changes),),
        answer="Files:\n- app/a.py\n- z.py\n",
    )

    assert await FileListAudit().compare(candidate, ()) == Evidence(
        "file-list",
        "passed",
        "the answer lists 2 files",
        notices=(
            "the answer lists what no commit changes: z.py",
            "the answer does not list what changed: app/m.py (modified)",
        ),
    )
    absolute = replace(
        candidate, answer="Files:\n- /home/a/tree/app/a.py\n- /home/a/tree/app/m.py\n"
    )
    assert (await FileListAudit().compare(absolute, ())).notices == ()
    silent = await FileListAudit().compare(Candidate("b", "t", answer="Done."), ())
    assert silent == Evidence("file-list", "skipped", "the answer lists no files")


@given(
    st.lists(st.sampled_from(["Files:", "- a/b.py", "## x", "  ", "* `c`", "**Files**", "\x0b"]))
)
def test_no_answer_crashes_it(lines: list[str]) -> None:
    assert set(listed_files("\n".join(lines))) <= {"a/b.py"}


@pytest.mark.parametrize(
    ("begin", "piece"), [("", "Files created "), ("", "#"), ("- ", "a/"), ("", "*"), ("- ", " ")]
)
def test_time_grows_with_the_length_only(begin: str, piece: str) -> None:
    rest = repeated(piece)
    check_growth(listed_files, lambda size: f"{begin}{rest(size)}\n" * 100, 1_000)
    check_growth(listed_files, lambda lines: f"{begin}{rest(50)}\n" * lines, 8_000)


def test_which_prompts_ask_for_a_list() -> None:
    assert asks_for_files("3. List files created/modified\n")
    assert asks_for_files("## Files\n")
    assert not asks_for_files("You may change files.\nWhat was created?")
