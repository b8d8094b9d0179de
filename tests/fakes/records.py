"""Calls as they end, for whoever observes them."""

from dataclasses import replace

from gateway.core.calls import Attempt, CallFacts, CallRecord, End, Timings
from gateway.core.usage import Basis, Usage

FACTS = CallFacts(
    id="0199c0de-0000-7000-8000-000000000001",
    started_us=1_793_433_600_000_000,
    path="/v1/chat/completions",
    key_id="key-1",
    key="ci",
    team="search",
    model="fast",
    stream=True,
)
ATTEMPT = Attempt(
    index=0,
    target="openai/gpt-4o-mini",
    provider="openai",
    end=End.COMPLETED,
    started_us=FACTS.started_us,
    status=200,
    duration_ms=262.0,
    usage=Usage(input=200, cache_read=800, output=100),
    usage_basis=Basis.PROVIDER,
    cost_nano=1_600_000,
)
TIMINGS = Timings(overhead_ms=0.2, ttft_ms=151.2, duration_ms=262.0, itl_p50_ms=10.1)
COMPLETED = CallRecord(FACTS, End.COMPLETED, 200, None, (ATTEMPT,), TIMINGS, "off", FACTS.started_us + 262_000)
REFUSED = CallRecord(FACTS, End.REFUSED, 404, "model_not_found: no such model", ended_us=FACTS.started_us)


def at_target(target: str, team: str | None = "search") -> CallRecord:
    """A completed call at another target."""
    attempt = replace(ATTEMPT, target=target, provider=target.partition("/")[0])
    return replace(COMPLETED, facts=replace(FACTS, team=team), attempts=(attempt,))
