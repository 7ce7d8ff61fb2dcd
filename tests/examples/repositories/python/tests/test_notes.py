"""The service over real HTTP and a real database."""

import pytest


def test_a_note_is_kept(call):
    status, note = call("POST", "/notes", {"title": " Milk "})
    assert (status, note["title"]) == (201, "Milk")
    assert call("GET", "/notes") == (200, {"notes": [note]})


@pytest.mark.parametrize("body", [{"title": " "}, {"title": 1}, {}, []])
def test_a_note_without_title_is_refused(call, body):
    assert call("POST", "/notes", body) == (400, {"error": "invalid_title"})


def test_an_unknown_path_is_not_found(call):
    assert call("GET", "/nothing") == (404, {"error": "not_found"})
