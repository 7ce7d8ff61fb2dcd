"""One repository, many addresses."""

import pytest

from agentflow.workspace.mirror import repository_key


@pytest.mark.parametrize(
    "url",
    [
        "git@Example.com:team/app.git",
        "git@example.com:/team/app",
        "ssh://git@example.com/team/app.git/",
        "ssh://git@example.com:22/team/app",
        "https://example.com/team/app.git",
        "https://EXAMPLE.com:443/team/app/",
        "git://example.com/team/app",
    ],
)
def test_a_repository_is_one_by_whichever_address(url: str) -> None:
    assert repository_key(url) == "example.com/team/app"


def test_what_may_be_another_repository_is_another() -> None:
    urls = (
        "git@example.com:team/app",
        "git@example.com:Team/app",
        "git@other.example.com:team/app",
        "ssh://git@example.com:2222/team/app",
        "https://example.com:8443/team/app",
        "ada@example.com:team/app",
        "ada@example.com:/team/app",
        "bob@example.com:team/app",
        "example.com:team/app",
        "/srv/team/app.git",
        "./team/app",
        "example.com/team/app",
        "ssh://git@example.com:8443/team/app",
    )
    assert len({repository_key(url) for url in urls}) == len(urls)


def test_ways_to_write_the_same_place_of_a_person_or_of_a_disk() -> None:
    assert repository_key("ada@host:app.git") == repository_key("ssh://ada@host/~/app")
    assert repository_key("ada@host:/srv/app") == repository_key("ssh://ada@HOST:22/srv/app.git")
    assert repository_key("file:///srv/app.git") == repository_key("/srv/app/")
    assert repository_key("git@[::1]:app") == repository_key("ssh://git@[::1]/app")
    assert repository_key("ssh://git@host:x/app") == "ssh://git@host:x/app"
