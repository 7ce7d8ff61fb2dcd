"""The name that a TLS client asks for in a tunnel, and who is cut off by it."""

import asyncio
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.sandbox.client_hello import read_opening
from agentflow.sandbox.traffic import CutOff
from tests.sandbox.proxied import Proxied


def hello(name: str | None) -> bytes:
    """The ClientHello of a real client that asks for a name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def in_records(data: bytes, size: int) -> bytes:
    """The same message in records of so many bytes."""
    body = data[5:]
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(data[:3] + len(part).to_bytes(2) + part for part in parts)


def made_hello(*names: str, padding: int = 0) -> bytes:
    """A ClientHello by hand, with an extension for each name, in as many records as it takes."""
    extensions = b"".join(
        b"\0\0" + _sized(_sized(b"\0" + _sized(name.encode(), 2), 2), 2) for name in names
    )
    extensions += b"\0\x15" + _sized(bytes(padding), 2)
    body = b"\3\3" + bytes(32) + b"\0" + _sized(b"\x13\x01", 2) + b"\1\0" + _sized(extensions, 2)
    return in_records(b"\x16\3\1\0\0\1" + _sized(body, 3), 16_000)


def _sized(data: bytes, width: int) -> bytes:
    return len(data).to_bytes(width) + data


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("allowed.test", "allowed.test"),
        ("allowed.test", "Allowed.test"),
        ("allowed.test", "x.wild.test"),
        ("127.0.0.1", None),
        ("127.0.0.1", "allowed.test"),
    ],
)
async def test_tls_for_a_listed_name_is_carried_as_it_is(
    proxied: Proxied, host: str, name: str | None
) -> None:
    made = made_hello(*filter(None, [name]), padding=20_000)
    for sent in (hello(name), in_records(hello(name), 7), made):
        data = sent + b"\r\n\r\n"
        assert (await proxied.tunnel(host, data[:3], data[3:])).endswith(b"hello")
        assert proxied.site.seen[-1] == data
    assert proxied.refused == []


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (hello("evil.test"), "names evil.test, which is not listed"),
        (in_records(hello("evil.test"), 3), "names evil.test, which is not listed"),
        (hello("wild.test"), "names wild.test, which is not listed"),
        (hello(None), "names no host"),
        (b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00", "no ClientHello that can be read"),
        (b"\x16\x03\x01\x00\x00" * 2, "no ClientHello that can be read"),
        (b"\x16\x03\x01\x00\x01\x01\x17\x03\x01\x00\x01\x01", "no ClientHello that can be read"),
        (b"\x16\x03\x01\xff\xff" + bytes(70_000), "no ClientHello that can be read"),
        (made_hello("allowed.test", padding=40_000), "no ClientHello that can be read"),
        (made_hello("allowed.test", "evil.test"), "no ClientHello that can be read"),
        (hello("allowed.test")[:5] + b"\x01\x00\x00\x20" + bytes(2000), "no ClientHello"),
    ],
    ids=[
        "other",
        "in pieces",
        "apex",
        "none",
        "server's",
        "empty",
        "mixed",
        "huge",
        "padded",
        "two names",
        "short",
    ],
)
async def test_tls_for_another_name_never_reaches_the_host(
    proxied: Proxied, sent: bytes, reason: str
) -> None:
    answer = await proxied.tunnel("allowed.test", sent + b"\r\n\r\n")
    assert answer == b"HTTP/1.1 200 Connection established\r\n\r\n"
    (cut,) = await proxied.told(1)
    assert cut.refused.startswith("cut off: it")
    assert reason in cut.refused
    assert (cut.uploaded, proxied.site.seen) == (0, [])


@given(st.binary(max_size=400), st.integers(0, 400), st.binary(max_size=3))
def test_any_opening_is_read_or_cut_off(data: bytes, place: int, changed: bytes) -> None:
    whole = HELLO[:place] + changed + HELLO[place + len(changed) :]
    for sent in (b"\x16" + data, whole):
        assert asyncio.run(_opened(sent)) in {"read", "cut off", "reset"}


HELLO = hello("allowed.test")


async def _opened(sent: bytes) -> str:
    source = asyncio.StreamReader()
    source.feed_data(sent)
    source.feed_eof()
    try:
        opening = await read_opening(source)
    except CutOff:
        return "cut off"
    except ConnectionResetError:
        return "reset"
    assert sent.startswith(opening.data)
    return "read"
