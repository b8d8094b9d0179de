"""Ended calls for the ledger, and strategies for many of them within a few hours."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from uuid import UUID

from hypothesis import strategies as st

from gateway.core.calls import Attempt, CallFacts, CallRecord, Charge, End, Timings
from gateway.core.usage import Basis, Usage

HOUR_US = 3_600_000_000
START_US = 1_793_433_600_000_000
"""2026-10-31T08:00:00Z, a full hour."""

BOOK = "litellm 1.106.2 sha256:1a2b3c4d5e6f"


@cache
def call_id(number: int) -> str:
    """An id for the call of this number."""
    return str(UUID(int=0x0193F0C0_0000_7000_8000_000000000000 + number))


def an_attempt(index: int = 0, *, cost_nano: int | None = 1_600_000) -> Attempt:
    """An attempt as they all look, whose charges add up to its cost."""
    return Attempt(
        index=index,
        target="openai/gpt-4o-mini",
        provider="openai",
        end=End.COMPLETED,
        started_us=START_US + 200,
        status=200,
        duration_ms=262.0,
        usage=Usage(input=200, cache_read=800, output=100),
        usage_basis=Basis.PROVIDER,
        raw_usage='{"prompt_tokens": 1000, "completion_tokens": 100}',
        cost_nano=cost_nano,
        cost_at_least_nano=400_000 if cost_nano is None else None,
        unpriced_because="no price for output" if cost_nano is None else None,
        price_book=BOOK,
        upstream_request_id="req_1",
        charges=(Charge(index, "input", 200, "2", 400_000), Charge(index, "output", 100, "12", 1_200_000)),
    )


def a_call(number: int = 0, *, at_us: int = START_US, attempts: Sequence[Attempt] | None = None) -> CallRecord:
    """A completed streamed call."""
    facts = CallFacts(
        id=call_id(number),
        started_us=at_us,
        path="/v1/chat/completions",
        key_id="key-1",
        key="ci",
        team="platform",
        labels={"feature": "search"},
        session="session-1",
        end_user="user-1",
        model="fast",
        stream=True,
    )
    timings = Timings(0.2, 3.5, 151.2, 100.0, 262.0, 10.1, 11.0, 12.3, 902.5)
    tried = (an_attempt(),) if attempts is None else tuple(attempts)
    return CallRecord(facts, End.COMPLETED, 200, None, tried, timings, "off", at_us + 262_000)


def with_facts(record: CallRecord, **facts: object) -> CallRecord:
    """The same call with other facts."""
    return replace(record, facts=replace(record.facts, **facts))  # type: ignore[arg-type]  # typed as CallFacts is


counts = st.none() | st.integers(0, 1000)
milliseconds = st.none() | st.floats(0.1, 5000)
attempts = st.builds(
    Attempt,
    index=st.just(0),
    target=st.sampled_from(["openai/a", "openai/b", "gpu/a"]),
    provider=st.sampled_from(["openai", "gpu"]),
    end=st.sampled_from(End),
    started_us=st.just(START_US),
    usage=st.builds(Usage, input=counts, cache_read=counts, output=counts, reasoning=counts),
    usage_basis=st.sampled_from(Basis),
    cost_nano=counts,
    cost_at_least_nano=counts,
)


@st.composite
def _calls(draw: st.DrawFn, number: int) -> CallRecord:
    facts = CallFacts(
        id=call_id(number),
        started_us=START_US + draw(st.integers(-2 * HOUR_US, 2 * HOUR_US)),
        path=draw(st.sampled_from(["/v1/chat/completions", "/v1/embeddings"])),
        key=draw(st.sampled_from([None, "ci", "web"])),
        team=draw(st.sampled_from([None, "search"])),
        model=draw(st.sampled_from([None, "fast"])),
    )
    tried = tuple(replace(one, index=i) for i, one in enumerate(draw(st.lists(attempts, max_size=2))))
    timings = Timings(ttft_ms=draw(milliseconds), duration_ms=draw(milliseconds), itl_p50_ms=draw(milliseconds))
    return CallRecord(facts, draw(st.sampled_from(End)), 200, None, tried, timings, ended_us=START_US)


@st.composite
def several_calls(draw: st.DrawFn, most: int = 12) -> list[CallRecord]:
    """Different calls within two hours around `START_US`."""
    return [draw(_calls(number)) for number in range(draw(st.integers(0, most)))]
