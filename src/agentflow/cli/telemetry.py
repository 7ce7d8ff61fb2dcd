"""The user's OpenTelemetry collector, beside a run."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agentflow.cli.output import say

if TYPE_CHECKING:
    from agentflow.interfaces import Emit


@contextmanager
def telemetry(environment: Mapping[str, str]) -> "Generator[Callable[[], list[Emit]]]":
    """Yields what makes a run's sink for the collector that the environment names, if it names one.

    What is left is sent at the end of the block, which waits a few seconds at most.
    """
    if not any(name.startswith("OTEL_") for name in environment):
        yield list
        return
    from agentflow.sinks.telemetry import TelemetrySink, obstacle, wanted

    problem = obstacle(environment) if wanted(environment) else ""
    if problem or not wanted(environment):
        if problem:
            say(f"note: no telemetry: {problem}")
        yield list
        return
    sink = TelemetrySink(environment, say)
    try:
        yield lambda: [sink.beside()]
    finally:
        sink.close()
