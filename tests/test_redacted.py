"""Replies, messages and events without secrets, and with everything that must stay as it is."""

from agentflow.events import AssistantMessage, Collected, GateFinished, Notice, UserMessage
from agentflow.messages import Reply, ToolCall, Usage
from agentflow.records import Json
from agentflow.redacted import HELD, redacted_event, redacted_reply
from agentflow.redaction import redactor
from agentflow.results import Criterion, Evidence, Fault

SECRET = "s3cr3t-value"
REDACT = redactor([SECRET, "toolu_01", "EqQB"])


def block(kind: str, **fields: object) -> Json:
    return {"type": kind, **fields}


def test_a_reply_runs_what_is_written_down() -> None:
    arguments = {"command": f"echo {SECRET}", "env": [{SECRET: 1}]}
    shown = {"command": "echo [redacted]", "env": [{"[redacted]": 1}]}
    content = (
        block("text", text=f"It is {SECRET}."),
        block("tool_use", id="toolu_01", name="Bash", input=arguments),
    )
    reply = Reply(
        content, "tool_use", Usage(output_tokens=3), (ToolCall("toolu_01", "Bash", arguments),)
    )

    made = redacted_reply(reply, REDACT)

    assert made.content == (
        block("text", text="It is [redacted]."),
        block("tool_use", id="toolu_01", name="Bash", input=shown),
    )
    assert made.calls == (ToolCall("toolu_01", "Bash", None, HELD),)
    assert (made.stop_reason, made.usage) == ("tool_use", Usage(output_tokens=3))


def test_a_signed_thought_is_kept_whole_or_left_out() -> None:
    kept = block("thinking", thinking="Hm.", signature="EqQBabc")
    hidden = block("redacted_thinking", data="EqQBxyz")
    told = block("thinking", thinking=f"The value is {SECRET}.", signature="EqQBdef")

    assert redacted_reply(Reply((told, kept, hidden), "end_turn", Usage()), REDACT).content == (
        kept,
        hidden,
    )


def test_a_call_whose_input_could_not_be_read_stays_one() -> None:
    call = ToolCall("toolu_01", "Bash", None, f"not JSON near {SECRET}")
    made = redacted_reply(Reply((), "tool_use", Usage(), (call,)), REDACT)
    assert made.calls == (ToolCall("toolu_01", "Bash", None, "not JSON near [redacted]"),)


def test_what_went_through_once_is_journaled_as_it_was_sent() -> None:
    reply = Reply((block("text", text=SECRET), block("thinking", thinking="x", signature="EqQB")),
                  "end_turn", Usage())  # fmt: skip
    message = {"role": "assistant", "content": list(redacted_reply(reply, REDACT).content)}
    event = AssistantMessage(message, "end_turn", Usage(), Usage(), None)
    assert redacted_event(event, REDACT) is event


def test_an_event_shows_no_secret_and_keeps_its_names() -> None:
    evidence = Evidence(
        "build:test", "failed", f"said {SECRET}", f"a\n{SECRET}", fingerprint="EqQB"
    )
    image = block("image", source={"type": "base64", "data": "EqQB"})
    results = [
        block("tool_result", tool_use_id="toolu_01", content=f"{SECRET}!"),
        block("tool_result", tool_use_id="toolu_01", content=[image, block("text", text=SECRET)]),
    ]
    commits = (("EqQB", "a subject"),)

    assert redacted_event(Notice(SECRET), REDACT) == Notice("[redacted]")
    assert redacted_event(GateFinished(evidence), REDACT) == GateFinished(
        Evidence("build:test", "failed", "said [redacted]", "a\n[redacted]", fingerprint="EqQB")
    )
    assert redacted_event(UserMessage({"role": "user", "content": results}), REDACT) == UserMessage({
        "role": "user",
        "content": [
            block("tool_result", tool_use_id="toolu_01", content="[redacted]!"),
            block("tool_result", tool_use_id="toolu_01",
                  content=[image, block("text", text="[redacted]")]),
        ],
    })  # fmt: skip
    collected = Collected("EqQB", commits, {"EqQB": "EqQB"}, 1, 1, 0)
    assert redacted_event(collected, REDACT) is collected


def test_records_in_a_list_of_a_record_are_redacted_too() -> None:
    faults = (Fault(f"line with {SECRET}", "a", 1),)
    criteria = (Criterion(f"use {SECRET}", "met"),)
    evidence = Evidence("tamper", "failed", "x", faults=faults, criteria=criteria)

    shown = redacted_event(GateFinished(evidence), REDACT)

    assert isinstance(shown, GateFinished)
    assert shown.evidence.faults == (Fault("line with [redacted]", "a", 1),)
    assert shown.evidence.criteria == (Criterion("use [redacted]", "met"),)
