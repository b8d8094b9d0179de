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
_EMPTY: Json = {}


@value
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
    if type(value) is int:
        return value if value >= 0 else None
    if isinstance(value, float) and value.is_integer() and value >= 0:
        return int(value)
    return None


def stated(usage: Json, source: bytes) -> Stated:
    """The buckets of a usage object. `source` is the JSON it was parsed from, read again only for exact decimals."""
    context = usage.get("search_context_size")
    return Stated(
        usage=buckets(usage),
        raw=orjson.dumps(usage).decode(),
        cost_nano=_stated_cost(source) if usage.get("cost") else None,
        metered=_metered(usage),
        search_context=context if isinstance(context, str) else None,
    )


_METERS = {"prompt_audio_seconds": "audio_seconds", "citation_tokens": "citation_tokens"}


def _metered(usage: Json) -> tuple[tuple[str, int | None], ...]:
    """What Mistral and Perplexity bill beside the tokens."""
    found: tuple[tuple[str, int | None], ...] = ()
    for name, meter in _METERS.items():
        quantity = usage.get(name)
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
    reasoning, audio_out, image_out, accepted, rejected = _outward(usage)
    inside = reasoning
    beside = _beside(usage, prompt, completion)
    if beside and not reasoning:
        reasoning, inside = beside, 0  # thoughts counted in the total alone (Gemini's compatible endpoint)
    elif reasoning and (reasoning == beside or "citation_tokens" in usage):
        inside = 0  # reasoning beside the completion (xAI, known fault 14; Perplexity, not even in the total)
    return Usage(
        input=_less(prompt, cached, written, audio_in, image_in),
        cache_read=cached,
        cache_write=written,
        output=_less(completion, inside, audio_out, image_out),
        reasoning=reasoning,
        audio_in=audio_in,
        audio_out=audio_out,
        image_in=image_in,
        image_out=image_out,
        web_searches=_searches(usage),
        prediction_accepted=accepted,
        prediction_rejected=rejected,
    )


_Counts = tuple[int | None, ...]
_INWARD = ("cache_write_tokens", "audio_tokens", "image_tokens")
_OUTWARD = (
    "reasoning_tokens",
    "audio_tokens",
    "image_tokens",
    "accepted_prediction_tokens",
    "rejected_prediction_tokens",
)


def _inward(usage: Json) -> _Counts:
    """Parts of the prompt: cached, written to a cache, sound, pictures."""
    details = usage.get("prompt_tokens_details")
    if not isinstance(details, dict):
        details = _EMPTY
    cached = count(details.get("cached_tokens"))
    if cached is None:  # DeepSeek, MLX
        cached = _first(usage.get("prompt_cache_hit_tokens"), usage.get("cached_tokens"))
    written, audio, image = [count(details[name]) if name in details else None for name in _INWARD]
    return cached, written, audio, image


def _outward(usage: Json) -> _Counts:
    """Parts of the completion: reasoning, sound, pictures, predictions accepted and rejected."""
    details = usage.get("completion_tokens_details")
    if not isinstance(details, dict):
        return count(usage.get("reasoning_tokens")), None, None, None, None
    counts = [count(details[name]) if name in details else None for name in _OUTWARD]
    if counts[0] is None:
        counts[0] = count(usage.get("reasoning_tokens"))
    return tuple(counts)


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


def _less(total: int | None, *parts: int | None) -> int | None:
    if total is None:
        return None
    for part in parts:
        if part:
            total -= part
    return total if total > 0 else 0


def _beside(usage: Json, prompt: int | None, completion: int | None) -> int:
    """Tokens that the provider's total has beyond prompt and completion."""
    total = count(usage.get("total_tokens"))
    if total is None or prompt is None or completion is None:
        return 0
    return max(total - prompt - completion, 0)


def _searches(usage: Json) -> int | None:
    tools = usage.get("server_tool_use")
    told = tools.get("web_search_requests") if isinstance(tools, dict) else None
    return _first(usage.get("num_search_queries"), told)


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
