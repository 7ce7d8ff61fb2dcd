"""Who is heard, over plain HTTP."""

import re
import socket
from collections.abc import Generator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.cli.shell import Shell
from tests.ui.place import Place


class Caller:
    """A client that is no browser: it says exactly what a test wants."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.base = f"{parts.scheme}://{parts.netloc}"
        self.place = parts.netloc
        self.token = parse_qs(parts.query)["token"][0]
        self.http = httpx2.Client(base_url=self.base, timeout=30)

    def enter(self) -> httpx2.Response:
        return self.http.get("/", params={"token": self.token})

    def form_token(self, path: str) -> str:
        found = re.search(r'name="form_token" value="([^"]+)"', self.http.get(path).text)
        assert found
        return found[1]


@pytest.fixture
def caller(url: str) -> Generator[Caller]:
    made = Caller(url)
    with made.http:
        yield made


def test_nothing_is_shown_without_the_token(caller: Caller, place: Place) -> None:
    for path in ("/", "/runs", f"/runs/{place.runs['TASK-1']}", "/assets/report.css", "/nothing"):
        assert caller.http.get(path).status_code == 401, path
        assert caller.http.post(path).status_code == 401, path
    assert caller.http.get("/", params={"token": "wrong"}).status_code == 401
    assert caller.http.get("/runs", params={"token": caller.token}).status_code == 401
    assert (
        caller.http.get("/", headers=[(b"cookie", "agentflow-1=x; =; é".encode())]).status_code
        == 401
    )

    entered = caller.enter()
    assert entered.status_code == 200
    port = caller.place.rpartition(":")[2]
    (cookie,) = entered.headers.get_list("set-cookie")
    assert cookie.startswith(f"agentflow-{port}=")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert caller.token not in cookie
    assert caller.token not in entered.text
    assert caller.http.get("/").status_code == 200


def test_another_name_for_the_server_is_refused(caller: Caller) -> None:
    caller.enter()
    port = caller.place.rpartition(":")[2]
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1",
        f"127.0.0.1.evil.example:{port}",
    ):
        refused = caller.http.get("/", headers={"host": host})
        assert refused.status_code == 421, host
        assert (
            caller.http.get("/", params={"token": caller.token}, headers={"host": host}).status_code
            == 421
        )
    assert caller.http.get("/", headers={"host": f"LOCALHOST:{port}"}).status_code == 200
    with socket.create_connection(("127.0.0.1", int(port))) as raw:
        twice = f"GET / HTTP/1.1\r\nHost: {caller.place}\r\nHost: evil.example\r\n\r\n"
        raw.sendall(twice.encode())
        assert raw.recv(200).split()[1] in {b"400", b"421"}


def test_every_answer_says_what_a_browser_may_do(caller: Caller) -> None:
    answers = [caller.http.get("/"), caller.enter(), caller.http.get("/"), caller.http.get("/nothing"),
               caller.http.post("/"), caller.http.get("/assets/dashboard.js")]  # fmt: skip
    assert [each.status_code for each in answers] == [401, 200, 200, 404, 403, 200]
    for answer in answers:
        policy = answer.headers["content-security-policy"].split("; ")
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert not [part for part in policy if "unsafe" in part or "http" in part or "*" in part]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers
    for page in ("/", "/runs", "/tasks", "/costs"):
        text = caller.http.get(page).text
        assert not re.search(r"<script(?! src=)|<style|<\w[^>]* (on\w+|style)=|https?://", text), (
            page
        )


@pytest.mark.parametrize("deed", ["cancel", "resume", "retry", "answer"])
def test_no_other_page_changes_anything(caller: Caller, place: Place, deed: str) -> None:
    caller.enter()
    run = place.runs["TASK-3"]
    path, before = f"/runs/{run}/{deed}", sorted((place.root / ".orchestrator/runs").iterdir())
    good = caller.form_token("/")
    tried: list[tuple[dict[str, str], dict[str, str]]] = [
        ({"text": "x"}, {}),
        ({"text": "x", "form_token": "wrong"}, {}),
        ({"text": "x", "form_token": ""}, {}),
        ({"text": "x", "form_token": good}, {"origin": "http://evil.example"}),
        ({"text": "x", "form_token": good}, {"origin": "null"}),
        ({"text": "x", "form_token": good}, {"origin": "http://localhost:1"}),
        ({"text": "x", "form_token": good}, {"sec-fetch-site": "cross-site"}),
        ({"text": "x", "form_token": good}, {"sec-fetch-site": "same-site"}),
        ({"text": "x", "form_token": good}, {"content-type": "text/plain"}),
    ]
    for data, headers in tried:
        refused = caller.http.post(path, data=data, headers=headers)
        assert refused.status_code == 403, (data, headers)
    assert caller.http.get(path, params={"form_token": good}).status_code == 405
    assert caller.http.post(path, json={"form_token": good}).status_code == 403
    assert caller.http.post(path, data={"text": "x" * (2 << 20)}).status_code == 413
    assert sorted((place.root / ".orchestrator/runs").iterdir()) == before


def test_no_address_leads_out(caller: Caller, place: Place) -> None:
    caller.enter()
    good = caller.form_token("/")
    secret = place.root / ".orchestrator/runs/secret.txt"
    secret.write_text("for nobody")
    for path in (
        "/assets/../report.py", "/assets/%2e%2e/report.py", "/assets/..%2freport.py",
        "/assets/report.html.j2", "/assets/%2fetc%2fpasswd", "/assets/", "/runs/secret.txt",
        "/runs/%2e%2e", "/runs/..%2f..%2fconfig.toml", "/runs/a%00b",
        "/runs/TASK-1", "/runs/..-20261120T193318-abcd",
    ):  # fmt: skip
        answer = caller.http.get(path)
        assert answer.status_code in {404, 307, 308}, path
        assert "for nobody" not in answer.text
    for run in ("..", "TASK-9", "--help", "a b", "%2e%2e%2fx", "..-20261120T193318-abcd"):
        for deed in ("cancel", "resume", "retry", "answer"):
            answer = caller.http.post(f"/runs/{run}/{deed}", data={"form_token": good, "text": "x"})
            assert answer.status_code in {404, 405}, (run, deed)
    assert (
        caller.http.post(
            f"/runs/{place.runs['TASK-1']}/delete", data={"form_token": good}
        ).status_code
        == 404
    )


def test_what_is_refused_is_said_in_a_sentence(caller: Caller, place: Place) -> None:
    caller.enter()
    good = caller.form_token("/")
    cancelled = caller.http.post(f"/runs/{place.runs['TASK-1']}/cancel", data={"form_token": good})
    assert cancelled.status_code == 409
    assert "no process of this machine and user works on TASK-1" in cancelled.text
    empty = caller.http.post(
        f"/runs/{place.runs['TASK-3']}/answer", data={"form_token": good, "text": " "}
    )
    assert empty.status_code == 409
    assert "the answer is empty" in empty.text


def test_a_host_that_is_every_address_or_none_is_refused(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    ended = shell.run("ui", "--host", "0.0.0.0")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "is every address of this machine" in ended.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = shell.run("ui", "--port", str(taken.getsockname()[1]))
    assert ended.returncode == 5
    assert "cannot listen on 127.0.0.1 port" in ended.stderr
    foreign = shell.run("ui", "--host", "192.0.2.1")
    assert (foreign.returncode, "192.0.2.1 is no address of this" in foreign.stderr) == (2, True)
