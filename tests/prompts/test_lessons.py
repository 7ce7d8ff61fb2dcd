"""Lessons: which ones apply to a task."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.prompts import lessons as module
from agentflow.prompts.lessons import relevant_lessons
from agentflow.records import Boundaries, Task
from tests.growth import check_growth, repeated
from tests.prompts.trees import tree

TASK = Task(
    "TASK-7", "Paging of the API", "Add a cursor to the user list. Mind row level security."
)
API = Boundaries(("apps/api/src/**",))


def chosen(text: str, boundaries: Boundaries = API) -> bool:
    return bool(relevant_lessons(tree({".meta/lessons/001-x.md": text}), TASK, boundaries))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Always applies.", True),
        ("---\ntags: [cursor, other]\n---\nx", True),
        ("---\ntags: billing, row-level-security\n---\nx", True),
        ("---\ntags: billing\n---\nx", False),
        ("---\ntags: all\n---\nx", True),
        ("---\napplies_to: ['apps/**']\n---\nx", True),
        ("---\npaths: apps/web/**\n---\nx", False),
        ("---\npaths: '**/*.sql'\n---\nx", False),
        ("---\ntags: billing\napplies_to: apps/api/\n---\nx", True),
        ("---\nbroken: [\n---\n**Tags**: #billing", False),
        ("**Tags**: #billing #API\n", True),
        ("Text.\n#billing #web\n", False),
        (
            "# Title\n## Applicability\n- **Components**: api, web\n- Task Types: x\n## More\n- y",
            True,
        ),
        ("# Title\n## Applicability\n- Components: web\n## Text\n- about the API\n", False),
        ("```\n#billing\n```\n", True),
    ],
)
def test_tags_and_globs_decide(text: str, expected: bool) -> None:
    assert chosen(text) is expected


def test_globs_apply_where_everything_may_change() -> None:
    assert chosen("---\npaths: apps/web/**\n---\nx", Boundaries())


def test_templates_and_indexes_are_no_lessons_and_the_best_match_is_first() -> None:
    files = {
        ".meta/lessons/000-template.md": "no",
        ".meta/lessons/index.md": "no",
        ".meta/lessons/README.md": "no",
        ".meta/lessons/_draft.md": "no",
        ".meta/lessons/list.txt": "no",
        ".meta/lessons/001-general.md": "General.\n",
        ".orchestrator/lessons/api/002-cursor.md": "---\ntags: [cursor, api]\n---\n\nUse `$1`.\n",
    }
    assert relevant_lessons(tree(files), TASK, API) == (
        "From `.orchestrator/lessons/api/002-cursor.md`:\n\n```\nUse `$1`.\n```\n\n"
        "From `.meta/lessons/001-general.md`:\n\n```\nGeneral.\n```"
    )


def test_many_and_long_lessons_are_bounded() -> None:
    files = {f".meta/lessons/{number:03}-x.md": "word\n" * 5_000 for number in range(30)}
    text = relevant_lessons(tree(files), TASK, API)
    assert len(text) < (module.MAX_LESSON + 300) * module.MAX_LESSONS + 10 * 100
    assert text.endswith("- `.meta/lessons/029-x.md`")


@given(st.text() | st.text("-\n#: tags[],*`").map("---\ntags: {}\n---\n".format))
def test_no_lesson_crashes(text: str) -> None:
    chosen(text)


@pytest.mark.parametrize("begin", ["", "- "])
@pytest.mark.parametrize("piece", [" ", "a ", "#a ", "*", "* ", "tag", "tag:", "tag: ", ":"])
def test_time_grows_with_the_length_only(begin: str, piece: str) -> None:
    rest = repeated(piece)

    def made(size: int) -> str:
        return "## Applicability\n" + f"{begin}{rest(size)}\n" * 10

    check_growth(chosen, made, 1_000)
