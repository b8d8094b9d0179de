"""The calculator: what calls would cost, how long an answer takes, when own hardware or training pays.

Exact: nothing is rounded before it is shown, except divisions that never end, which keep 50 digits.
Where prices and figures come from is not known here.
"""

from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from math import ceil

from gateway.core.energy import Range
from gateway.core.errors import Fault, Kind
from gateway.core.pricing import Price, exact_usd
from gateway.core.usage import Usage

DAYS = 30
"""Days of the period that a month is estimated by."""

_WIDE = Context(prec=50)
_MILLION = Decimal(1_000_000)
_SECONDS_PER_HOUR = Decimal(3600)
_MS_PER_SECOND = Decimal(1000)


def stated_price(input_usd_per_token: Decimal | None, output_usd_per_token: Decimal | None) -> Price:
    """A price from amounts that somebody states for a calculation; null: not stated, so unknown."""
    stated = {"input": input_usd_per_token, "output": output_usd_per_token}
    return Price("stated", {bucket: rate for bucket, rate in stated.items() if rate is not None})


def per_token(usd: Decimal, tokens: int) -> Decimal:
    """USD per token, from USD for a thousand or a million of them."""
    return _WIDE.divide(usd, Decimal(tokens))


@dataclass(frozen=True, slots=True)
class Spending:
    """USD for requests of one size; days are null without a number of requests a day."""

    per_request: Decimal
    per_day: Decimal | None
    per_30_days: Decimal | None


def spending(price: Price, input_tokens: int, output_tokens: int, requests_per_day: int | None) -> Spending:
    """What requests of that many tokens cost. Raises `Fault` (price unknown)."""
    each = exact_usd(Usage(input=input_tokens, output=output_tokens), price)
    if requests_per_day is None:
        return Spending(each, None, None)
    day = _WIDE.multiply(each, Decimal(requests_per_day))
    return Spending(each, day, _WIDE.multiply(day, Decimal(DAYS)))


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds of a whole answer, and tokens per second once it flows."""

    seconds: Decimal
    tokens_per_second: Decimal


def latency(ttft_ms: Decimal, tpot_ms: Decimal, tokens: int) -> Latency:
    """Time to the first token plus the time of every token. `tpot_ms` must be above 0."""
    _above_zero(tpot_ms, "the time per output token")
    total_ms = _WIDE.add(ttft_ms, _WIDE.multiply(tpot_ms, Decimal(tokens)))
    return Latency(_WIDE.divide(total_ms, _MS_PER_SECOND), _WIDE.divide(_MS_PER_SECOND, tpot_ms))


@dataclass(frozen=True, slots=True)
class GpuPrice:
    """What a token costs on hardware paid by the hour."""

    usd_per_million: Decimal
    tokens_per_hour: Decimal
    """At the stated utilisation."""


def gpu_price(usd_per_hour: Decimal, tokens_per_second: Decimal, utilisation: Decimal) -> GpuPrice:
    """The hour's price over the tokens of an hour. `utilisation` is the busy share of the time, above 0 up to 1."""
    _check_load(tokens_per_second, utilisation)
    tokens = _WIDE.multiply(_WIDE.multiply(tokens_per_second, _SECONDS_PER_HOUR), utilisation)
    return GpuPrice(_WIDE.divide(_WIDE.multiply(usd_per_hour, _MILLION), tokens), tokens)


def own_wh_per_1k(watts: Decimal, tokens_per_second: Decimal, utilisation: Decimal) -> Range:
    """Watt-hours for a thousand tokens of hardware that draws `watts` under load and is busy that share of the time.

    Low: it draws nothing while idle. High: it draws as much as under load. The truth lies between.
    """
    _above_zero(watts, "what the hardware draws")
    _check_load(tokens_per_second, utilisation)
    tokens_per_hour = _WIDE.multiply(tokens_per_second, _SECONDS_PER_HOUR)
    busy = _WIDE.divide(_WIDE.multiply(watts, Decimal(1000)), tokens_per_hour)
    return Range(busy, _WIDE.divide(busy, utilisation))


@dataclass(frozen=True, slots=True)
class BreakEven:
    """From where on own hardware is cheaper than a price per token."""

    tokens_per_hour: Decimal
    utilisation: Decimal
    """The share of the hardware's time that those tokens take; above 1 it is never cheaper."""


def break_even(usd_per_hour: Decimal, tokens_per_second: Decimal, rival_usd_per_million: Decimal) -> BreakEven:
    """How much must run for an hour of the hardware to cost as much as its tokens elsewhere."""
    _above_zero(tokens_per_second, "tokens per second")
    _above_zero(rival_usd_per_million, "the price to compare with")
    tokens = _WIDE.divide(_WIDE.multiply(usd_per_hour, _MILLION), rival_usd_per_million)
    return BreakEven(tokens, _WIDE.divide(tokens, _WIDE.multiply(tokens_per_second, _SECONDS_PER_HOUR)))


def usd_per_million(price: Price, input_tokens: int, output_tokens: int) -> Decimal:
    """The mean price of a million tokens of requests of that shape. Raises `Fault` (price unknown)."""
    each = spending(price, input_tokens, output_tokens, None).per_request
    tokens = Decimal(input_tokens + output_tokens)
    _above_zero(tokens, "the number of tokens")
    return _WIDE.divide(_WIDE.multiply(each, _MILLION), tokens)


@dataclass(frozen=True, slots=True)
class PayBack:
    """When a training has paid for itself."""

    requests: int
    """Rounded up: the request that pays the last cent."""
    days: int | None
    """Rounded up; null without a number of requests a day."""


def pay_back(training_usd: Decimal, saves_usd_per_request: Decimal, requests_per_day: int | None) -> PayBack:
    """How many requests a training needs to be paid back by what each of them saves (above 0)."""
    _above_zero(saves_usd_per_request, "what a request saves")
    requests = ceil(Fraction(training_usd) / Fraction(saves_usd_per_request))
    return PayBack(requests, ceil(Fraction(requests, requests_per_day)) if requests_per_day else None)


def _check_load(tokens_per_second: Decimal, utilisation: Decimal) -> None:
    _above_zero(tokens_per_second, "tokens per second")
    if not 0 < utilisation <= 1:
        raise Fault(Kind.INVALID, f"utilisation is a share above 0 and up to 1, not {utilisation}", hint="40 % is 0.4")


def _above_zero(amount: Decimal, what: str) -> None:
    if amount <= 0:
        raise Fault(Kind.INVALID, f"{what} must be above 0")
