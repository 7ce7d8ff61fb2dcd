"""Spans and metrics of a run, as the GenAI semantic conventions name them.

Source: OpenTelemetry semantic conventions 1.41 as of `opentelemetry-semantic-conventions` 0.66b2 (all
in development; since moved to a repository of their own, which deprecates the package's constants, so
the names are written out here and a test compares them). Input tokens include those of the cache.
Contents (messages, arguments of calls) are left out unless `CAPTURE` is true.
"""
# Only `TelemetrySink` imports this module, and in its thread.
# ruff: noqa: TID253

import json
from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from agentflow import __version__
from agentflow.events import (
    AssistantMessage,
    ContextReduced,
    ContextSummarized,
    Event,
    GateFinished,
    GateStarted,
    LandingDone,
    ReplyFailed,
    RetryScheduled,
    RunFinished,
    RunResumed,
    RunStarted,
    ToolFinished,
    ToolStarted,
    UserMessage,
)
from agentflow.messages import Usage
from agentflow.records import Json
from agentflow.sinks.genai import PROVIDER, Attributes, blocks_of, messages_text, usage_attributes

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
TOKEN_BUCKETS = tuple(4.0**power for power in range(14))
"""Of the conventions: 1 to 67,108,864."""
SECOND_BUCKETS = tuple(0.01 * 2**power for power in range(14))
"""Of the conventions: 10 ms to 82 s."""

Reply = AssistantMessage | ContextSummarized | ReplyFailed


class Recorder:
    """Makes spans and metrics of events: from each source those of one run after another."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        resource = _resource()
        self._traces = TracerProvider(resource=resource, shutdown_on_exit=False)
        readers: list[PeriodicExportingMetricReader] = []
        if _exports(environment, "TRACES"):
            self._traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        if _exports(environment, "METRICS"):
            readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
        self._metrics = MeterProvider(readers, resource, shutdown_on_exit=False)
        self._tracer = self._traces.get_tracer("agentflow", __version__)
        meter = self._metrics.get_meter("agentflow", __version__)
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=TOKEN_BUCKETS,
        )
        self._durations = meter.create_histogram(
            "gen_ai.client.operation.duration",
            "s",
            "GenAI operation duration.",
            explicit_bucket_boundaries_advisory=SECOND_BUCKETS,
        )
        self._with_content = environment.get(CAPTURE, "").strip().lower() == "true"
        self._parent = _parent(environment)
        self._runs: dict[int, _Run] = {}
        """Those that go on, by the source of their events."""

    def take(self, at: int, event: Event, source: int = 0) -> None:
        """Take one event; `at` is its time in nanoseconds since 1970."""
        run = self._runs.get(source)
        if isinstance(event, RunStarted | RunResumed):
            self._runs[source] = self._begun(at, event)
        elif run is not None and isinstance(event, RunFinished):
            del self._runs[source]
            _finish(at, event, run)
        elif run is not None:
            self._within(at, event, run)

    def close(self) -> None:
        """End what is open, and send everything."""
        for run in self._runs.values():
            run.end(None)
        self._traces.shutdown()
        self._metrics.shutdown()

    def _begun(self, at: int, event: RunStarted | RunResumed) -> "_Run":
        name = event.prompt if isinstance(event, RunStarted) else ""
        attributes: Attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": PROVIDER,
            "gen_ai.conversation.id": event.run,
            "gen_ai.request.model": event.model,
            "agentflow.resumed": isinstance(event, RunResumed),
        }
        if isinstance(event, RunStarted):
            attributes |= {
                "gen_ai.agent.name": name,
                "gen_ai.agent.version": event.prompt_sha256,
                "agentflow.task": event.task,
                "agentflow.base": event.base,
                "agentflow.sandbox": event.sandbox,
            }
        span = self._tracer.start_span(
            f"invoke_agent {name}".strip(), self._parent, attributes=attributes, start_time=at
        )
        return _Run(span, event.run, event.model, at)

    def _within(self, at: int, event: Event, run: "_Run") -> None:
        match event:
            case UserMessage() | ContextReduced() | RetryScheduled():
                run.hear(at, event)
            case AssistantMessage() | ContextSummarized() | ReplyFailed():
                self._chat(at, event, run)
            case ToolStarted() | ToolFinished():
                self._tool(at, event, run)
            case GateStarted() | GateFinished():
                self._gate(at, event, run)
            case LandingDone():
                run.span.set_attribute("agentflow.landed", event.tip)
            case _:
                pass

    def _chat(self, at: int, event: Reply, run: "_Run") -> None:
        model = event.model or run.model
        failed = isinstance(event, ReplyFailed)
        usage = event.usage if failed else event.usage + event.discarded
        shared: Attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": PROVIDER,
            "gen_ai.request.model": model,
        }
        if failed:
            shared["error.type"] = "reply_failed"
        else:
            shared["gen_ai.response.model"] = model
        attributes: Attributes = {
            **shared,
            **usage_attributes(usage),
            "gen_ai.conversation.id": run.name,
            "agentflow.retries": run.retries,
        }
        if event.cost is not None:
            attributes["agentflow.cost_usd"] = event.cost
        if isinstance(event, AssistantMessage):
            attributes["gen_ai.response.finish_reasons"] = [event.stop_reason]
            run.remember_calls(event.message)
            if self._with_content:
                attributes["gen_ai.input.messages"] = messages_text(run.said)
                attributes["gen_ai.output.messages"] = messages_text([event.message])
            run.said = []
        span = self._child(run.asked_at, f"chat {model}", run, SpanKind.CLIENT, attributes)
        _end(span, at, "reply_failed" if failed else "")
        self._measure(usage, (at - run.asked_at) / 1e9, shared)
        run.asked_at, run.retries, run.usage = at, 0, run.usage + usage

    def _measure(self, usage: Usage, seconds: float, shared: Attributes) -> None:
        self._durations.record(seconds, shared)
        counted = {"input": usage.prompt_tokens, "output": usage.output_tokens}
        for kind, count in counted.items():
            if count:
                self._tokens.record(count, {**shared, "gen_ai.token.type": kind})

    def _tool(self, at: int, event: ToolStarted | ToolFinished, run: "_Run") -> None:
        if isinstance(event, ToolFinished):
            _end(run.open.pop(event.id, None), at, "tool_error" if event.is_error else "")
            return
        attributes: Attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": event.name,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": event.id,
        }
        if self._with_content and event.id in run.arguments:
            attributes["gen_ai.tool.call.arguments"] = run.arguments[event.id]
        name = f"execute_tool {event.name}"
        run.open[event.id] = self._child(at, name, run, SpanKind.INTERNAL, attributes)

    def _gate(self, at: int, event: GateStarted | GateFinished, run: "_Run") -> None:
        if isinstance(event, GateStarted):
            run.open[event.gate] = self._child(at, f"gate {event.gate}", run)
            return
        evidence = event.evidence
        name = evidence.gate
        span = run.open.pop(name, None) or self._child(at, f"gate {name}", run)
        span.set_attributes({"agentflow.gate.name": name, "agentflow.gate.status": evidence.status})
        if self._with_content:
            span.set_attribute("agentflow.gate.summary", evidence.summary)
        _end(span, at, "gate_failed" if evidence.status == "failed" else "")

    def _child(
        self,
        at: int,
        name: str,
        run: "_Run",
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes | None = None,
    ) -> Span:
        context = set_span_in_context(run.span)
        return self._tracer.start_span(name, context, kind, attributes, start_time=at)


class _Run:
    """What is known of the run that is going on."""

    def __init__(self, span: Span, name: str, model: str, at: int) -> None:
        self.span = span
        self.name = name
        self.model = model
        self.asked_at = at
        """When the model was asked last, or could have been."""
        self.retries = 0
        self.usage = Usage()
        self.open: dict[str, Span] = {}
        """Tool calls by id, and gates by name."""
        self.arguments: dict[str, str] = {}
        self.said: list[Json] = []

    def hear(self, at: int, event: UserMessage | ContextReduced | RetryScheduled) -> None:
        """Take what comes before a reply."""
        if isinstance(event, RetryScheduled):
            self.retries += 1
            return
        self.asked_at = at
        if isinstance(event, UserMessage):
            self.said = [*self.said, event.message]

    def remember_calls(self, message: Json) -> None:
        """Keep the arguments of the calls of the newest reply."""
        self.arguments = {
            block["id"]: json.dumps(block["input"])
            for block in blocks_of(message)
            if block["type"] == "tool_use"
        }

    def end(self, at: int | None) -> None:
        """End the run and what is open in it."""
        for span in self.open.values():
            _end(span, at, "interrupted")
        self.span.end(at)


def _finish(at: int, event: RunFinished, run: _Run) -> None:
    run.span.set_attributes({
        **usage_attributes(run.usage),
        "agentflow.outcome": event.outcome,
        "agentflow.exit_code": event.exit_code,
    })
    if event.outcome != "done":
        run.span.set_attribute("error.type", event.outcome)
        run.span.set_status(Status(StatusCode.ERROR, event.outcome))
    run.end(at)


def _end(span: Span | None, at: int | None, error: str) -> None:
    if span is None:
        return
    if error:
        span.set_attribute("error.type", error)
        span.set_status(Status(StatusCode.ERROR, error))
    span.end(at)


def _resource() -> Resource:
    """What the user's `OTEL_*` say of this service; its name is agentflow if they do not."""
    found = Resource.create({"service.version": __version__})
    named = not str(found.attributes.get(SERVICE_NAME, "")).startswith("unknown_service")
    return found if named else found.merge(Resource({SERVICE_NAME: "agentflow"}))


def _exports(environment: Mapping[str, str], signal: str) -> bool:
    """Whether a signal goes to the collector: `OTEL_TRACES_EXPORTER=none` keeps it."""
    general = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    own = environment.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "").strip()
    kind = environment.get(f"OTEL_{signal}_EXPORTER", "").strip() or "otlp"
    return kind == "otlp" and bool(general or own)


def _parent(environment: Mapping[str, str]) -> Context:
    """The span that this command is a part of, as `TRACEPARENT` and `TRACESTATE` say."""
    names = {"traceparent": "TRACEPARENT", "tracestate": "TRACESTATE"}
    carrier = {name: environment[each] for name, each in names.items() if environment.get(each)}
    return TraceContextTextMapPropagator().extract(carrier, Context())
