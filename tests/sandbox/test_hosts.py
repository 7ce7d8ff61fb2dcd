"""The list of hosts: what an entry means, and which addresses are public."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.errors import UsageError
from agentflow.sandbox.hosts import (
    Rule,
    canonical,
    is_public,
    may_connect,
    parse_rules,
    permits,
    proxy_environment,
)
from agentflow.sandbox.policy import Network


def test_entries_are_read() -> None:
    entries = ("Example.ORG.", "*.npm.test", "local:8080", "10.0.0.5", "[::1]:9000", "fd00::1")
    assert parse_rules(entries) == (
        Rule("example.org", below=False, port=None),
        Rule("npm.test", below=True, port=None),
        Rule("local", below=False, port=8080),
        Rule("10.0.0.5", below=False, port=None),
        Rule("::1", below=False, port=9000),
        Rule("fd00::1", below=False, port=None),
    )


@pytest.mark.parametrize(
    "entry",
    ["", "*", "*.", "a b", "a/b", "http://a", "u@a", "a:0", "a:65536", "a:x", "a:", "*.10.0.0.1",
     "a.*.b", "-a", "a..b", ".a", "2130706433", "127.1", "0x7f.1", "a.0x7f", "010.0.0.1", "[a]",
     "[10.0.0.1]", "[::1", "b\u00fccher.test", "\u212aey.test", "a\0", "a\n", "a" * 64],
)  # fmt: skip
def test_what_names_no_host_is_refused(entry: str) -> None:
    with pytest.raises(UsageError, match=r"environment\.network: .* does not name a host"):
        parse_rules((entry,))


@pytest.mark.parametrize(
    ("host", "port", "permitted"),
    [
        ("name.test", 443, True),
        ("name.test", 80, True),
        ("name.test", 8443, False),
        ("sub.name.test", 443, False),
        ("a.wild.test", 443, True),
        ("a.b.wild.test", 443, True),
        ("wild.test", 443, False),
        ("evilwild.test", 443, False),
        ("wild.test.evil", 443, False),
        ("odd.test", 8443, True),
        ("odd.test", 443, False),
    ],
)
def test_the_list_permits_what_it_names(host: str, port: int, permitted: bool) -> None:
    rules = parse_rules(("name.test", "*.wild.test", "odd.test:8443"))
    assert permits(rules, host, port) is permitted


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.255.0.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1",
     "169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "224.0.0.1",
     "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
     "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fc00::1", "ff02::1", "64:ff9b::7f00:1",
     "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::", "::ffff:0:7f00:1",
     "192.88.99.1", "fec0::1", "3fff::1", "5f00::1"],
)  # fmt: skip
def test_private_addresses_need_to_be_listed_themselves(address: str) -> None:
    assert not may_connect(parse_rules(("name.test", "localhost")), "name.test", address, 443)
    named = parse_rules(("name.test", address.partition("%")[0]))
    if "%" not in address:
        assert may_connect(named, "name.test", address, 443)
        assert not may_connect(named, "name.test", address, 8443)


def test_public_addresses_and_the_loopback_of_localhost_are_reached() -> None:
    rules = parse_rules(("name.test", "localhost:8080"))
    for address in ("93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"):
        assert may_connect(rules, "name.test", address, 443)
    assert may_connect(rules, "localhost", "::1", 8080)
    assert not may_connect(rules, "localhost", "10.0.0.1", 8080)
    assert not may_connect(rules, "name.test", "no address", 443)


@given(st.ip_addresses(v=4))
def test_an_embedded_address_is_judged_as_itself(address: ipaddress.IPv4Address) -> None:
    mapped = ipaddress.IPv6Address(f"::ffff:{address}")
    translated = ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) | int(address))
    assert is_public(mapped) == is_public(translated) == is_public(address)


@given(st.text(max_size=80))
def test_a_host_is_canonical_or_refused(text: str) -> None:
    try:
        host = canonical(text)
    except ValueError:
        return
    assert canonical(host) == host
    assert host.isascii()
    assert host == host.lower()


def test_programs_are_led_to_the_proxy_but_not_with_what_listens_inside() -> None:
    proxy, direct = "http://127.0.0.1:3128", "localhost,127.0.0.1,::1"
    assert proxy_environment(Network(hosts=("a.test",))) == {
        "HTTP_PROXY": proxy,
        "HTTPS_PROXY": proxy,
        "http_proxy": proxy,
        "https_proxy": proxy,
        "npm_config_proxy": proxy,
        "npm_config_https_proxy": proxy,
        "NO_PROXY": direct,
        "no_proxy": direct,
        "npm_config_noproxy": direct,
        "NODE_USE_ENV_PROXY": "1",
    }
    assert proxy_environment(Network(hosts=("localhost:8080",)))["NO_PROXY"] == ""
    assert proxy_environment(Network()) == proxy_environment(Network(("a",), host=True)) == {}
