"""Statuses in headings and fields."""

import pytest

from agentflow.errors import UsageError
from agentflow.tasks.statuses import STATUSES, in_heading, in_value, parse_status, written


@pytest.mark.parametrize(
    ("heading", "token", "status"),
    [
        (": Streaming Fix ✅ COMPLETE", "✅ COMPLETE", "COMPLETE"),
        (": Core - COMPLETE", "COMPLETE", "COMPLETE"),
        (": Core -- IN_PROGRESS", "IN_PROGRESS", "IN PROGRESS"),
        (" — Core — PENDING", "PENDING", "PENDING"),
        (": Core [IN PROGRESS]", "IN PROGRESS", "IN PROGRESS"),
        (": Core IMPLEMENTED", "IMPLEMENTED", "IMPLEMENTED"),
        (": Core ⏸️ PENDING - Ready for Batch 2", "⏸️ PENDING", "PENDING"),
        (": Core ✅ CODE COMPLETE", "✅ CODE COMPLETE", "COMPLETE"),
        (": Core - Complete", "Complete", "COMPLETE"),
        (": Core COMPLETED (SHA 1234567)", "COMPLETED", "COMPLETE"),
        (
            ": Core ✅ COMPLETE - Fixed in Batch 1.1, Verified & Committed",
            "✅ COMPLETE",
            "COMPLETE",
        ),
        (": Core ❌ BLOCKED - Critical Type Errors", "❌ BLOCKED", "BLOCKED"),
        (": Core 🔄 IN PROGRESS - IMPLEMENTED", "🔄 IN PROGRESS - IMPLEMENTED", "IMPLEMENTED"),
        (": Core ✅ `2f3a829`", "✅", "COMPLETE"),
        (": Core [ ] NOT STARTED", "NOT STARTED", "PENDING"),
        (": Core [🔄 IN PROGRESS]", "🔄 IN PROGRESS", "IN PROGRESS"),
        (": Core COMPLETE ✅", "COMPLETE ✅", "COMPLETE"),
        (": Core FAILED", "FAILED", "FAILED"),
        (": Core - PARTIAL", "PARTIAL", "PARTIAL"),
        (": Core - VERIFIED", "VERIFIED", "VERIFIED"),
        (": Core - canceled", "canceled", "CANCELLED"),
    ],
)
def test_the_shapes_of_a_heading(heading: str, token: str, status: str) -> None:
    found, ambiguous = in_heading(heading)

    assert found is not None
    assert (found.text, found.status, ambiguous) == (token, status, False)
    assert heading[found.start : found.end] == token


@pytest.mark.parametrize(
    "heading",
    [
        ": Frontend UI",
        ": Prevent COMPLETE status overflow",
        ": Complete the login flow",
        ": Handle blocked users",
        ": src/pending.ts",
        ": Skipped-frame counter",
        ": Add a prompt with an already-COMPLETE guard",
        ": Core (RE-IMPLEMENTED)",
        "",
    ],
)
def test_a_word_of_the_name_is_no_status(heading: str) -> None:
    assert in_heading(heading) == (None, False)


def test_two_statuses_are_not_guessed() -> None:
    assert in_heading(": Core ✅ COMPLETE - ❌ FAILED") == (None, True)


@pytest.mark.parametrize(
    ("value", "token"),
    [
        ("✅ COMPLETE (no changes needed)", "✅ COMPLETE"),
        ("COMPLETE ✅", "COMPLETE ✅"),
        ("Pending (optional)", "Pending"),
        ("[ ] NOT STARTED", "NOT STARTED"),
        ("`IN_PROGRESS`", "IN_PROGRESS"),
        ("DEFERRED - BLOCKED (no API)", "DEFERRED"),
        ("done", "done"),
        ("3/5 batches complete (60%)", None),
        ("No fix needed", None),
        ("", None),
    ],
)
def test_the_shapes_of_a_field(value: str, token: str | None) -> None:
    found = in_value(value)

    assert (found.text if found else None) == token


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("⏸️ PENDING", "✅ COMPLETE"),
        ("PENDING", "COMPLETE"),
        ("Pending", "Complete"),
        ("pending", "complete"),
        ("🔄  IN PROGRESS", "✅  COMPLETE"),
        ("IMPLEMENTED 🔄", "COMPLETE ✅"),
        ("🔄 IN PROGRESS - IMPLEMENTED", "✅ COMPLETE"),
        ("⏳", "✅ COMPLETE"),
        ("COMPLETED", "COMPLETED"),
        ("✅ CODE COMPLETE", "✅ CODE COMPLETE"),
    ],
)
def test_a_new_status_keeps_the_style_of_the_old(old: str, new: str) -> None:
    assert written("COMPLETE", old, {}) == new


def test_a_joint_and_the_documents_own_signs_are_kept() -> None:
    assert written("IN PROGRESS", "NOT_STARTED", {}) == "IN_PROGRESS"
    assert written("COMPLETE", "⏳ PENDING", {"COMPLETE": "✔"}) == "✔ COMPLETE"


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_is_read_back(status: str) -> None:
    assert parse_status(status.lower().replace(" ", "_")) == status
    for old in ("PENDING", "⏸️ PENDING", "Pending", "COMPLETE ✅"):
        token = in_value(written(parse_status(status), old, {}))
        assert token is not None
        assert token.status == status


def test_what_is_no_status_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'COMPLETE'"):
        parse_status("COMPLET")
