"""The list of hosts that a sandbox may reach: its rules, and which addresses are public.

A rule is `name`, `*.name` (what lies below, not the name itself) or an IP address, each with
`:port` if the port is neither 80 nor 443.
"""

import ipaddress
import re
from collections.abc import Sequence

from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.sandbox.policy import Network
from agentflow.toolbox.listener import PORT

WEB_PORTS = frozenset({80, 443})

LOCALHOST = "localhost"

_LOOPBACK = (LOCALHOST, "127.0.0.1", "::1")

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
# The C library takes `2130706433`, `127.1` and `0x7f.1` for addresses.
_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*(?!\d+\Z|0x[0-9a-f]*\Z){_LABEL}", re.ASCII)
_RULE = re.compile(r"(\*\.)?(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?", re.ASCII)

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_EMBEDDING = ipaddress.ip_network("64:ff9b::/96")
"""IPv6 addresses that hold an IPv4 address in their last 32 bits (RFC 6052)."""

_SPECIAL = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's platform
        "192.0.0.0/24",  # IETF protocol assignments; a cloud's metadata at .192
        "192.88.99.0/24",  # relays of 6to4 (RFC 7526)
        "64:ff9b:1::/48",  # local translation (RFC 8215)
        "::ffff:0:0:0/96",  # translated IPv4 (RFC 2765)
        "fec0::/10",  # site-local (RFC 3879)
        "3fff::/20",  # documentation (RFC 9637)
        "5f00::/16",  # segment routing (RFC 9602)
    )
)
"""Counted as public by the registry or by an older Python, and not."""


@record
class Rule:
    """One entry of the list."""

    host: str
    """A canonical name or address."""
    below: bool
    """Whether it means what lies below the name."""
    port: int | None
    """None means 80 and 443."""

    def matches(self, host: str, port: int) -> bool:
        """Tell whether the rule means this canonical host at this port."""
        if port != self.port and (self.port is not None or port not in WEB_PORTS):
            return False
        return host.endswith(f".{self.host}") if self.below else host == self.host


def parse_rules(entries: Sequence[str], setting: str = "environment.network") -> tuple[Rule, ...]:
    """Read a list of hosts. Raises `UsageError` for an entry that means none, naming the setting."""
    found = list[Rule]()
    for entry in entries:
        try:
            found.append(_rule(entry))
        except ValueError as error:
            raise UsageError(
                f"{setting}: {entry!r} does not name a host",
                hint="write name, *.name or name:port",
            ) from error
    return tuple(found)


def canonical(host: str) -> str:
    """Return a host in small letters, without the dot at its end; an address in its one form.

    Raises `ValueError` for what is neither a name nor an address.
    """
    address = parse_address(host)
    if address is not None:
        return str(address)
    # Before lower(): it turns the Kelvin sign into a k.
    name = host.removesuffix(".").lower() if host.isascii() else ""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{host!r} is not the name of a host")
    return name


def permits(rules: Sequence[Rule], host: str, port: int) -> bool:
    """Tell whether the list names a canonical host at a port."""
    return any(rule.matches(host, port) for rule in rules)


def may_connect(rules: Sequence[Rule], host: str, address: str, port: int) -> bool:
    """Tell whether a permitted host may be reached at an address that it resolves to.

    One that is not public must be on the list itself, or be the loopback of `localhost`.
    """
    parsed = parse_address(address)
    if parsed is None:
        return False
    if is_public(parsed) or (host == LOCALHOST and parsed.is_loopback):
        return True
    return any(not rule.below and rule.matches(str(parsed), port) for rule in rules)


def parse_address(text: str) -> _Address | None:
    """Return the address that a text is, strictly written; None for anything else."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def is_public(address: _Address) -> bool:
    """Tell whether an address is neither private, loopback, link-local, multicast nor a cloud's."""
    if isinstance(address, ipaddress.IPv6Address):
        held = address.ipv4_mapped or address.sixtofour
        if held is None and (address in _EMBEDDING or int(address) >> 32 == 0):
            held = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if held is not None:
            return is_public(held)
    special = any(address in network for network in _SPECIAL if network.version == address.version)
    return address.is_global and not address.is_multicast and not special


def proxy_environment(network: Network) -> dict[str, str]:
    """Return the variables that lead common programs to the proxy; none without one.

    What listens inside is reached directly, unless the list names this machine's own loopback.
    """
    if network.host or not network.hosts:
        return {}
    listed = {rule.host for rule in parse_rules(network.hosts)}
    direct = "" if listed.intersection(_LOOPBACK) else ",".join(_LOOPBACK)
    proxy = f"http://127.0.0.1:{PORT}"
    leading = ("HTTP_PROXY", "HTTPS_PROXY", "npm_config_proxy", "npm_config_https_proxy")
    return {
        **dict.fromkeys((*leading, "http_proxy", "https_proxy"), proxy),
        **dict.fromkeys(("NO_PROXY", "no_proxy", "npm_config_noproxy"), direct),
        "NODE_USE_ENV_PROXY": "1",
    }


def _rule(entry: str) -> Rule:
    """Raises `ValueError` for an entry that means no host."""
    bare = parse_address(entry)  # an IPv6 address without brackets has no room for a port
    match = _RULE.fullmatch(f"[{bare}]" if bare and bare.version == 6 else entry)
    if match is None:
        raise ValueError(entry)
    below, written, port = bool(match[1]), match[2], int(match[3]) if match[3] else None
    host = canonical(written.removeprefix("[").removesuffix("]"))
    is_named = parse_address(host) is None
    if (below and not is_named) or written.startswith("[") != (":" in host):
        raise ValueError(entry)
    if port is not None and not 0 < port < 1 << 16:
        raise ValueError(entry)
    return Rule(host, below, port)
