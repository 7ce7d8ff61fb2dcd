"""Whose server a base URL names, and which key may go there."""

import ipaddress
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

from agentflow.errors import EnvironmentFailure, UsageError

Owner = Literal["anthropic", "loopback", "other"]

ANTHROPIC_URL = "https://api.anthropic.com"
_ANTHROPIC_KEY = "ANTHROPIC_API_KEY"
_OWN_KEY = "AGENTFLOW_API_KEY"
_SHORTEST_KEY = 16


def endpoint(base_url: str) -> Owner:
    """Whose server it is.

    Raises `UsageError` for what is not a plain http(s) URL: with credentials, odd characters or
    without a host, different parsers see different hosts. So does Anthropic's host without TLS.
    """
    if "@" in base_url or "\\" in base_url or not base_url.isascii() or not base_url.isprintable():
        raise UsageError(
            "the base URL holds credentials or characters that do not belong into a URL",
            hint="Give the key in an environment variable, and the URL like https://host/path.",
        )
    try:
        parts = urlsplit(base_url)
        host = (parts.hostname or "").rstrip(".")
        _ = parts.port
    except ValueError as error:
        raise UsageError(f"the base URL {base_url!r} is not valid: {error}") from error
    if parts.scheme not in {"http", "https"} or not host or " " in base_url:
        raise UsageError(f"the base URL {base_url!r} is not like https://host/path")
    if host == "anthropic.com" or host.endswith(".anthropic.com"):
        if parts.scheme != "https":
            raise UsageError(f"the base URL {base_url!r} would send the key in clear; use https")
        return "anthropic"
    return "loopback" if _is_loopback(host) else "other"


def key_name(base_url: str, key_variable: str | None = None) -> str:
    """The environment variable that a server's key is read from."""
    return key_variable or (_ANTHROPIC_KEY if endpoint(base_url) == "anthropic" else _OWN_KEY)


def keys(environment: Mapping[str, str], key_variable: str | None = None) -> frozenset[str]:
    """Every key that a server of ours could be given, whichever of them is: no text shows one.

    Not the short words that servers without keys are given, as `test` or `ollama`.
    """
    names = (_ANTHROPIC_KEY, _OWN_KEY, key_variable or _OWN_KEY)
    found = (environment.get(name, "").strip() for name in names)
    return frozenset(key for key in found if len(key) >= _SHORTEST_KEY)


def find_key(
    base_url: str | None, environment: Mapping[str, str], key_variable: str | None = None
) -> str | None:
    """The key for a server; None for a loopback server that needs none.

    Without a URL it is a cloud, whose client finds its usual credentials: None unless
    `key_variable` names another variable.

    Anthropic's hosts get `ANTHROPIC_API_KEY`, which goes nowhere else; others get
    `AGENTFLOW_API_KEY`. `key_variable` names another variable. Raises `EnvironmentFailure` naming the
    variable if the key is missing or could not stand in a header, `UsageError` if Anthropic's key is
    meant for another host.
    """
    owner = endpoint(base_url) if base_url else "cloud"
    if owner != "anthropic" and key_variable == _ANTHROPIC_KEY:
        raise UsageError(
            f"{_ANTHROPIC_KEY} is for Anthropic's hosts only, not for {base_url or 'a cloud'}",
            hint=f"Put the key of this server into {_OWN_KEY}.",
        )
    if owner == "cloud" and key_variable is None:
        return None
    variable = key_variable or (_ANTHROPIC_KEY if owner == "anthropic" else _OWN_KEY)
    key = environment.get(variable, "").strip()
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise EnvironmentFailure(f"{variable} holds characters that cannot be part of a key")
    if key:
        return key
    if owner == "loopback" and key_variable is None:
        return None
    raise EnvironmentFailure(
        f"no key for {base_url or 'the cloud'}: the environment variable {variable} is not set",
        hint=f"Run `export {variable}=…`, or in CI set it as a secret of that name.",
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
