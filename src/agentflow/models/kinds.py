"""Kinds of servers that speak the Messages API, and what may be put on the wire for each.

What is known of each, and what of it was tried, is in docs/models.md. Nobody gets beta headers,
sampling parameters, `tool_choice`, `thinking` or typed tools.
"""

from typing import Literal
from urllib.parse import urlsplit

from agentflow.frozen import record
from agentflow.models.endpoint import endpoint
from agentflow.records import ServerKind

Caching = Literal["moving", "blocks", "none"]
"""`moving`: a breakpoint at the top level of the request follows its end. `blocks`: it stands on
the last block instead. `none`: no breakpoints at all."""


@record
class Kind:
    """One kind of server."""

    name: ServerKind
    caching: Caching
    hour: bool = False
    """Whether the system prompt is cached for an hour."""
    effort: bool = False
    """Whether `output_config.effort` is sent."""
    caches: str = ""
    """Only models whose name holds this get breakpoints."""
    cloud: bool = False
    """Whether a client of its own finds address and credentials."""

    def caching_for(self, model: str) -> Caching:
        """How requests for a model are cached."""
        return self.caching if self.caches in model else "none"


KINDS: dict[ServerKind, Kind] = {
    kind.name: kind
    for kind in (
        Kind("anthropic", "moving", hour=True, effort=True),
        # A gateway in front of Anthropic's API profits from all of it, and others ignore it.
        Kind("compatible", "moving", hour=True, effort=True),
        Kind("ollama", "none"),
        Kind("llama.cpp", "none"),
        Kind("vllm", "none"),
        Kind("lm-studio", "none"),
        Kind("litellm", "moving", hour=True),
        Kind("openrouter", "moving", caches="claude"),
        Kind("bedrock", "blocks", cloud=True),
        Kind("google-cloud", "moving", hour=True, effort=True, cloud=True),
        Kind("foundry", "blocks", cloud=True),
    )
}

_HOSTS: dict[str, ServerKind] = {"openrouter.ai": "openrouter", "ollama.com": "ollama"}
"""Public servers, by their host or the end of it."""
_PORTS: dict[int, ServerKind] = {11434: "ollama", 1234: "lm-studio"}
"""Ports of loopback servers that nothing else uses by default. llama-server (8080), vLLM (8000) and
LiteLLM (4000) share theirs with half of the world: they must be named."""


def find_kind(base_url: str, named: ServerKind | None = None) -> Kind:
    """The kind of a server: as named by the user, or by its address. Raises `UsageError`."""
    if named is not None:
        return KINDS[named]
    owner = endpoint(base_url)
    if owner == "anthropic":
        return KINDS["anthropic"]
    parts = urlsplit(base_url)
    host = (parts.hostname or "").rstrip(".")
    if owner == "loopback":
        return KINDS[_PORTS.get(parts.port or 0, "compatible")]
    for end, name in _HOSTS.items():
        if host == end or host.endswith(f".{end}"):
            return KINDS[name]
    return KINDS["compatible"]
