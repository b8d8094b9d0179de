"""Every recorded answer of a real server, replayed byte for byte: the same bytes to the client, the right row."""

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.e2e.gateway import Served
from tests.e2e.played import CALLS, CUTS, LISTINGS, STREAMS, Plays
from tests.e2e.replay import FOLDER, Recording

GOLDEN: dict[str, dict[str, Any]] = json.loads((FOLDER / "golden.json").read_text(encoding="utf-8"))


def test_every_recording_has_its_golden_line() -> None:
    assert sorted(GOLDEN) == sorted(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_the_row_is_the_golden_one_however_the_answer_was_cut(name: str, plays: Plays) -> None:
    golden = GOLDEN[name]
    for cuts in CUTS:
        row = plays[name, cuts].row
        found = {
            "status": plays[name, cuts].status,
            "end": row["end"],
            "basis": row["usage_basis"],
            "usage": {bucket: count for bucket, count in row["usage"].items() if count is not None},
            "cost_usd": row["cost_usd"],
        }
        assert found == {field: golden[field] for field in found}, cuts
        assert row["status"] == golden["status"]
        assert row["stream"] is bool(CALLS[name].body.get("stream"))
        assert (row["error"] is None) is (golden["end"] == "completed")


@pytest.mark.parametrize("name", CALLS)
def test_the_client_gets_every_byte_however_the_answer_was_cut(name: str, plays: Plays) -> None:
    recording, golden = CALLS[name], GOLDEN[name]
    for cuts in CUTS:
        played = plays[name, cuts]
        assert played.status == golden["status"]
        if golden["status"] == recording.status:
            sent, tail = played.content[: golden["bytes"]], played.content[golden["bytes"] :]
            assert sent == recording.content, cuts
            assert _is_error_event(tail) if golden.get("error_event") else tail == b"", cuts
            assert played.headers.get("content-type") == recording.field("content-type")
        assert sent_events(played.content) == golden.get("events"), cuts


def sent_events(content: bytes) -> int | None:
    """How many events a stream has, comments and `[DONE]` included; null for what is no stream."""
    return sum(bool(part.strip()) for part in content.split(b"\n\n")) if b"data: " in content[:2000] else None


def _is_error_event(tail: bytes) -> bool:
    lines = tail.split(b"\n\n")
    return len(lines) == 2 and set(json.loads(lines[0].removeprefix(b"data: "))) == {"error"}


@pytest.mark.parametrize("name", [name for name, recording in STREAMS.items() if recording.asks_for_usage])
def test_usage_that_the_client_did_not_ask_for_is_taken_out_and_still_counted(name: str, plays: Plays) -> None:
    """Known fault 10: we ask on the client's behalf, and strip what it would not have got."""
    played, asked = plays[name, "not asked"], plays[name, "recorded"]
    assert played.row["usage"] == asked.row["usage"]
    assert played.row["cost_usd"] == asked.row["cost_usd"]
    assert played.row["end"] == asked.row["end"]
    if GOLDEN[name]["status"] == 200:
        expected = CALLS[name].expected(asked_for_usage=False)
        assert played.content[: len(expected)] == expected
        assert played.content[len(expected) :] == asked.content[GOLDEN[name]["bytes"] :]


@pytest.mark.parametrize("name", CALLS)
def test_what_a_provider_states_is_what_the_row_says(name: str, plays: Plays) -> None:
    """Read from the recording by other means than the gateway's: the buckets add up to what the server stated."""
    stated = _last_usage(CALLS[name])
    played = plays[name, "recorded"]
    if stated is None or played.row["usage_basis"] != "provider" or "two-choices" in name:
        assert GOLDEN[name]["basis"] == played.row["usage_basis"]
        return
    usage = played.row["usage"]
    assert (usage["input"] or 0) + (usage["cache_read"] or 0) == stated.get("prompt_tokens", 0)
    assert (usage["output"] or 0) + (usage["reasoning"] or 0) == stated.get("completion_tokens", 0)


def _last_usage(recording: Recording) -> dict[str, Any] | None:
    if recording.status != 200 or not recording.content:
        return None
    said = recording.data if recording.is_stream else [json.loads(recording.content)]
    return next((event["usage"] for event in reversed(said) if event.get("usage")), None)


@pytest.mark.parametrize("name", CALLS)
def test_the_cost_is_the_sum_of_the_buckets(name: str, plays: Plays) -> None:
    played = plays[name, "recorded"]
    usage, rates = played.row["usage"], {"input": "2", "cache_read": "0.5", "output": "10", "reasoning": "10"}
    microdollars = sum((Decimal(usage[bucket] or 0) * Decimal(rate) for bucket, rate in rates.items()), Decimal(0))
    assert Decimal(played.row["cost_usd"]) == microdollars / 1_000_000
    if not (CALLS[name].is_stream and played.status == 200):
        assert played.headers["x-tollkeeper-cost-usd"] == played.row["cost_usd"]
        assert played.headers["x-tollkeeper-usage-basis"] == played.row["usage_basis"]


def test_models_that_real_servers_list_can_be_asked_for(replayed: Served) -> None:
    """Each server's `/v1/models` as recorded, an empty list among them; ids with slashes do no harm."""
    listed = httpx.get(f"{replayed.v1}/models", trust_env=False).json()
    expected = {
        f"{provider}/{model['id']}"
        for provider, recording in LISTINGS.items()
        for model in json.loads(recording.content)["data"]
    }
    assert "llamacpp-models/tiny-toll" in expected
    assert {model["id"] for model in listed["data"]} == expected
    assert listed["object"] == "list"
