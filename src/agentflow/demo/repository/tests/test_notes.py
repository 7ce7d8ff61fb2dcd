"""The service over real HTTP."""

import json
import threading
import urllib.error
import urllib.request

import pytest

from notes.server import make_server


@pytest.fixture
def call():
    server = make_server(0)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def call(method, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{server.server_port}{path}", method=method, data=body
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.load(refused)

    yield call
    server.shutdown()
    server.server_close()


def test_a_note_is_kept(call):
    assert call("POST", "/notes", b'{"title": "Milk"}') == (
        201,
        {"note": {"id": 1, "title": "Milk", "text": ""}},
    )
    assert call("GET", "/notes")[1]["notes"][0]["title"] == "Milk"


@pytest.mark.parametrize("body", [b"", b"[]", b'{"title": ""}', b'{"title": 7}', b"{"])
def test_a_bad_note_is_refused(call, body):
    status, answer = call("POST", "/notes", body)
    assert status == 400
    assert answer["error"]["code"] in {"invalid_json", "invalid_title"}


def test_an_unknown_path_is_not_found(call):
    assert call("GET", "/nothing")[0] == 404
