"""Whether a server can be reached: where a request connects to first, and whether that answers."""

import socket
import threading
from collections.abc import Mapping
from urllib.parse import urlsplit

from agentflow.models.endpoint import endpoint

CONNECT_TIMEOUT = 3.0
"""Seconds, the look-up of the name included."""


def first_address(url: str, environment: Mapping[str, str]) -> tuple[str, int, str]:
    """Host and port that a request connects to first: the server's, or the proxy's before it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    names = (f"{parts.scheme}_proxy", "all_proxy")
    given = [environment.get(each) for name in names for each in (name, name.upper())]
    proxy = next((each for each in given if each), "")
    spared = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if not proxy or endpoint(url) == "loopback" or _is_spared(host, spared):
        return host, port, ""
    try:
        before = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        host, port = before.hostname or "", before.port or 80
    except ValueError:
        host, port = "", 0
    return host, port, " (a proxy)"


def _is_spared(host: str, spared: str) -> bool:
    """Whether `no_proxy` names the host, or a domain that it belongs to."""
    names = [name.strip().lstrip(".").lower() for name in spared.split(",")]
    return any(name == "*" or f".{host}".endswith(f".{name}") for name in names if name)


def connect(host: str, port: int) -> str:
    """Why no connection can be made; empty if one can. In a thread, as a name's look-up has no
    limit of its own."""
    problems = [f"nothing within {CONNECT_TIMEOUT:g} s"]

    def attempt() -> None:
        try:
            socket.create_connection((host, port), CONNECT_TIMEOUT).close()
        except (OSError, ValueError) as error:
            problems.append(getattr(error, "strerror", None) or str(error))
        else:
            problems.append("")

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(CONNECT_TIMEOUT)
    return problems[-1]
