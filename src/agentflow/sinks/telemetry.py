"""Telemetry: what happens in a run, for an OpenTelemetry collector.

The SDK is imported, and everything is made and sent, in a thread of its own: a run never waits for a
collector, and nothing that fails there reaches a run. The variables of the OpenTelemetry
specification (`OTEL_*`, `TRACEPARENT`) say whether and where to.
"""

import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec

from agentflow.events import Event, TextDelta
from agentflow.interfaces import Emit
from agentflow.neutral import one_line

PATIENCE = 5.0
"""Seconds that the end of a command may wait for the last export."""
IMPATIENCE = 0.2
"""The same when an export has failed since the command came to its end."""
STEP = 0.05

_ENDPOINTS = tuple(f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT" for signal in ("", "TRACES_", "METRICS_"))


def wanted(environment: Mapping[str, str]) -> bool:
    """Whether the user's environment names a collector, and does not switch the SDK off."""
    off = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return not off and any(environment.get(name, "").strip() for name in _ENDPOINTS)


def obstacle(environment: Mapping[str, str]) -> str:
    """Why nothing can be sent although a collector is named; empty if it can."""
    protocol = environment.get("OTEL_EXPORTER_OTLP_PROTOCOL", "").strip() or "http/protobuf"
    if protocol != "http/protobuf":
        return f"OTEL_EXPORTER_OTLP_PROTOCOL is {one_line(protocol)}: only http/protobuf is spoken"
    if find_spec("opentelemetry.sdk") is None:
        return "a collector is named in OTEL_*, but the extra `otel` is not installed"
    return ""


class TelemetrySink:
    """Hands the events of one run after another to a thread that makes spans and metrics of them;
    `beside` gives a sink for a run that goes on at the same time."""

    def __init__(
        self,
        environment: Mapping[str, str],
        tell: Callable[[str], None],
        patience: float = PATIENCE,
    ) -> None:
        """`tell` gets one line if something could not be sent; `patience` is in seconds."""
        self._patience = patience
        self._environment = environment
        self._tell = tell
        self._events: queue.SimpleQueue[tuple[int, Event, int] | None] = queue.SimpleQueue()
        self._sources = itertools.count(1)
        self._problems = Problems()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def __call__(self, event: Event, /) -> None:
        """Take one event, at this time."""
        self._take(0, event)

    def beside(self) -> Emit:
        """One more sink of the same command, whose events are of another run."""
        return partial(self._take, next(self._sources))

    def _take(self, source: int, event: Event, /) -> None:
        if self._thread.is_alive() and not isinstance(event, TextDelta):
            self._events.put((time.time_ns(), event, source))

    def close(self) -> None:
        """Let the rest be sent, but do not wait for long."""
        self._problems.recent.clear()
        self._events.put(None)
        started = time.monotonic()
        while self._thread.is_alive():
            left = self._patience - (time.monotonic() - started)
            if left <= 0:
                break
            if self._problems.recent.is_set():
                self._thread.join(min(left, IMPATIENCE))
                break
            self._thread.join(min(left, STEP))
        if self._thread.is_alive() and not self._problems.first:
            self._problems.first = f"the collector did not answer within {self._patience:.3g} s"
        if self._problems.first:
            self._tell(f"note: telemetry is incomplete: {one_line(self._problems.first, 300)}")

    def _work(self) -> None:
        logger = logging.getLogger("opentelemetry")
        logger.propagate = False
        logger.addHandler(self._problems)
        try:
            from agentflow.sinks.spans import Recorder

            recorder = Recorder(self._environment)
            while taken := self._events.get():
                recorder.take(*taken)
            recorder.close()
        except Exception as error:  # noqa: BLE001  # whatever it is, no run ends for it
            self._problems.note(f"{type(error).__name__}: {error}")
        finally:
            logger.removeHandler(self._problems)


class Problems(logging.Handler):
    """What the SDK complains about, instead of standard error."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.first = ""
        self.recent = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:  # pyright: ignore[reportImplicitOverride]
        """Remember a complaint."""
        self.note(record.getMessage())

    def note(self, text: str) -> None:
        """Remember a text; the first one is told."""
        self.first = self.first or text
        self.recent.set()
