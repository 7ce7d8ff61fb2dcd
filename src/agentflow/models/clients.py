"""The SDK's clients: one transport of ours, and the client that fits the kind of server.

`anthropic` and `httpx2` are imported here and in `anthropic` only; late, as they take a second.
"""

import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from agentflow.errors import UsageError
from agentflow.models.endpoint import endpoint
from agentflow.models.kinds import Kind
from agentflow.words import how_to_add

if TYPE_CHECKING:
    import httpx2
    from anthropic import AsyncAnthropic

NO_KEY = "no-key-needed"
"""Sent where no key is needed: without an explicit one the SDK takes one from the environment."""
EXTRAS = {"bedrock": "bedrock", "google-cloud": "google-cloud"}
"""Kinds whose credentials need further packages, with agentflow's extra that brings them."""

_SAFE_HEADERS = (
    "accept",
    "anthropic-",
    "authorization",
    "connection",
    "content-",
    "host",
    "user-agent",
    "x-stainless-",
)


def make_client(
    kind: Kind, base_url: str | None, api_key: str | None, read_timeout: float
) -> "AsyncAnthropic":
    """A client that sends nothing yet. `read_timeout`: seconds of silence.

    A cloud finds address and credentials in its usual variables where none are given. Raises
    `UsageError` if it does not, or if the packages for it are missing.
    """
    import httpx2

    timeout = httpx2.Timeout(read_timeout, connect=10.0)
    options: dict[str, Any] = {
        "http_client": _transport(kind, base_url or "", api_key or NO_KEY, timeout),
        "timeout": timeout,
        "max_retries": 0,
        "open_telemetry": False,
    }
    if kind.cloud:
        return _cloud_client(kind, base_url, api_key, options)
    import anthropic

    url = (base_url or "").rstrip("/").removesuffix("/v1")
    return anthropic.AsyncAnthropic(api_key=api_key or NO_KEY, base_url=url, **options)


def _transport(
    kind: Kind, base_url: str, key: str, timeout: "httpx2.Timeout"
) -> "httpx2.AsyncClient":
    import anthropic
    import httpx2

    from agentflow.models.bounded import bounding

    owner = endpoint(base_url) if base_url else "other"
    # The SDK's own transport takes proxies from the environment whatever trust_env says; those
    # have no part in loopback.
    make = httpx2.AsyncClient if owner == "loopback" else anthropic.DefaultAsyncHttpxClient
    ours = owner == "anthropic" or kind.cloud
    return make(
        timeout=timeout,
        follow_redirects=False,  # the conversation goes to the host that was named, or nowhere
        trust_env=owner != "loopback",
        # Loading certificates takes 30 ms; without TLS an empty store serves, and trusts nobody.
        verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if base_url.startswith("http:") else True,
        headers={"accept-encoding": "identity"},
        event_hooks={
            "request": [] if ours else [_strip_headers(key)],
            "response": [bounding()],
        },
    )


def _cloud_client(
    kind: Kind, base_url: str | None, api_key: str | None, options: dict[str, Any]
) -> "AsyncAnthropic":
    """The client of a cloud. They differ from `AsyncAnthropic` in what surrounds `messages`."""
    import anthropic
    from anthropic.lib.bedrock import AsyncAnthropicBedrockMantle

    makers: dict[str, Callable[..., Any]] = {
        "bedrock": AsyncAnthropicBedrockMantle,
        "google-cloud": anthropic.AsyncAnthropicGoogleCloud,
        "foundry": anthropic.AsyncAnthropicFoundry,
    }
    given = {"base_url": base_url, **options}
    # Google takes no key but a token; the SDK calls this for each request.
    if api_key is not None:
        token = {"token_provider": lambda: api_key}
        given |= token if kind.name == "google-cloud" else {"api_key": api_key}
    try:
        return makers[kind.name](**given)
    except ImportError as error:
        raise UsageError(
            f"the packages for {kind.name} are not installed ({error})",
            hint=how_to_add(EXTRAS.get(kind.name, kind.name)),
        ) from error
    except (anthropic.AnthropicError, ValueError) as error:
        raise UsageError(f"{kind.name} cannot be used: {error}") from error


def _strip_headers(key: str) -> "Callable[[httpx2.Request], Awaitable[None]]":
    """A hook that lets only our own headers leave.

    `ANTHROPIC_CUSTOM_HEADERS` of the environment, which may hold credentials, would otherwise go
    to any server.
    """

    async def strip(request: "httpx2.Request") -> None:
        for name in [*request.headers]:
            if not name.lower().startswith(_SAFE_HEADERS):
                del request.headers[name]
        request.headers["authorization"] = f"Bearer {key}"

    return strip
