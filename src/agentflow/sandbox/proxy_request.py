"""What a client asks the proxy for, read so that no two servers can read it in two ways."""

import re
from collections.abc import Sequence

from agentflow.frozen import record
from agentflow.sandbox.hosts import canonical

_TARGET = re.compile(
    rb"(?:CONNECT (?P<peer>[^\s/@]+)|(?P<method>[A-Z]{1,20}) http://(?P<site>[^\s/@?#\\]+)"
    rb"(?P<path>[/?][\x21-\x7e]*)?) HTTP/1\.[01]"
)
_PEER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*)")
_OWN_FIELDS = frozenset((
    *(b"host", b"connection", b"proxy-connection", b"proxy-authorization", b"keep-alive"),
    *(b"upgrade", b"te", b"trailer"),
))
"""Fields that are for the proxy, or that it writes itself."""


class Refusal(Exception):
    """A request that gets an answer of ours: a status and one sentence."""

    def __init__(self, status: str, sentence: str, detail: str = "") -> None:
        """`detail` is for the report and not for the client."""
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.detail = detail

    @property
    def reason(self) -> str:
        """What the report says."""
        return f"{self.sentence} ({self.detail})" if self.detail else self.sentence

    @property
    def answer(self) -> bytes:
        """The whole answer on the wire."""
        body = f"agentflow: {self.sentence}\n".encode("ascii", "replace")
        head = (
            f"HTTP/1.1 {self.status}\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode("ascii") + body


@record
class ProxyRequest:
    """What a client asks for."""

    host: str
    """Canonical."""
    port: int
    head: bytes | None = None
    """What goes to the host in the client's place; None for a tunnel."""
    body: int | None = None
    """Bytes that may follow from the client; None for as many as it likes."""

    @property
    def upload(self) -> int:
        """Bytes that it will send at least."""
        return len(self.head) + (self.body or 0) if self.head is not None else 1

    @property
    def target(self) -> str:
        """Host and port as they are written."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_request(head: bytes) -> ProxyRequest:
    """Read a request's line and header fields, up to the empty line. Raises `Refusal`."""
    line, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    target = _TARGET.fullmatch(line)
    if target is None:
        raise bad("the proxy takes CONNECT host:port and http://host/path only")
    fields = [_field(each) for each in lines]
    if target["peer"] is not None:
        return ProxyRequest(*_peer(target["peer"], None))
    host, port = _peer(target["site"], 80)
    path: bytes = target["path"] or b"/"
    path = path if path.startswith(b"/") else b"/" + path
    kept = [b"%s: %s" % each for each in fields if each[0].lower() not in _OWN_FIELDS]
    own = [target["method"] + b" " + path + b" HTTP/1.1", b"Host: " + target["site"]]
    forwarded = b"\r\n".join([*own, *kept, b"Connection: close", b"", b""])
    return ProxyRequest(host, port, forwarded, _body_length(fields))


def _peer(written: bytes, default: int | None) -> tuple[str, int]:
    match = _PEER.fullmatch(written.decode("latin-1"))
    port = (int(match[2]) if match[2] else default) if match else None
    if match is None or port is None or not 0 < port < 1 << 16:
        raise bad("the request does not name a host and a port")
    bare = match[1].removeprefix("[").removesuffix("]")
    try:
        host = canonical(bare)
    except ValueError as error:
        raise bad("the request does not name a host") from error
    if (bare != match[1]) != (":" in host):
        raise bad("the request does not name a host")
    return host, port


def _field(line: bytes) -> tuple[bytes, bytes]:
    match = _FIELD.fullmatch(line)
    if match is None:
        raise bad("a header field is malformed")
    return match[1], match[2]


def _body_length(fields: Sequence[tuple[bytes, bytes]]) -> int:
    """Return how many bytes follow. What two servers could read in two ways is refused."""
    if any(name.lower() == b"transfer-encoding" for name, _ in fields):
        raise Refusal("411 Length Required", "the proxy takes no chunked body on plain http")
    lengths = [value.strip() for name, value in fields if name.lower() == b"content-length"]
    if not lengths:
        return 0
    if len(lengths) > 1 or not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
        raise bad("the Content-Length is malformed")
    return int(lengths[0])


def bad(sentence: str) -> Refusal:
    """What is answered to a malformed request."""
    return Refusal("400 Bad Request", sentence)
