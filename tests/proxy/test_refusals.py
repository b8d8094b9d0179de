"""From a kind of error to OpenAI's answer: the contract's table, to the letter."""

import json

import pytest

from gateway.core.errors import Fault, Kind
from gateway.proxy.refusals import REFUSALS, body_of, error_of, event_of, headers_of


def test_every_kind_has_its_answer() -> None:
    assert set(REFUSALS) == set(Kind)


@pytest.mark.parametrize(
    ("kind", "status", "code", "retry"),
    [
        (Kind.BAD_KEY, 401, "invalid_api_key", False),
        (Kind.MODEL_NOT_ALLOWED, 403, "model_not_allowed", False),
        (Kind.MODEL_UNKNOWN, 404, "model_not_found", False),
        (Kind.INVALID, 400, "invalid_request", False),
        (Kind.TOO_LARGE, 413, "request_too_large", False),
        (Kind.PRICE_UNKNOWN, 403, "price_unknown", False),
        (Kind.UPSTREAM, 502, "upstream_error", True),
        (Kind.UPSTREAM_UNCERTAIN, 502, "upstream_error", False),
        (Kind.TIMEOUT, 504, "upstream_timeout", False),
        (Kind.UNAVAILABLE, 503, "unavailable", True),
        (Kind.UNKNOWN_URL, 404, "unknown_url", False),
        (Kind.LOOP, 508, "loop_detected", False),
        (Kind.UNSUPPORTED, 501, "not_in_this_version", False),
    ],
)
def test_the_table_of_the_contract(kind: Kind, status: int, code: str, retry: bool) -> None:
    refusal = REFUSALS[kind]
    assert (refusal.status, refusal.code, refusal.retry) == (status, code, retry)


def test_what_the_client_gets() -> None:
    """Known fault 72: the error shape is OpenAI's, always."""
    fault = Fault(Kind.MODEL_UNKNOWN, "no such model", hint="did you mean x?", param="model", retry_after=7.5)
    assert json.loads(body_of(fault)) == {
        "error": {
            "message": "no such model; did you mean x?",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        }
    }
    assert headers_of(fault) == [("x-should-retry", "false"), ("retry-after", "7.5")]
    assert error_of(fault) == "model_not_found: no such model"
    assert event_of(fault).startswith(b"data: {")
