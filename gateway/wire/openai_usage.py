"""OpenAI-shaped usage objects, and all that others made of them, to disjoint buckets.

The sources are in the facts about wire formats, §1: "cached" lies inside the prompt here, reasoning usually inside
the completion, and where a provider counts it beside (xAI, Gemini's compatible endpoint) its own total tells.
"""

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from gateway.core.money import Nano, to_nano
from gateway.core.usage import Usage
from gateway.core.value import value

Json = Mapping[str, Any]
_NOTHING: Json = {}


@value(frozen=True)
class Stated:
    """What a provider said about the usage of one answer."""

    usage: Usage
    raw: str
    """Its own object, JSON."""
    cost_nano: Nano | None = None
    """`usage.cost` (OpenRouter), USD as nano-dollars."""
    metered: tuple[tuple[str, int | None], ...] = ()
    """Billed quantities that no bucket holds, by what prices call them; null: no whole number."""
    search_context: str | None = None
    """How much of the web a search read: `low`, `medium`, `high` (Perplexity)."""


def count(value: object) -> int | None:
    """A token count, or None for whatever is not one."""
    if value is None:
        return None
    if type(value) is int:
        return value if value >= 0 else None
    if isinstance(value, float) and value.is_integer() and value >= 0:
        return int(value)
    return None


def stated(usage: Json, source: bytes) -> Stated:
    """The buckets of a usage object. `source` is the JSON it was parsed from, read again only for exact decimals."""
    context = usage.get("search_context_size")
    return Stated(
        buckets(usage),
        orjson.dumps(usage).decode(),
        _stated_cost(source) if usage.get("cost") else None,
        _metered(usage),
        context if isinstance(context, str) else None,
    )


_METERS = (("prompt_audio_seconds", "audio_seconds"), ("citation_tokens", "citation_tokens"))


def _metered(usage: Json) -> tuple[tuple[str, int | None], ...]:
    """What Mistral and Perplexity bill beside the tokens."""
    found: tuple[tuple[str, int | None], ...] = ()
    for name, meter in _METERS:
        if name in usage:
            quantity = usage[name]
            if isinstance(quantity, int | float) and quantity > 0:
                found += ((meter, count(quantity)),)
    return found


def buckets(usage: Json) -> Usage:
    """Disjoint buckets of an OpenAI-shaped usage object; a missing count is None, a negative rest is 0."""
    prompt = count(usage.get("prompt_tokens"))
    completion = count(usage.get("completion_tokens"))
    if prompt is None and completion is None:
        return _details_only(usage)
    cached, written, audio_in, image_in = _inward(usage)
    if image_in and prompt is not None:
        # Pictures that the cache had are counted in both (xAI, OpenAI's realtime models): no more than the rest is new.
        # Sound is left as it is: a cached token of it has a price of its own, and the bill must see that there is one.
        image_in = min(image_in, max(prompt - _sum(cached, written, audio_in), 0))
    reasoning, audio_out, image_out, accepted, rejected = _outward(usage)
    inside = reasoning
    beside = _beside(usage, prompt, completion)
    if beside and not reasoning:
        reasoning, inside = beside, 0  # thoughts counted in the total alone (Gemini's compatible endpoint)
    elif reasoning and (reasoning == beside or "citation_tokens" in usage):
        inside = 0  # reasoning beside the completion (xAI, known fault 14; Perplexity, not even in the total)
    # By position, in the order of `BUCKETS`: names would take twice as long, for every answer.
    return Usage(
        None if prompt is None else max(prompt - _sum(cached, written, audio_in, image_in), 0),
        cached,
        None,
        None,
        written,
        None if completion is None else max(completion - _sum(inside, audio_out, image_out), 0),
        reasoning,
        audio_in,
        audio_out,
        image_in,
        image_out,
        _searches(usage),
        accepted,
        rejected,
    )


_Counts = tuple[int | None, ...]


def _inward(usage: Json) -> _Counts:
    """Parts of the prompt: cached, written to a cache, sound, pictures."""
    details = usage.get("prompt_tokens_details")
    get = details.get if isinstance(details, dict) else _NOTHING.get
    cached = count(get("cached_tokens"))
    if cached is None:  # DeepSeek, MLX
        cached = _first(usage.get("prompt_cache_hit_tokens"), usage.get("cached_tokens"))
    return cached, count(get("cache_write_tokens")), count(get("audio_tokens")), count(get("image_tokens"))


def _outward(usage: Json) -> _Counts:
    """Parts of the completion: reasoning, sound, pictures, predictions accepted and rejected."""
    details = usage.get("completion_tokens_details")
    if not isinstance(details, dict):
        return count(usage.get("reasoning_tokens")), None, None, None, None
    get = details.get
    reasoning = count(get("reasoning_tokens"))
    if reasoning is None:
        reasoning = count(usage.get("reasoning_tokens"))
    return (
        reasoning,
        count(get("audio_tokens")),
        count(get("image_tokens")),
        count(get("accepted_prediction_tokens")),
        count(get("rejected_prediction_tokens")),
    )


def from_timings(timings: Json) -> Usage | None:
    """llama.cpp's `timings`: a real count where usage was not asked for; the prompt excludes what was cached there."""
    fresh, cached, output = (count(timings.get(name)) for name in ("prompt_n", "cache_n", "predicted_n"))
    if fresh is None or output is None:
        return None
    return Usage(input=fresh, cache_read=cached, output=output)


def _details_only(usage: Json) -> Usage:
    """Counts under the names that newer OpenAI endpoints use, from servers that mix them up."""
    return Usage(input=count(usage.get("input_tokens")), output=count(usage.get("output_tokens")))


def _first(*values: object) -> int | None:
    return next((number for value in values if (number := count(value)) is not None), None)


def _sum(one: int | None, two: int | None, three: int | None, four: int | None = None) -> int:
    return (one or 0) + (two or 0) + (three or 0) + (four or 0)


def _beside(usage: Json, prompt: int | None, completion: int | None) -> int:
    """Tokens that the provider's total has beyond prompt and completion."""
    total = count(usage.get("total_tokens"))
    if total is None or prompt is None or completion is None:
        return 0
    beside = total - prompt - completion
    return beside if beside > 0 else 0


_SEARCHING = ("server_tool_use", "server_tool_use_details")
"""Where servers count searches: Anthropic's name for it, and OpenRouter's."""


def _searches(usage: Json) -> int | None:
    told = usage.get("num_search_queries")
    for name in _SEARCHING:
        tools = usage.get(name)
        if told is None and isinstance(tools, dict):
            told = tools.get("web_search_requests")
    return None if told is None else count(told)


def _stated_cost(source: bytes) -> Nano | None:
    """`usage.cost` from its text, without a float in between; None if it is no amount (zero is not a price).

    Perplexity's is an object with the sum in `total_cost`.
    """
    try:
        cost = json.loads(source, parse_float=Decimal, parse_int=Decimal)["usage"]["cost"]
        cost = cost["total_cost"] if isinstance(cost, dict) else cost
        return to_nano(cost) if isinstance(cost, Decimal) and cost > 0 else None
    except (ValueError, KeyError, TypeError, InvalidOperation):
        return None
