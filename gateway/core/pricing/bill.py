"""Counts times rates: the charges of one attempt, or why they are not the whole. The only place that multiplies."""

from decimal import Decimal

from gateway.core.calls import Charge
from gateway.core.errors import Fault, Kind
from gateway.core.money import Nano
from gateway.core.pricing.conditions import PLAIN, Conditions
from gateway.core.pricing.price import CALL, WEB_SEARCHES, Price
from gateway.core.pricing.rates import EXACT, Line, Table, line
from gateway.core.usage import BILLED_BUCKETS, Usage
from gateway.core.value import value

_CACHE_READ = BILLED_BUCKETS.index("cache_read")

_Lines = list[tuple[int, Line]]
"""Quantities, each with what a unit costs."""


@value(frozen=True)
class Priced:
    """The charges of one attempt, and their sum if that is the whole cost."""

    charges: tuple[Charge, ...]
    cost_nano: Nano | None
    at_least_nano: Nano | None
    """The priced part; null exactly where the cost is known."""
    because: str | None
    """Why the cost is unknown; null where it is known."""


def price_usage(attempt: int, usage: Usage, price: Price | None, conditions: Conditions = PLAIN) -> Priced:
    """The cost of what one attempt used, rounded once per charge. Never raises; unknown is null, with the reason."""
    if conditions is PLAIN and price is not None and price.quick is not None and usage.input is not None:
        priced = _quickly(attempt, usage, price.quick, price.quick_up_to)
        if priced is not None:
            return priced
    lines, because = _assess(usage, price, conditions)
    total = 0
    charges = []
    for quantity, (bucket, unit, per_million) in lines:
        amount = unit.times(quantity)
        total += amount
        charges.append(Charge(attempt, bucket, quantity, per_million, amount))
    if because is None:
        return Priced(tuple(charges), total, None, None)
    return Priced(tuple(charges), None, total, because)


def _quickly(attempt: int, usage: Usage, lines: tuple[Line | None, ...], up_to: int) -> Priced | None:
    """What nearly every call comes to, in a fraction of the time; null where anything must be looked at closer."""
    total = used = 0
    charges: tuple[Charge, ...] = ()
    for place, quantity in enumerate(usage.billed()):
        if quantity:
            one = lines[place]
            if one is None:
                return None
            used += quantity
            bucket, unit, per_million = one
            amount = unit.times(quantity)
            total += amount
            charges += (Charge(attempt, bucket, quantity, per_million, amount),)
    return Priced(charges, total, None, None) if charges and used <= up_to else None


def exact_usd(usage: Usage, price: Price | None, conditions: Conditions = PLAIN) -> Decimal:
    """The same cost in USD without any rounding, for estimates. Raises `Fault` (price unknown) with the reason."""
    lines, because = _assess(usage, price, conditions)
    if because is not None:
        raise Fault(Kind.PRICE_UNKNOWN, because)
    total = Decimal(0)
    for quantity, one in lines:
        total = EXACT.add(total, EXACT.multiply(one.unit.usd, Decimal(quantity)))
    return total


def _assess(usage: Usage, price: Price | None, conditions: Conditions) -> tuple[_Lines, str | None]:
    """What can be charged, and why that is not everything."""
    if price is not None and price.free:
        return [], None
    counts = usage.billed()
    prompt = usage.prompt_tokens
    if not any(counts) and not conditions.metered:
        if prompt == 0:
            return [], None  # it certainly generated nothing (promises §3), whatever the price
        if counts.count(None) == len(counts):
            return [], "no usage is known"
    if price is None:
        return [], "no price is known for this target"
    for word in conditions.multipliers:
        multiplied = price.multiplied(word)
        if multiplied is None:
            return [], f"what `{word}` does to its price is not known"
        price = multiplied
    table = price.table(None if usage.input is None else prompt, conditions)
    if isinstance(table, str):
        return [], table
    lines, missing = _charged(usage, counts, price, table, conditions)
    return lines, _gap(usage, prompt, price, conditions, [f"{meter}{table.where}" for meter in missing])


def _charged(
    usage: Usage, counts: tuple[int | None, ...], price: Price, table: Table, conditions: Conditions
) -> tuple[_Lines, list[str]]:
    """What can be charged, and the buckets and meters with a count and without a rate."""
    tabled = list(table.lines)
    if price.text_cache_only and (usage.audio_in or usage.image_in):
        tabled[_CACHE_READ] = None
    meters = [*zip(BILLED_BUCKETS, counts, tabled, strict=True)]
    meters += [(meter, quantity, table.line(meter)) for meter, quantity in conditions.metered if quantity != 0]
    lines, missing = [], []
    for meter, quantity, one in meters:
        if quantity and one is not None:
            lines.append((quantity, one))
        elif quantity or meter not in BILLED_BUCKETS:
            missing.append(meter)
    if price.usd_per_call is not None:
        lines.append((1, line(CALL, price.usd_per_call)))
    fee = price.search_fees.get(conditions.search_context or "")
    if fee is not None:
        lines.append((1, line(CALL, fee)))
    return lines, missing


def _gap(usage: Usage, prompt: int | None, price: Price, conditions: Conditions, missing: list[str]) -> str | None:
    """What is billed beside the charges, if anything."""
    if missing:
        return f"no price for {', '.join(missing)}"
    if prompt is None:
        return "the prompt's tokens are not known"
    if price.search_fees:
        known = conditions.search_context in price.search_fees
        return None if known else "the call searched the web, and nobody told how much of it"
    if not (price.always_searches or conditions.web_search):
        return None
    if price.search_billed:
        return "the call may have searched the web, and the price of a search is not known"
    if (price.always_searches or WEB_SEARCHES in price.rates) and usage.web_searches is None:
        return "the call may have searched the web, and nobody told how often"
    return None
