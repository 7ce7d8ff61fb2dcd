"""Handoff blocks as teams write them."""

import contextlib
import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow.errors import UsageError
from agentflow.tasks.handoff import (
    MAX_HANDOFF,
    MAX_LINES,
    Endpoint,
    Handoff,
    is_placeholder,
    names,
    read_handoffs,
)
from tests.growth import check_growth

FIVE = """- **Trigger**: The inbox calls a missing endpoint
- **Expected backend work**:
  - New endpoint `POST /v1/messages/{id}/read`
  - **DTO**: `ReadMessageDto`
- **Frontend context**: hook useRead
  - **Endpoints**: PATCH /v1/messages
    ```json
    {"a": {"b": 1}}
    - **Trigger**: not a label
    ```
- **Service(s)**: `chat-service` (if any), mail-service
- **Contract requirements**: align `@acme/types`
```json
{"read": true}
```
- **Rollout**: soon"""

START = "--- BACKEND TASK HANDOFF (copy below) ---"
END = "--- END HANDOFF ---"


def read(text: str) -> Handoff:
    (block,) = read_handoffs(text, where="block.md").blocks
    return block


def check_five(block: Handoff, first: int) -> None:
    assert block.trigger == "The inbox calls a missing endpoint"
    assert (
        block.work == "- New endpoint `POST /v1/messages/{id}/read`\n  - **DTO**: `ReadMessageDto`"
    )
    assert block.context.startswith("hook useRead\n  - **Endpoints**: PATCH")
    assert '{"a": {"b": 1}}\n    - **Trigger**: not a label' in block.context
    assert block.services == ("chat-service", "mail-service")
    assert block.contract == 'align `@acme/types`\n```json\n{"read": true}\n```'
    assert [(each.method, each.path) for each in block.endpoints] == [
        ("POST", "/v1/messages/{id}/read"),
        ("PATCH", "/v1/messages"),
    ]
    assert [(each.name, each.text) for each in block.other] == [("Rollout", "soon")]
    assert block.lines["work"] == first + 1
    assert block.problems == ()


@pytest.mark.parametrize(
    ("before", "after", "first"),
    [
        (START, END, 2),
        ("--- PASTE FRONTEND AGENT HANDOFF BELOW ---", "--- END ---", 2),
        ("=== Backend Handoff ===", "=== end of handoff ===", 2),
        ("\u2014\u2014\u2014 BACKEND TASK HANDOFF \u2014\u2014\u2014", "\u2014\u2014\u2014 END \u2014\u2014\u2014", 2),
        (f"Hello.\n\n```text\n{START}", f"{END}\n```\nThanks.", 5),
        ("## For: backend", "", 2),
        ("## \U0001f4e4 Backend Task Handoff\n", "\n## Next heading\ntext", 3),
        ("", "", 1),
        ("```markdown\n## For: Backend", "```", 3),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_five_labels_in_every_frame(before: str, after: str, first: int, end: str) -> None:
    text = "\n".join(part for part in (before, FIVE, after) if part)

    check_five(read(text.replace("\n", end)), first)


def test_prose_around_a_block_is_kept_and_no_part_of_it() -> None:
    found = read_handoffs(f"Before.\n{START}\n{FIVE}\n{END}\nAfter.", where="x")

    assert found.around == "Before.\nAfter."
    assert "Before" not in found.blocks[0].text


def test_bold_plain_and_heading_labels_are_read_alike() -> None:
    plain = (
        "Trigger: x\nExpected backend work: add it\nService(s): a and b\nContract requirements: -"
    )
    bold = (
        "**Trigger:** x\n\n**Expected backend work** - add it\n\n**Services**\n1. a\n2. b (new)\n"
    )
    heading = (
        "### Trigger\nx\n### Expected backend work:\nadd it\n### Service\n- a\n- b: maybe\n\nend"
    )

    for text in (plain, bold, heading):
        block = read(text)
        assert (block.trigger, block.work, block.services) == ("x", "add it", ("a", "b"))


def test_several_entries_with_labels_that_nobody_knows() -> None:
    text = """# Handoffs

## For: backend
**From:** frontend | **Issue:** #600 | **Created:** today

Party is malformed.

**Observed:**
```bash
curl -X PATCH "http://localhost:8080/api/v1/parties/2?x=1" | jq '.data'
## For: nobody
```

**Expected:**
```json
{"id": 1}
```

**Impact:**
Empty cards.

---

## For: frontend
**What frontend needs to do:**
- Nothing.

---

<!-- HANDOFF TEMPLATE
## For: backend
**Expected behavior:** none
-->
"""
    backend, frontend = read_handoffs(text, where="handoffs.md").blocks

    assert (backend.recipient, frontend.recipient) == ("backend", "frontend")
    assert backend.line == 4
    assert [(each.name, each.text) for each in backend.other] == [
        ("From", "frontend"),
        ("Issue", "#600"),
        ("Created", "today"),
        ("Impact", "Empty cards."),
    ]
    assert backend.work == backend.contract == '```json\n{"id": 1}\n```'
    assert backend.endpoints == (Endpoint("PATCH", "/api/v1/parties/2", 10),)
    assert "## For: nobody" in backend.trigger
    assert "---" not in backend.text


def test_what_stands_before_the_first_label_is_the_trigger() -> None:
    assert read("## For: backend\nIt breaks.\n\n**What you need to do:**\nMend it.").trigger == (
        "It breaks."
    )


def test_an_end_within_a_fence_of_the_block_does_not_end_it() -> None:
    block = read(f"{START}\n**Work:** a\n```\n--- END ---\n```\n**Service:** b\n{END}")

    assert block.services == ("b",)
    assert "--- END ---" in block.work


def test_a_fence_that_is_never_closed_does_not_hide_the_end() -> None:
    first, second = read_handoffs(
        f"{START}\n**Work:** a\n```\n{{\n{END}\n{START}\n**Work:** b\n{END}\n", where="x"
    ).blocks

    assert (first.work, second.work) == ("a\n```\n{", "b")
    assert [(each.line, each.message) for each in first.problems] == [
        (3, "the code fence that begins here is not closed")
    ]
    assert second.problems == ()


def test_a_block_without_end_ends_at_the_next_one_or_at_the_text() -> None:
    first, second = read_handoffs(f"{START}\n**Work:** a\n{START}\n**Work:** b", where="x").blocks

    assert (first.work, second.work) == ("a", "b")
    assert [each.line for each in (*first.problems, *second.problems)] == [1, 3]


def test_a_label_that_stands_twice_is_a_problem_and_loses_nothing() -> None:
    block = read("**Expected backend work:** a\n**Expected backend work:** b")

    assert block.work == "a\n\nb"
    assert [(each.line, each.message) for each in block.problems] == [
        (2, "a label of 'Expected backend work' stands twice")
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gaqno-ai-service", ("gaqno-ai-service",)),
        ("`apps/api/` and `@acme/types`", ("apps/api/", "@acme/types")),
        ("- api (if backend logic)\n- worker - later\n* mail: new", ("api", "worker", "mail")),
        ("api, worker; mail\n\nThe rest is prose, and long.", ("api", "worker", "mail")),
        ("TBD", ()),
        ("unknown / ?", ()),
        ("gaqno-*-service/", ("gaqno-*-service/",)),
        ("the **billing** service", ("the **billing** service",)),
        ("", ()),
    ],
)
def test_names_of_services(text: str, expected: tuple[str, ...]) -> None:
    assert names(text) == expected


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("[What backend should do]", True),
        ("- [One]\n- [Two]", True),
        ("[docs](https://example.org)", False),
        ("Do [this]", False),
        ("", False),
    ],
)
def test_a_templates_words_are_told_from_real_ones(text: str, is_one: bool) -> None:
    assert is_placeholder(text) is is_one


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "holds no handoff block"),
        (
            "# Handoff \u2014 T1\n## Files Changed\n- a.py\n## Decisions\n- b",
            "holds no handoff block",
        ),
        ("a\0b", "NUL"),
        ("x" * (MAX_HANDOFF + 1), "longer than"),
        ("\u00e9" * (MAX_HANDOFF // 2 + 1), "longer than"),
        ("\n" * MAX_LINES, "lines"),
        (f"{START}\n" * 101, "101 handoff blocks"),
    ],
)
def test_what_is_no_block_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        read_handoffs(text, where="x.md")
    assert caught.value.message.startswith("x.md")


PIECES = st.sampled_from([
    START, END, "--- END ---", "## For: backend", "```", "```json", "~~~~", "---", "<!--", "-->",
    "- **Trigger**: x", "  - **Endpoints**: GET /a", "**Work:**", "### Need", "**a:** b | **c:** d",
    "Service(s): a, b", "{", "}", "", "\t", "1. **b** - c", "# Handoff", "curl -X PUT http://a/b",
])  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES | st.text(max_size=30), max_size=40).map("\n".join))
def test_no_text_crashes_and_nothing_of_a_block_is_lost(text: str) -> None:
    try:
        found = read_handoffs(text, where="x")
    except UsageError:
        return
    written = text.replace("\r\n", "\n").replace("\r", "\n")
    for block in found.blocks:
        assert block.text in written
        for part in (block.work, block.context, block.contract):
            assert all(line.strip() in block.text for line in part.split("\n"))


HOSTILE: dict[str, tuple[Callable[[int], str], int]] = {
    "blank lines": (lambda size: "\n" * size, 40_000),
    "labels": (lambda size: "**Work:**\n" * size, 40_000),
    "nested": (lambda size: f"{START}\n" + "- **Work**: y\n  - **Contract**: z\n" * size, 8_000),
    "levels": (lambda size: "".join(f"{'#' * (1 + i % 6)} Work\n" for i in range(size)), 16_000),
    "fences": (lambda size: f"{START}\n" + shorter_and_shorter("`", size), 160_000),
    "brackets": (lambda size: f"{START}\n**Service:**\n" + ("(" * size + "\n") * 10, 16_000),
    "spaces": (lambda size: f"{START}\n**Service:**\n" + ("a" + " " * size + "\n") * 10, 16_000),
    "one line": (lambda size: f"{START}\n- **Work**: " + "GET `" * size, 40_000),
    "dashes": (lambda size: "-" * size, 160_000),
    "a megabyte of rows": (
        lambda size: f"{START}\n" + f"| **Work:** {'| a ' * 7}|\n" * size,
        25_000,
    ),
    "a megabyte in a row": (lambda size: f"{START}\n**Work:** " + "a | " * size, 250_000),
    "entries": (lambda size: "## For: a\nb\n" * 99 + "x\n" * size, 40_000),
}


@pytest.mark.parametrize(("made", "size"), HOSTILE.values(), ids=HOSTILE)
def test_time_grows_with_the_length_only(made: Callable[[int], str], size: int) -> None:
    def read(text: str) -> None:
        with contextlib.suppress(UsageError):
            read_handoffs(text, where="x")

    check_growth(read, made, size)


def shorter_and_shorter(sign: str, size: int) -> str:
    longest = math.isqrt(2 * size)
    return "".join(sign * (longest - number) + "\n" for number in range(longest))
