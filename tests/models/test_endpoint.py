"""Whose server a URL names, and which key goes there."""

import pytest

from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.models.endpoint import endpoint, find_key

LOCAL = "http://127.0.0.1:8080"
OTHER = "https://llm.example.com/v1"
OFFICIAL = "https://api.anthropic.com"


@pytest.mark.parametrize(
    ("url", "owner"),
    [
        (OFFICIAL, "anthropic"),
        ("https://API.Anthropic.com./v1", "anthropic"),
        ("http://localhost:1234/v1", "loopback"),
        ("http://127.5.0.1", "loopback"),
        ("http://[::1]:80", "loopback"),
        ("https://api.anthropic.com.example.com", "other"),
        ("https://notanthropic.com", "other"),
        ("http://localhost.example.com", "other"),
        ("http://10.0.0.1:8000", "other"),
    ],
)
def test_the_owner_of_a_server(url: str, owner: str) -> None:
    assert endpoint(url) == owner


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://api.anthropic.com", id="Anthropic without TLS"),
        pytest.param("https://api.anthropic.com@example.com", id="a user that looks like a host"),
        pytest.param("https://example.com\\@api.anthropic.com", id="a backslash"),
        pytest.param("https://api.anthropic.com\n.example.com", id="a line break"),
        pytest.param("https://\u0430pi.anthropic.com", id="a Cyrillic letter"),
        pytest.param("ftp://example.com", id="another scheme"),
        pytest.param("example.com", id="no scheme"),
        pytest.param("https://", id="no host"),
        pytest.param("https://exa mple.com", id="a space"),
        pytest.param("https://example.com:port", id="no port number"),
        pytest.param("https://[::1", id="half an address"),
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match="URL"):
        endpoint(url)


def test_each_server_gets_its_own_key() -> None:
    environment = {"ANTHROPIC_API_KEY": "secret-a", "AGENTFLOW_API_KEY": "secret-b", "MINE": "c"}
    assert find_key(OFFICIAL, environment) == "secret-a"
    assert find_key(OTHER, environment) == "secret-b"
    assert find_key(LOCAL, environment) == "secret-b"
    assert find_key(OTHER, environment, "MINE") == "c"
    assert find_key(OFFICIAL, environment, "MINE") == "c"


@pytest.mark.parametrize("url", [OTHER, LOCAL])
def test_the_anthropic_key_never_goes_elsewhere(url: str) -> None:
    environment = {"ANTHROPIC_API_KEY": "secret-a"}
    with pytest.raises(UsageError, match="for Anthropic's hosts only"):
        find_key(url, environment, "ANTHROPIC_API_KEY")


def test_a_loopback_server_needs_no_key() -> None:
    assert find_key(LOCAL, {"ANTHROPIC_API_KEY": "secret-a", "AGENTFLOW_API_KEY": " "}) is None


@pytest.mark.parametrize(
    ("url", "variable", "named"),
    [
        (OFFICIAL, None, "ANTHROPIC_API_KEY"),
        (OTHER, None, "AGENTFLOW_API_KEY"),
        (LOCAL, "MINE", "MINE"),
    ],
)
def test_a_missing_key_names_its_variable(url: str, variable: str | None, named: str) -> None:
    with pytest.raises(EnvironmentFailure, match=named) as caught:
        find_key(url, {}, variable)
    assert named in caught.value.hint


@pytest.mark.parametrize("key", ["a b", "a\nb", "clé"])
def test_a_key_that_cannot_stand_in_a_header_is_not_repeated(key: str) -> None:
    with pytest.raises(EnvironmentFailure, match="AGENTFLOW_API_KEY holds characters") as caught:
        find_key(OTHER, {"AGENTFLOW_API_KEY": key})
    assert key not in str(caught.value)
