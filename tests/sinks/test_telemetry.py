"""Telemetry: a run's spans and metrics at a real receiver of OTLP over HTTP."""
# ruff: noqa: TID253  # the receiver decodes with the official messages

import gzip
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.semconv._incubating.attributes import (  # pyright: ignore[reportMissingTypeStubs]
    gen_ai_attributes,
)
from opentelemetry.semconv._incubating.metrics import (  # pyright: ignore[reportMissingTypeStubs]
    gen_ai_metrics,
)

from agentflow.cli.cluster import site_of
from agentflow.events import Event, RunStarted
from agentflow.sinks.telemetry import TelemetrySink, obstacle, wanted
from agentflow.world import World
from tests.cli.test_cli import GATE, Terminal
from tests.many.fleet import writes
from tests.run.project import HELLO, Project, call, turn

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
USAGE = {
    "input_tokens": 10,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 20,
    "output_tokens": 5,
}


class Collector:
    """Receives OTLP over HTTP, decodes it with the official messages, and keeps it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.spans: list[Any] = []
        self.resources: list[Any] = []
        self.metrics: dict[str, Any] = {}
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                answer = collector.receive(self.path, body)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(  # pyright: ignore[reportImplicitOverride]
                self, format: str, *args: object
            ) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def receive(self, path: str, body: bytes) -> bytes:
        self.bodies.append(body)
        if path == "/v1/traces":
            traces = ExportTraceServiceRequest.FromString(body)
            for each in traces.resource_spans:
                self.resources.append(values(each.resource.attributes))
                self.spans += [span for scope in each.scope_spans for span in scope.spans]
            return ExportTraceServiceResponse().SerializeToString()
        assert path == "/v1/metrics"
        metrics = ExportMetricsServiceRequest.FromString(body)
        for each in metrics.resource_metrics:
            for scope in each.scope_metrics:
                self.metrics.update({metric.name: metric for metric in scope.metrics})
        return ExportMetricsServiceResponse().SerializeToString()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def values(attributes: Any) -> dict[str, Any]:
    """Attributes as plain data."""
    found: dict[str, Any] = {}
    for each in attributes:
        kind = each.value.WhichOneof("value")
        value = getattr(each.value, kind)
        if kind == "array_value":
            value = [item.string_value for item in value.values]
        found[each.key] = value
    return found


@contextmanager
def silent() -> Generator[str]:
    """An address that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture
def terminal(project: Project, tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(project, tmp_path)
    yield terminal
    terminal.close()


@pytest.mark.sandbox
def test_a_run_is_spans_and_metrics_and_no_content(
    terminal: Terminal, collector: Collector
) -> None:
    missing = call("Read", file_path="app/missing.txt")
    url = terminal.serve(
        turn(HELLO, missing, text="S3CRET words", usage=USAGE), turn(text="I wrote it.")
    )

    ended = terminal.run(
        "run", "TASK-1", *GATE, "--base-url", url,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment=test",
        TRACEPARENT=f"00-{TRACE}-{PARENT}-01",
    )  # fmt: skip

    assert ended.returncode == 0, ended.stderr
    assert "telemetry" not in ended.stderr
    spans = {span.name: span for span in collector.spans}
    chats = [span for span in collector.spans if span.name == "chat claude-sonnet-5-5"]
    assert {*spans} == {
        *("invoke_agent plain", "chat claude-sonnet-5-5", "execute_tool Write"),
        *("execute_tool Read", "gate commit", "gate boundaries", "gate files", "gate tamper"),
        *("gate secrets", "gate build:test"),
    }
    agent = spans["invoke_agent plain"]
    assert (agent.trace_id.hex(), agent.parent_span_id.hex()) == (TRACE, PARENT)
    for span in collector.spans:
        assert span.trace_id == agent.trace_id
        assert span is agent or span.parent_span_id == agent.span_id
        assert agent.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= agent.end_time_unix_nano
    told = values(agent.attributes)
    assert told["gen_ai.operation.name"] == "invoke_agent"
    assert told["gen_ai.agent.name"] == "plain"
    assert told["gen_ai.conversation.id"].startswith("TASK-1-")
    assert (told["agentflow.task"], told["agentflow.outcome"]) == ("TASK-1", "done")

    assert len(chats) == 2
    first = values(chats[0].attributes)
    assert first["gen_ai.operation.name"] == "chat"
    assert first["gen_ai.provider.name"] == "anthropic"
    assert first["gen_ai.request.model"] == first["gen_ai.response.model"] == "claude-sonnet-5-5"
    assert first["gen_ai.response.finish_reasons"] == ["tool_use"]
    assert first["gen_ai.usage.input_tokens"] == 130
    assert first["gen_ai.usage.cache_read.input_tokens"] == 100
    assert first["gen_ai.usage.cache_creation.input_tokens"] == 20
    assert first["gen_ai.usage.output_tokens"] == 5
    total = sum(values(chat.attributes)["gen_ai.usage.input_tokens"] for chat in chats)
    assert told["gen_ai.usage.input_tokens"] == total

    write = values(spans["execute_tool Write"].attributes)
    assert write["gen_ai.tool.name"] == "Write"
    assert write["gen_ai.tool.type"] == "function"
    assert values(spans["execute_tool Read"].attributes)["error.type"] == "tool_error"
    assert spans["execute_tool Read"].status.code == 2
    assert values(spans["gate build:test"].attributes) == {
        "agentflow.gate.name": "build:test",
        "agentflow.gate.status": "passed",
    }
    assert collector.resources[0]["service.name"] == "agentflow"
    assert collector.resources[0]["deployment.environment"] == "test"

    tokens = collector.metrics["gen_ai.client.token.usage"].histogram.data_points
    by_kind = {values(p.attributes)["gen_ai.token.type"]: p for p in tokens}
    assert {*by_kind} == {"input", "output"}
    assert (by_kind["input"].sum, by_kind["input"].count) == (total, 2)
    assert by_kind["input"].explicit_bounds[-1] == 67108864
    (duration,) = collector.metrics["gen_ai.client.operation.duration"].histogram.data_points
    assert duration.count == 2
    assert 0 < duration.sum < 60

    names = {key for span in collector.spans for key in values(span.attributes)}
    names |= {key for point in (*tokens, duration) for key in values(point.attributes)}
    known = {value for value in vars(gen_ai_attributes).values() if isinstance(value, str)}
    known |= {value for value in vars(gen_ai_metrics).values() if isinstance(value, str)}
    used = {name for name in (*names, *collector.metrics) if name.startswith("gen_ai")}
    assert len(used) > 12
    assert used <= known
    sent = b"".join(collector.bodies)
    for content in (b"S3CRET", b"hello.txt", b"Say hello", b"I wrote it", b"missing.txt"):
        assert content not in sent


@pytest.mark.sandbox
def test_each_of_several_runs_is_a_trace_of_its_own(
    terminal: Terminal, collector: Collector, tmp_path: Path
) -> None:
    for name in "AB":
        text = f"---\nallow: [{name.lower()}/]\n---\n\n# Do {name}\n"
        terminal.project.write(f".orchestrator/tasks/{name}.md", text)
    terminal.project.commit()
    talks = {f"# Task {name}:": writes(f"{name.lower()}/x.txt") for name in "AB"}
    url = terminal.serve(turn(), conversations=talks)

    ended = terminal.run(
        "run", "A", "B", "--gate", "test=true", "--prompt", "plain", "--base-url", url,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
    )  # fmt: skip

    assert ended.returncode == 0, ended.stderr
    assert "telemetry" not in ended.stderr
    agents = {span.span_id: span for span in collector.spans if span.name == "invoke_agent plain"}
    told = [values(span.attributes) for span in agents.values()]
    assert {(each["agentflow.task"], each["agentflow.outcome"]) for each in told} == {
        ("A", "done"),
        ("B", "done"),
    }
    assert len({span.trace_id for span in agents.values()}) == len(agents) == 2
    children = [span for span in collector.spans if span.span_id not in agents]
    assert all(span.trace_id == agents[span.parent_span_id].trace_id for span in children)
    for chat in (span for span in children if span.name.startswith("chat")):
        agent = values(agents[chat.parent_span_id].attributes)
        conversation = values(chat.attributes)["gen_ai.conversation.id"]
        assert conversation == agent["gen_ai.conversation.id"]


@pytest.mark.sandbox
def test_content_is_sent_if_it_is_asked_for(terminal: Terminal, collector: Collector) -> None:
    url = terminal.serve(turn(HELLO), turn(text="I wrote it."))

    ended = terminal.run(
        "run", "TASK-1", *GATE, "--base-url", url,
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{collector.url}/v1/traces",
        OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="true",
        OTEL_SERVICE_NAME="ours",
    )  # fmt: skip

    assert ended.returncode == 0, ended.stderr
    assert collector.resources[0]["service.name"] == "ours"
    assert not collector.metrics
    chats = [values(s.attributes) for s in collector.spans if s.name.startswith("chat")]
    assert '"content": "I wrote it."' in chats[1]["gen_ai.output.messages"]
    assert '"type": "tool_call_response"' in chats[1]["gen_ai.input.messages"]
    assert "Say hello" in chats[0]["gen_ai.input.messages"]
    (tool,) = [values(s.attributes) for s in collector.spans if s.name == "execute_tool Write"]
    assert "hello.txt" in tool["gen_ai.tool.call.arguments"]


@pytest.mark.sandbox
def test_a_collector_that_is_down_changes_nothing(terminal: Terminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    url = terminal.serve(turn(HELLO), turn())

    ended = terminal.run(
        "run", "TASK-1", *GATE, "--base-url", url, "--output-format", "json",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
    )  # fmt: skip

    assert ended.returncode == 0, ended.stderr
    assert '"outcome": "done"' in ended.stdout
    notes = [line for line in ended.stderr.splitlines() if "telemetry" in line]
    assert len(notes) == 1
    assert notes[0].startswith("note: telemetry is incomplete: Transient error")
    assert "Traceback" not in ended.stderr


def started(run: str = "R") -> RunStarted:
    return RunStarted(
        *(run, "T", "0", "t", "p", "0", "m", "b", "none", "x"), tools=(), system="", version=""
    )


def test_a_collector_that_never_answers_is_not_waited_for() -> None:
    with silent() as url:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": url}
        code = (
            "import json, os\nfrom agentflow.sinks.telemetry import TelemetrySink\n"
            "from tests.sinks.test_telemetry import started\n"
            "sink = TelemetrySink(os.environ, print, 0.5)\nsink(started())\nsink.close()\n"
            "print('over', flush=True)\nos._exit(0)"
        )
        ended = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **environment},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        told = ended.stdout.splitlines()
    assert told == [
        "note: telemetry is incomplete: the collector did not answer within 0.5 s",
        "over",
    ]


def test_events_of_runs_beside_each_other_do_not_mix(collector: Collector) -> None:
    code = (
        "import os\nfrom agentflow.events import RunFinished\n"
        "from agentflow.sinks.telemetry import TelemetrySink\n"
        "from tests.sinks.test_telemetry import started\n"
        "sink = TelemetrySink(os.environ, print, 60.0)\n"
        "first, second = sink.beside(), sink.beside()\n"
        "first(started('first'))\nsecond(started('second'))\n"
        "first(RunFinished('done', 0, '', ''))\nsecond(RunFinished('failed', 1, '', ''))\n"
        "sink.close()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url},
        cwd=Path(__file__).parents[2],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert ended.stdout == ""
    told = [values(span.attributes) for span in collector.spans]
    assert {(each["gen_ai.conversation.id"], each["agentflow.outcome"]) for each in told} == {
        ("first", "done"),
        ("second", "failed"),
    }


def test_the_runs_of_a_worker_are_sent(tmp_path: Path) -> None:
    heard: list[Event] = []
    environment = {"HOME": str(tmp_path), "AGENTFLOW_STATE_REMOTE": "git@example.com:o/state.git"}
    site = site_of(World(tmp_path, environment), lambda: [heard.append], quiet=True)
    *_, last = site.sinks("TASK-1")
    last(started())
    assert heard == [started()]


def test_what_fails_in_the_thread_ends_no_run() -> None:
    told: list[str] = []
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    sink = TelemetrySink(environment, told.append, 60.0)
    broken: Any = RunStarted
    sink(broken.__new__(broken))
    sink.close()
    sink(started())
    assert len(told) == 1
    assert told[0].startswith("note: telemetry is incomplete: AttributeError")


def test_the_environment_says_whether() -> None:
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    assert wanted(endpoint)
    assert wanted({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"})
    assert not wanted({})
    assert not wanted({**endpoint, "OTEL_SDK_DISABLED": "TRUE"})
    assert obstacle(endpoint) == ""
    assert "grpc" in obstacle({**endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})


def test_nothing_is_imported_unless_it_is_wanted() -> None:
    code = (
        "import sys, agentflow.run, agentflow.cli.execution, agentflow.sinks.telemetry\n"
        "from agentflow.cli.telemetry import telemetry\n"
        "with telemetry({'OTEL_SERVICE_NAME': 'x'}) as sinks: pass\n"
        "print(sinks(), 'opentelemetry' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[] False\n"
