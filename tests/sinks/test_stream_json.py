"""Lines for other programs."""

import io
import json

from agentflow.events import Notice, RunResumed
from agentflow.sinks.stream_json import StreamJsonSink


def test_the_lines_of_a_run_that_goes_on_name_it_too() -> None:
    stream = io.StringIO()
    sink = StreamJsonSink(stream)
    sink(RunResumed(3, "TASK-1-20260101T000000-abcd", 1, "m"))
    sink(Notice("text"))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["session_id"] for line in lines] == ["TASK-1-20260101T000000-abcd"] * 2
