"""Services on the host's side: what the toolbox is asked to start before any command runs."""

from collections.abc import Sequence

from agentflow.environment import Service
from agentflow.errors import ServiceFailure, ToolFailure
from agentflow.sandbox.channel import Channel

REQUEST = "Services"
"""A request of the toolbox that is no tool: no model can call it."""


async def start_services(channel: Channel, services: Sequence[Service]) -> None:
    """Start services one after the other, each when the one before is ready.

    Raises `ServiceFailure` for one that ends, or is not ready in its time, with its last words.
    """
    if not services:
        return
    described = [
        {"name": each.name, "command": each.command, "ready": each.ready, "timeout": each.timeout}
        for each in services
    ]
    patience = sum(each.timeout for each in services)
    try:
        await channel.call(REQUEST, {"services": described, "timeout": patience})
    except ToolFailure as failure:
        raise ServiceFailure(str(failure), hint="see [services] in the configuration") from failure


def service_variables(services: Sequence[Service]) -> dict[str, str]:
    """Return the variables of all services together."""
    return {name: value for each in services for name, value in each.variables.items()}
