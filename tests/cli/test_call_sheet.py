"""One call on a page."""

import io
from typing import Any

from rich.console import Console

from gateway.cli.call_sheet import print_call

CALL: dict[str, Any] = {
    "id": "0193-call", "started_at": "2026-10-31T08:00:00.000000Z", "path": "/v1/chat/completions", "key": "ci",
    "team": "search", "labels": {"env": "prod"}, "session": None, "end_user": None, "model": "fast",
    "target": "openai/gpt-4o-mini", "provider": "openai", "stream": True, "end": "completed", "status": 200,
    "error": None, "cache": "off", "usage": {"input": 200, "cache_read": 800, "output": 100, "reasoning": None},
    "usage_basis": "provider", "cost_usd": "0.001600000", "cost_at_least_usd": None, "price_book": "litellm 1.0",
    "timings": {
        "overhead_ms": 0.24, "connect_ms": None, "ttft_ms": 151.2, "first_reasoning_ms": None, "duration_ms": 1262.0,
        "itl_p50_ms": 10.1, "itl_p95_ms": 11.0, "itl_max_ms": 12.3, "output_tokens_per_second": 90.2,
    },
    "attempts": [
        {"target": "mistral/small", "end": "failed", "status": 500, "error": "upstream_error", "duration_ms": 20.0,
         "usage_basis": "none", "cost_usd": None, "unpriced_because": "no usage is known", "upstream_request_id": None},
        {"target": "openai/gpt-4o-mini", "end": "completed", "status": 200, "error": None, "duration_ms": 1262.0,
         "usage_basis": "provider", "cost_usd": "0.001600000", "unpriced_because": None,
         "upstream_request_id": "req-1"},
    ],
    "corrections": [],
    "charges": [
        {"attempt": 1, "bucket": "input", "quantity": 200, "usd_per_million": "2", "amount_usd": "0.000400000"},
        {"attempt": 1, "bucket": "output", "quantity": 100, "usd_per_million": "12", "amount_usd": "0.001200000"},
    ],
}  # fmt: skip


def sheet(call: dict[str, Any]) -> list[str]:
    text = io.StringIO()
    print_call(Console(file=text, width=120, highlight=False, markup=False), call)
    return [" ".join(line.split()) for line in text.getvalue().splitlines()]


def test_everything_that_is_known_is_told() -> None:
    lines = sheet(CALL)

    assert "call 0193-call" in lines
    assert "path /v1/chat/completions, stream" in lines
    assert "labels env=prod" in lines
    assert "end completed, status 200" in lines
    assert "cost $0.0016" in lines
    assert "overhead 0.2 ms" in lines
    assert "duration 1,262.0 ms" in lines
    assert "output 90.2 tokens/s" in lines
    assert "Usage (basis: provider)" in lines
    assert "cache_read 800" in lines
    assert any(line.startswith("0 mistral/small failed 500 20.0 ms none unknown upstream_error") for line in lines)
    assert any(line.startswith("1 openai/gpt-4o-mini completed 200") and line.endswith("req-1") for line in lines)
    assert "1 input 200 2 $0.0004" in lines
    assert "total $0.0016" in lines


def test_what_nobody_told_is_left_out_or_a_dash_and_never_a_zero() -> None:
    """Known fault 13: unknown is null, not zero."""
    lines = sheet(CALL)

    assert not any(line.startswith(("session", "reasoning", "error")) for line in lines)
    assert "connect –" in lines


def test_an_unknown_cost_says_unknown_and_what_it_is_at_least() -> None:
    lines = sheet(CALL | {"cost_usd": None, "cost_at_least_usd": "0.000400000"})

    assert "cost unknown, at least $0.0004" in lines
    assert "no cost of #0 no usage is known" in lines
    assert not any(line.startswith("no cost of #1") for line in lines)


def test_a_refused_call_has_no_attempts_and_no_charges() -> None:
    nothing = dict.fromkeys(CALL["usage"])
    lines = sheet(CALL | {"attempts": [], "charges": [], "usage": nothing, "target": None, "cost_usd": "0.000000000"})

    assert "tokens nobody told" in lines
    assert "Attempts" not in lines
    assert "Charges" not in lines
    assert "cost $0.00" in lines


def test_a_correction_stands_beside_what_was_charged_first() -> None:
    correction = {
        "made_at": "2026-11-01T00:00:00Z", "actor": "cli:me", "reason": "priced again", "delta_usd": "0.000400000",
        "cost_usd": "0.002000000", "price_book": "set price 1",
    }  # fmt: skip
    corrected = CALL | {"cost_usd": "0.002000000", "corrections": [correction]}
    assert "total unknown" in sheet(corrected)  # one of its attempts had no cost
    lines = sheet(corrected | {"attempts": CALL["attempts"][1:]})
    assert {"cost $0.002", "total $0.0016"} <= set(lines)
    assert any("cli:me" in line and "$0.0004" in line and "set price 1" in line for line in lines)
