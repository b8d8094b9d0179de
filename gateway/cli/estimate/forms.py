"""What the calculator says of requests, answer times, own GPUs and trainings: null where a form was not asked for."""

from decimal import Decimal
from typing import Any

from gateway.cli.estimate.asked import Asked, Result
from gateway.cli.estimate.words import grouped, percent, plain
from gateway.core.errors import Fault


def requests(asked: Asked) -> Result | None:
    if not asked.has("input_tokens", "output_tokens") or (
        asked.has("gpu_usd_per_hour", "watts", "wh_per_1k") and not asked.priced
    ):
        return None
    from gateway.core.estimate import spending

    sizes = asked.integer("input_tokens") or 0, asked.integer("output_tokens") or 0
    price = asked.price()
    try:
        spent = spending(price, *sizes, asked.integer("per_day"))
    except Fault as fault:
        raise asked.explained(fault) from None
    facts: dict[str, Any] = {"price": asked.price_name, "price_book": price.book}
    facts["per_request_usd"] = plain(spent.per_request, 9, 18)
    lines = {"per request": f"${grouped(spent.per_request, 6, 12)}"}
    if spent.per_day is not None and spent.per_30_days is not None:
        facts |= {"per_day_usd": plain(spent.per_day, 9, 18), "per_30_days_usd": plain(spent.per_30_days, 9, 18)}
        lines |= {
            "per day": f"${grouped(spent.per_day, 2, 12)}",
            "per 30 days": f"${grouped(spent.per_30_days, 2, 12)}",
        }
    if asked.has("target"):
        lines["price"] = f"{asked.price_name}, {price.book}"
    return Result(facts, lines)


def latency(asked: Asked) -> Result | None:
    if not asked.all_of("ttft_ms", "tpot_ms", "tokens"):
        return None
    from gateway.core.estimate import latency

    time = latency(asked.number("ttft_ms"), asked.number("tpot_ms"), asked.integer("tokens") or 0)
    facts = {"seconds": float(time.seconds), "tokens_per_second": float(time.tokens_per_second)}
    lines = {"whole answer": f"{grouped(time.seconds, 1, 3)} s", "speed": f"{time.tokens_per_second:,.1f} tokens/s"}
    return Result(facts, lines)


def gpu(asked: Asked) -> Result | None:
    if not asked.has("gpu_usd_per_hour"):  # a speed alone may be for another form
        return None
    asked.all_of("gpu_usd_per_hour", "tokens_per_second")
    from gateway.core.estimate import gpu_price

    hour, speed = asked.number("gpu_usd_per_hour"), asked.number("tokens_per_second")
    share = asked.number("utilisation", default="1")
    own = gpu_price(hour, speed, share)
    facts: dict[str, Any] = {
        "usd_per_million": plain(own.usd_per_million, 9, 9),
        "tokens_per_hour": float(own.tokens_per_hour),
        "utilisation": float(share),
    }
    lines = {"own GPU": f"${grouped(own.usd_per_million, 2, 6)} per million tokens at {percent(share)} utilisation"}
    if asked.priced:
        facts["break_even"], lines["break-even"] = _break_even(asked, hour, speed)
    return Result(facts, lines)


def _break_even(asked: Asked, hour: Decimal, speed: Decimal) -> tuple[dict[str, Any], str]:
    from gateway.core.estimate import break_even, usd_per_million

    sizes = asked.integer("input_tokens"), asked.integer("output_tokens")
    # Without the size of requests only what the GPU makes is compared: tokens of answers.
    of_what, shape = ("output tokens", (0, 1)) if sizes == (None, None) else ("tokens", (sizes[0] or 0, sizes[1] or 0))
    try:
        rival = usd_per_million(asked.price(), *shape)
        even = break_even(hour, speed, rival)
    except Fault as fault:
        raise asked.explained(fault) from None
    facts = {
        "price": asked.price_name,
        "usd_per_million": plain(rival, 9, 9),
        "tokens_per_hour": float(even.tokens_per_hour),
        "utilisation": float(even.utilisation),
        "reachable": even.utilisation <= 1,
    }
    against = f"with {asked.price_name} at ${grouped(rival, 2, 6)} per million {of_what}"
    if even.utilisation > 1:
        return facts, f"never {against}: the GPU would have to make {even.tokens_per_hour:,.0f} tokens per hour"
    return facts, f"at {even.tokens_per_hour:,.0f} tokens per hour, {percent(even.utilisation)} utilisation, {against}"


def training(asked: Asked) -> Result | None:
    if not asked.all_of("training_usd", "saves_usd_per_request"):
        return None
    from gateway.core.estimate import pay_back

    per_day = asked.integer("per_day")
    paid = pay_back(asked.number("training_usd"), asked.number("saves_usd_per_request"), per_day)
    facts: dict[str, Any] = {"requests": paid.requests, "days": paid.days}
    text = f"after {paid.requests:,} requests"
    return Result(facts, {"paid back": text if paid.days is None else f"{text}, {paid.days:,} days"})
