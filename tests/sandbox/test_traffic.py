"""What goes through the proxies of a run: told, and bounded."""

import pytest

from agentflow.events import ConnectionClosed, Event, Notice
from agentflow.sandbox.traffic import CutOff, Traffic
from tests.sandbox.proxied import Proxied, proxy_before_a_site, status


async def test_every_connection_is_told_with_what_it_carried(proxied: Proxied) -> None:
    port = proxied.site.port
    plain = await proxied.ask(
        f"POST http://allowed.test:{port}/ HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody".encode()
    )
    assert plain.endswith(b"hello")
    assert (await proxied.tunnel("x.wild.test", b"GET / HTTP/1.0\r\n\r\n")).endswith(b"hello")
    await proxied.ask(b"nonsense\r\n\r\n")

    first, second, third = await proxied.told(3)
    answer = len(proxied.site.answer)
    assert (first.place, first.host, first.port) == ("agent", "allowed.test", port)
    assert (first.uploaded, first.downloaded) == (len(proxied.site.seen[0]), answer)
    assert (second.host, second.uploaded, second.downloaded) == ("x.wild.test", 18, answer)
    assert (first.refused, second.refused, second.connections) == ("", "", 1)
    assert 0 <= second.seconds < 60
    assert (third.host, third.uploaded, third.downloaded) == ("", 0, 0)
    assert third.refused == "the proxy takes CONNECT host:port and http://host/path only"


async def test_no_byte_beyond_the_quota_leaves() -> None:
    head = b"POST / HTTP/1.0\r\nContent-Length: 400000\r\n\r\n"
    async with proxy_before_a_site(upload=300_000) as proxied:
        await proxied.tunnel("allowed.test", head, *[b"x" * 50_000] * 8)
        (cut,) = await proxied.told(1)
        assert 0 < cut.uploaded <= 300_000
        assert await proxied.site.cut == cut.uploaded
        assert cut.refused == "cut off: this run's upload quota of 300,000 bytes is used up"
        refused = b"this run's upload quota of 300,000 bytes is used up"
        for line in ("CONNECT allowed.test:{}", "GET http://allowed.test:{}/"):
            request = f"{line.format(proxied.site.port)} HTTP/1.1\r\n\r\n"
            answer = await proxied.ask(request.encode())
            assert (status(answer), refused in answer) == (403, True)
        notices = [each.text for each in proxied.events if isinstance(each, Notice)]
        assert notices == [f"{refused.decode()}: nothing more is sent. `upload` under [sandbox] of "
                           "your own configuration raises it."]  # fmt: skip


async def test_a_plain_request_that_is_larger_than_the_quota_is_refused_whole() -> None:
    async with proxy_before_a_site(upload=1000) as proxied:
        port = proxied.site.port
        head = f"POST http://allowed.test:{port}/ HTTP/1.1\r\nContent-Length: 2000\r\n\r\n"
        assert status(await proxied.ask(head.encode() + b"x" * 2000)) == 403
        assert proxied.site.seen == []
        assert (await proxied.ask(head.replace("2000", "5").encode() + b"small")).endswith(b"hello")


def test_several_sandboxes_share_the_quota_and_what_went_before_counts() -> None:
    shared = Traffic(100, uploaded=30)
    shared.account("setup").flow().send(40)
    flow = shared.account("agent").flow()
    flow.send(30)
    with pytest.raises(CutOff, match="quota of 100 bytes"):
        flow.send(1)
    assert flow.uploaded == 30


def test_after_many_connections_only_their_sums_are_told() -> None:
    events = list[Event]()
    account = Traffic(10**9, emit=events.append, listed=5).account("agent")
    for number in range(5 + 3):
        for refused in ("", "no"):
            flow = account.flow()
            flow.host, flow.refused = f"{number}.test", refused
            flow.send(2)
            flow.receive(3)
            account.close(flow, 0.5)
    assert len(events) == 2 * 5
    account.settle()
    sums = [each for each in events[2 * 5 :] if isinstance(each, ConnectionClosed)]
    assert [(each.host, each.connections, each.uploaded, each.seconds) for each in sums] == [
        ("(others)", 3, 6, 1.5)
    ] * 2
    assert [bool(each.refused) for each in sums] == [False, True]
    account.settle()
    assert len(events) == 2 * 5 + 2


async def test_the_sums_are_told_when_the_proxy_ends() -> None:
    async with proxy_before_a_site(listed=1) as proxied:
        for number in range(3):
            await proxied.ask(f"CONNECT {number}.evil.test:443 HTTP/1.1\r\n\r\n".encode())
    assert [(each.host, each.connections) for each in proxied.closed] == [
        ("0.evil.test", 1),
        ("(others)", 2),
    ]
