"""Any request and any ClientHello: no crash, and no second reader sees another host than ours."""

import asyncio
import contextlib
import io
import ssl
import sys
from http.client import parse_headers
from urllib.parse import urlsplit

from hypothesis import example, given
from hypothesis import strategies as st

from agentflow.sandbox.client_hello import read_opening
from agentflow.sandbox.hosts import canonical
from agentflow.sandbox.proxy_request import ProxyRequest, Refusal, parse_request
from agentflow.sandbox.traffic import CutOff
from tests.sandbox.proxied import proxy_before_a_site, status
from tests.sandbox.test_client_hello import hello, in_records, made_hello

HOSTS = st.sampled_from([
    *("allowed.test", "ALLOWED.test.", "x.wild.test", "evil.test", "127.0.0.1", "[::1]", "0x7f.1"),
    *("2130706433", "127.1", "a_b", "-", "xn--e1afmkfd", "[::ffff:127.0.0.1]", "localhost", ""),
])  # fmt: skip
JOINTS = st.sampled_from(["", "", ".", "@", "#", "\\", "%00", "\0", ":", ":80@", "/", "?", " ", "\t", "\u212a"])  # fmt: skip
PORTS = st.sampled_from(["", ":443", ":80", ":0", ":99999", ":443:80", ":+443", ":4_4"])
FIELDS = st.lists(
    st.sampled_from([
        *("Host: evil.test", "host : evil.test", "X: y", "X: a\rHost: evil.test", "Content-Length: 3"),
        *("Content-Length: +3", "Transfer-Encoding: chunked", " folded", "", "Connection: upgrade"),
        "X: y\nHost: evil.test", "X\0: y",
    ]),
    max_size=3,
)  # fmt: skip
METHODS = st.sampled_from(["CONNECT {}", "GET http://{}/", "POST http://{}/a?b", "GET https://{}/", "GET {}", "get http://{}/"])  # fmt: skip


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request of a client that wants to be read in two ways."""
    parts = draw(st.lists(st.tuples(HOSTS, JOINTS), min_size=1, max_size=2))
    authority = "".join(map("".join, parts)) + draw(PORTS)
    line = f"{draw(METHODS).format(authority)} HTTP/1.1"
    return "\r\n".join([line, *draw(FIELDS), "", ""]).encode()


@given(requests())
@example(b"GET http://allowed.test:80@evil.test/ HTTP/1.1\r\n\r\n")
def test_a_second_reader_reads_the_same_host(data: bytes) -> None:
    try:
        request = parse_request(data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    except Refusal:
        return
    assert isinstance(request, ProxyRequest)
    written = data.split(b" ")[1].decode()
    parts = urlsplit(written if "//" in written else f"//{written}")
    assert canonical(parts.hostname or "") == request.host
    assert (parts.port or 80) == request.port
    if request.head is not None:
        line, _, rest = request.head.partition(b"\r\n")
        fields = parse_headers(io.BytesIO(rest))
        said = urlsplit(f"//{fields['Host']}")
        assert fields.get_all("Host") == [fields["Host"]]
        assert (canonical(said.hostname or ""), said.port or 80) == (request.host, request.port)
        assert line.split(b" ")[1].startswith(b"/")
        assert int(fields["Content-Length"] or 0) == request.body


def test_any_request_gets_an_answer_and_reaches_what_is_listed() -> None:
    async def answered(data: bytes) -> None:
        answer = await proxied.ask(data)
        assert status(answer) in {200, 400, 403, 411, 413, 502}, answer
        assert proxied.site.seen == []

    with asyncio.Runner() as runner:
        opened = proxy_before_a_site()
        proxied = runner.run(opened.__aenter__())

        @given(requests())
        def trial(data: bytes) -> None:
            runner.run(answered(data))

        try:
            trial()
            port = proxied.site.port
            runner.run(proxied.ask(f"GET http://allowed.test:{port}/ HTTP/1.1\r\n\r\n".encode()))
            assert len(proxied.site.seen) == 1
        finally:
            runner.run(opened.__aexit__(None, None, None))


def openssl_sees(data: bytes) -> list[str | None]:
    """The names that a real server is asked for by a ClientHello; none if it takes it for none."""
    names = list[str | None]()

    def undecodable(failed: "sys.UnraisableHookArgs") -> None:
        """Python gives no name to the callback that is not ASCII; it reports the bytes."""
        assert isinstance(failed.object, bytes)
        assert isinstance(failed.exc_value, UnicodeDecodeError)
        names.append(failed.object.decode("latin-1"))

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda _, name, __: names.append(name)
    incoming = ssl.MemoryBIO()
    server = context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True)
    incoming.write(data)
    before, sys.unraisablehook = sys.unraisablehook, undecodable
    try:
        with contextlib.suppress(ssl.SSLError):
            server.do_handshake()
    finally:
        sys.unraisablehook = before
    return names


async def we_see(data: bytes) -> str | None:
    """The name that we read. Raises `CutOff` or `ConnectionResetError`."""
    source = asyncio.StreamReader()
    source.feed_data(data)
    source.feed_eof()
    opening = await read_opening(source)
    assert data.startswith(opening.data)
    assert opening.tls
    return opening.name


WHOLE = (hello("allowed.test"), made_hello("allowed.test"), made_hello("allowed.test", "evil.test"))
PLACES = st.integers(0, 400)


@given(
    st.sampled_from(WHOLE),
    st.lists(st.tuples(PLACES, st.binary(max_size=3), st.integers(0, 2)), max_size=3),
    st.integers(1, 600),
)
@example(WHOLE[0], [(WHOLE[0].index(b"allowed.test") + 8, b"\xd2", 1)], 600)
def test_openssl_reads_no_other_name(
    whole: bytes, edits: list[tuple[int, bytes, int]], size: int
) -> None:
    data = whole
    for place, added, removed in edits:
        data = data[:place] + added + data[place + removed :]
    for sent in (data, in_records(data, size)):
        seen = openssl_sees(sent)
        if sent[:1] != b"\x16" or not any(seen):
            continue
        with contextlib.suppress(CutOff, ConnectionResetError):
            name = asyncio.run(we_see(sent))
            assert {each and canonical(each) for each in seen} == {name}
