"""The retry policy: which failures come back, and when."""

import pytest

from agentflow.models.retry import (
    ATTEMPTS,
    Failed,
    Refusal,
    is_refused,
    judge,
    next_delay,
    quote,
    wanted_wait,
)

NOW = 1_795_132_800.0
"""2026-11-20 00:00:00 UTC."""


@pytest.mark.parametrize(
    ("refusal", "retryable"),
    [
        pytest.param(Refusal(408), True, id="a request timeout is retried"),
        pytest.param(Refusal(409), True, id="a conflict is retried"),
        pytest.param(Refusal(429, "rate_limit_error"), True, id="a rate limit is retried"),
        pytest.param(Refusal(500, "api_error"), True, id="a server error is retried"),
        pytest.param(Refusal(502), True, id="a bad gateway is retried"),
        pytest.param(Refusal(529, "overloaded_error"), True, id="overload is retried"),
        pytest.param(Refusal(200, "overloaded_error"), True, id="overload in a stream is retried"),
        pytest.param(Refusal(200, "api_error"), True, id="an api error in a stream is retried"),
        pytest.param(
            Refusal(200, "invalid_request_error"), False, id="a refusal in a stream is final"
        ),
        pytest.param(Refusal(400), False, id="a bad request is final"),
        pytest.param(Refusal(401), False, id="a bad key is final"),
        pytest.param(Refusal(403), False, id="a missing permission is final"),
        pytest.param(Refusal(404), False, id="an unknown model is final"),
        pytest.param(Refusal(413), False, id="a request too large is final"),
        pytest.param(
            Refusal(529, headers={"x-should-retry": "false"}), False, id="the server says no"
        ),
        pytest.param(
            Refusal(429, code="contract_spend_limit_reached"), False, id="a contract limit is final"
        ),
        pytest.param(
            Refusal(429, code="enforced_spend_limit_reached"), False, id="an own limit is final"
        ),
    ],
)
def test_which_refusals_are_retried(refusal: Refusal, retryable: bool) -> None:
    assert judge(refusal, NOW).retryable is retryable


def test_a_refusal_becomes_one_safe_sentence() -> None:
    refusal = Refusal(
        400,
        "invalid_request_error",
        message="no\n\x1b[31mway " + "x" * 1000,
        headers={"request-id": "req_7"},
    )
    failed = judge(refusal, NOW)
    assert failed.reason.startswith(
        "the model API answered 400 invalid_request_error: no \\x1b[31mway xxx"
    )
    assert failed.reason.endswith("x… (request req_7)")
    assert len(failed.reason) < 400
    assert failed.hint


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="not asked for"),
        pytest.param({"retry-after": "7"}, 7.0, id="seconds"),
        pytest.param({"retry-after": "0.25"}, 0.25, id="fractions"),
        pytest.param({"retry-after-ms": "300", "retry-after": "9"}, 0.3, id="milliseconds win"),
        pytest.param({"retry-after": "-3"}, 0.0, id="never negative"),
        pytest.param({"retry-after": "nan"}, None, id="not a number"),
        pytest.param({"retry-after": "inf"}, None, id="not forever"),
        pytest.param({"retry-after": "soon"}, None, id="not a word"),
        pytest.param(
            {"retry-after": "Mon, 01 Jan 99999999 00:00:00 GMT"}, None, id="a year of no clock"
        ),
        pytest.param({"retry-after": "Fri, 20 Nov 2026 00:00:05 GMT"}, 5.0, id="a date"),
        pytest.param({"retry-after": "Thu, 19 Nov 2026 00:00:05 GMT"}, 0.0, id="a date gone by"),
    ],
)
def test_the_wait_that_a_server_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert wanted_wait(headers, NOW) == seconds


def test_delays_double_and_end_after_the_last_attempt() -> None:
    failed = Failed("overloaded")
    assert [next_delay(failed, n, 1.0) for n in range(1, ATTEMPTS + 1)] == [1, 2, 4, 8, None]
    assert next_delay(failed, 1, 0.0) == 0.75


def test_nobody_listens_if_every_address_says_so() -> None:
    def failed(*tried: OSError) -> OSError:
        error = OSError("all attempts failed")
        error.__cause__ = ExceptionGroup("attempts", tried)
        return error

    assert is_refused(failed(ConnectionRefusedError(), ConnectionRefusedError()))
    assert not is_refused(failed(ConnectionRefusedError(), TimeoutError()))


def test_a_short_wait_is_honoured_and_a_long_one_ends_the_call() -> None:
    assert next_delay(Failed("limit", wait=60.0), 1, 0.0) == 60.0
    assert next_delay(Failed("limit", wait=0.0), 1, 1.0) == 0.0
    assert next_delay(Failed("limit", wait=61.0), 1, 0.0) is None
    assert next_delay(Failed("no", retryable=False, wait=1.0), 1, 0.0) is None


def test_foreign_text_is_bounded_and_escaped() -> None:
    assert quote("a\tb\r\n c\u202ed\x00") == "a b c\\u202ed\\x00"
    assert quote("x" * 301) == "x" * 299 + "…"
