"""Recordings on their own: what is compared, what is not, and what a file may not be."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentflow.errors import ProviderFailure, UsageError
from agentflow.events import Event, Notice
from agentflow.interfaces import Emit
from agentflow.messages import Reply, Request, ToolCall, Usage
from agentflow.models.recording import Recording, RecordingModel
from agentflow.models.replay import ReplayModel, differences, read_tape
from agentflow.models.request_shape import digest, shape
from agentflow.records import Json
from agentflow.redaction import redactor

HEADER = {"model": "m", "task": "T-1", "prompt": "p", "prompt_sha256": "0"}
SECRET = "s3cr3t-value"
CALL: Json = {"type": "tool_use", "id": "c1", "name": "Bash", "input": {}}
SAID: Json = {"role": "assistant", "content": [CALL]}


def result(text: str | list[Json], **more: object) -> Json:
    block: Json = {"type": "tool_result", "tool_use_id": "c1", "content": text, **more}
    return {"role": "user", "content": [block]}


def request(*messages: Json, **more: Any) -> Request:
    first: Json = {"role": "user", "content": "Do it."}
    whole = Request("m", "You are it.", [first, *messages], [{"name": "Bash"}], 100)
    return replace(whole, **more)


class Saying:
    """A `Model` that says given replies."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = iter(replies)

    async def reply(self, request: Request, emit: Emit) -> Reply:
        return next(self._replies)

    async def close(self) -> None:
        pass


REPLIES = (
    Reply((CALL,), "tool_use", Usage(1, 2, 3, 4, 5), (ToolCall("c1", "Bash", None, "no JSON"),),
          Usage(9)),
    Reply(({"type": "text", "text": f"It is {SECRET}."},), "end_turn", Usage()),
)  # fmt: skip


async def record(path: Path, *requests: Request) -> list[Reply]:
    recording = Recording(path, HEADER)
    model = RecordingModel(Saying(*REPLIES), recording, redactor([SECRET]))
    said = [await model.reply(each, lambda _: None) for each in requests]
    await model.close()
    return said


async def test_replies_come_back_as_they_were_recorded(tmp_path: Path) -> None:
    requests = (request(), request(SAID, result("fine")))
    said = await record(tmp_path / "tape", *requests)

    model = ReplayModel(read_tape(tmp_path / "tape"), "0")

    assert [await model.reply(each, lambda _: None) for each in requests] == said
    assert said[0] == REPLIES[0]
    assert said[1].text == "It is [redacted]."
    assert SECRET not in (tmp_path / "tape").read_text()


async def test_a_request_is_written_as_what_is_new_in_it(tmp_path: Path) -> None:
    await record(tmp_path / "tape", request(), request(SAID, result("x"), system="Other."))
    news = [
        json.loads(each)["request"] for each in (tmp_path / "tape").read_text().splitlines()[1:]
    ]
    assert [sorted(each) for each in news] == [
        ["kept", "messages", "model", "system", "tools"],
        ["kept", "messages", "system"],
    ]
    assert [(each["kept"], len(each["messages"])) for each in news] == [(0, 1), (1, 2)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (request(SAID, result("took 1.2 s")), request(SAID, result("took 9 s\nand more"))),
        (request(system="at 2026-11-20 in /tmp/a1"), request(system="at 2026-11-21 in /tmp/b2")),
        (request(system="run T-1-20261120T193318-429f"), request(system="run T-1-20261121T000000-1a2b")),
        (request(system="base 123041c530fc"), request(system="base ad7326d5ea42")),
        (request(max_tokens=1), request(max_tokens=2)),
    ],
)  # fmt: skip
def test_what_differs_from_run_to_run_is_not_compared(one: Request, other: Request) -> None:
    assert digest(shape(one)) == digest(shape(other))


IMAGE: Json = {"type": "image", "source": {}}


@pytest.mark.parametrize(
    ("other", "where", "line"),
    [
        (request(SAID, result("x"), model="n"), "the model", "+n"),
        (request(SAID, result("x"), system="You are it!"), "the system prompt", "+You are it!"),
        (request(SAID, result("x"), tools=[{"name": "Read"}]), "the tools", "+Read "),
        (request(SAID, result("x", is_error=True)), "message 3", "+the result of c1: an error"),
        (request(SAID, result([IMAGE])), "message 3", "+the result of c1: image"),
        (request({**SAID, "content": []}, result("x")), "message 2", "+assistant "),
        (request(SAID), "the number of messages", "+2 messages"),
        (request(SAID, {"role": "user", "content": "Go on."}), "message 3", "+Go on."),
    ],
)
def test_what_matters_is_compared(other: Request, where: str, line: str) -> None:
    one = shape(request(SAID, result("x")))
    assert digest(one) != digest(shape(other))
    named, shown = differences(one, shape(other))
    assert named == where
    assert line in shown


def test_a_difference_is_short() -> None:
    one, other = (
        shape(request(system="\n".join(c * 999 for c in text))) for text in ("ab" * 99, "cd" * 99)
    )
    shown = differences(one, other)[1].splitlines()
    assert len(shown) == 41
    assert max(map(len, shown)) == 200


async def test_the_first_difference_ends_the_replay(tmp_path: Path) -> None:
    await record(tmp_path / "tape", request(), request(SAID, result("x")))
    told: list[Event] = []
    model = ReplayModel(read_tape(tmp_path / "tape"), "1")
    await model.reply(request(), told.append)

    with pytest.raises(ProviderFailure) as failed:
        await model.reply(request(SAID, result("x", is_error=True)), told.append)

    assert failed.value.message == (
        "the replay diverges at turn 2: message 3 (the prompt is not p as it was recorded)"
    )
    assert [each.text.splitlines()[0] for each in told if isinstance(each, Notice)] == [
        "turn 2 differs from the recording in message 3:"
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"turn": 1', '"turn": "1"', ":2: not a line of a recording (turn:"),
        ("You are it.", "You are mine.", ":2: the request does not have its digest"),
        ('"version": 1', '"version": 2', "is in the format agentflow-recording 2"),
        ('"id": "c1", "name"', '"name"', ":2: a content block of the reply is malformed"),
        ('{"format"', '{{"format"', ":1: not a line of a recording"),
    ],
)
async def test_a_file_that_is_no_recording(tmp_path: Path, old: str, new: str, said: str) -> None:
    tape = tmp_path / "tape"
    await record(tape, request())
    text = tape.read_text()
    assert old in text
    tape.write_text(text.replace(old, new))
    with pytest.raises(UsageError) as refused:
        read_tape(tape)
    assert said in refused.value.message


def test_a_recording_is_new_and_has_a_folder(tmp_path: Path) -> None:
    (tmp_path / "there").symlink_to(tmp_path / "nowhere")
    for path, said in ((tmp_path / "there", "is there"), (tmp_path / "no/such", "no folder")):
        with pytest.raises(UsageError) as refused:
            Recording(path, HEADER)
        assert said in refused.value.message
    with pytest.raises(UsageError):
        read_tape(tmp_path / "nothing")
