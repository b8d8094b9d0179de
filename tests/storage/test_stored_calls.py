"""A call as the contract writes it, to the letter (§5)."""

from dataclasses import replace

from gateway.core.calls import CallRecord
from gateway.core.usage import BUCKETS, Basis
from gateway.storage.stored_calls import StoredCall
from tests.storage.calls import BOOK, a_call, an_attempt, call_id

USAGE = {**dict.fromkeys(BUCKETS), "input": 200, "cache_read": 800, "output": 100}
IN_A_LIST = {
    "id": call_id(1),
    "started_at": "2026-10-31T08:00:00Z",
    "path": "/v1/chat/completions",
    "key": "ci",
    "key_id": "key-1",
    "team": "platform",
    "labels": {"feature": "search"},
    "session": "session-1",
    "end_user": "user-1",
    "model": "fast",
    "target": "openai/gpt-4o-mini",
    "provider": "openai",
    "stream": True,
    "end": "completed",
    "status": 200,
    "error": None,
    "cache": "off",
    "usage": USAGE,
    "usage_basis": "provider",
    "cost_usd": "0.001600000",
    "cost_at_least_usd": None,
    "avoided_usd": "0.000000000",
    "reserve_usd": "0.000000000",
    "held_usd": "0.000000000",
    "price_book": BOOK,
    "limit_lowered_to": None,
    "downgraded_from": None,
    "timings": {
        "overhead_ms": 0.2,
        "connect_ms": 3.5,
        "ttft_ms": 151.2,
        "first_reasoning_ms": 100.0,
        "duration_ms": 262.0,
        "itl_p50_ms": 10.1,
        "itl_p95_ms": 11.0,
        "itl_max_ms": 12.3,
        "output_tokens_per_second": 902.5,
    },
}
ATTEMPT = {
    "target": "openai/gpt-4o-mini",
    "end": "completed",
    "status": 200,
    "error": None,
    "started_at": "2026-10-31T08:00:00.000200Z",
    "duration_ms": 262.0,
    "usage": USAGE,
    "usage_basis": "provider",
    "tokenizer": None,
    "raw_usage": {"prompt_tokens": 1000, "completion_tokens": 100},
    "cost_usd": "0.001600000",
    "cost_at_least_usd": None,
    "provider_cost_usd": None,
    "unpriced_because": None,
    "price_book": BOOK,
    "upstream_request_id": "req_1",
}
CHARGES = [
    {"attempt": 0, "bucket": "input", "quantity": 200, "usd_per_million": "2", "amount_usd": "0.000400000"},
    {"attempt": 0, "bucket": "output", "quantity": 100, "usd_per_million": "12", "amount_usd": "0.001200000"},
]


def stored(record: CallRecord) -> StoredCall:
    """The record as it comes back from the ledger (`test_ledger` holds that it does)."""
    return StoredCall(
        seq=1,
        facts=record.facts,
        ended_us=record.ended_us,
        end=record.end,
        status=record.status,
        error=record.error,
        cache=record.cache,
        target=record.target,
        provider=record.provider,
        usage=record.usage,
        usage_basis=Basis(record.usage_basis),
        cost_nano=record.cost_nano,
        cost_at_least_nano=record.cost_at_least_nano,
        avoided_nano=0,
        reserve_nano=0,
        held_nano=0,
        price_book=record.price_book,
        timings=record.timings,
        attempts=record.attempts,
    )


def test_a_call_in_a_list() -> None:
    assert stored(a_call(1)).as_json(alone=False) == IN_A_LIST


def test_a_call_alone_has_attempts_and_charges() -> None:
    assert stored(a_call(1)).as_json(alone=True) == {
        **IN_A_LIST,
        "attempts": [ATTEMPT],
        "charges": CHARGES,
        "corrections": [],
    }


def test_an_unknown_cost_is_null_beside_what_is_priced() -> None:
    """Known fault 13: unknown is null, not zero."""
    json = stored(a_call(1, attempts=[an_attempt(cost_nano=None)])).as_json(alone=True)
    assert (json["cost_usd"], json["cost_at_least_usd"]) == (None, "0.000400000")
    assert json["attempts"] == [
        {**ATTEMPT, "cost_usd": None, "cost_at_least_usd": "0.000400000", "unpriced_because": "no price for output"}
    ]


def test_a_usage_object_that_is_none_is_shown_as_it_came() -> None:
    json = stored(a_call(1, attempts=[replace(an_attempt(), raw_usage="half of {")])).as_json(alone=True)
    assert json["attempts"] == [{**ATTEMPT, "raw_usage": "half of {"}]
