"""Energy and CO2e of generated tokens: a count times ranges that somebody states.

Owns no figure: what other people's data centres draw is not known well enough for a default. Prompts are not counted.
A range in is a range out, low with low and high with high; an unknown count has unknown energy, never 0.
"""

import re
from dataclasses import dataclass
from decimal import Context, Decimal

from gateway.core.errors import Fault, Kind

_WIDE = Context(prec=50)
_THOUSAND = Decimal(1_000)
_MOST = Decimal(1_000_000)

_NUMBER = r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+"
# A sign, an exponent, "nan" are no such numbers. The dash is the one that ranges are printed with.
_RANGE = re.compile(rf"({_NUMBER})(?:[-–]({_NUMBER}))?")


@dataclass(frozen=True, slots=True)
class Range:
    """From low to high, neither below 0; the same twice where somebody knows it exactly."""

    low: Decimal
    high: Decimal

    def times(self, other: "Range") -> "Range":
        return Range(_WIDE.multiply(self.low, other.low), _WIDE.multiply(self.high, other.high))

    def over(self, divisor: Decimal) -> "Range":
        return Range(_WIDE.divide(self.low, divisor), _WIDE.divide(self.high, divisor))


def exactly(number: Decimal | int) -> Range:
    """A range without width."""
    return Range(Decimal(number), Decimal(number))


def stated_range(text: str, least: int = 0) -> Range:
    """A range from `LOW-HIGH` or one number. Raises `Fault` (invalid) if it is none, falls, or leaves its bounds."""
    found = _RANGE.fullmatch(text.strip())
    if found is None:
        hint = "write LOW-HIGH like 0.3-3.0, or one number, in digits and a point alone"
        raise Fault(Kind.INVALID, f"{text!r} is not a range", hint=hint)
    low, high = Decimal(found[1]), Decimal(found[2] or found[1])
    if low > high:
        raise Fault(Kind.INVALID, f"{text!r} ends below its beginning", hint=f"write {found[2]}-{found[1]}")
    if not least <= low <= high <= _MOST:
        raise Fault(Kind.INVALID, f"{text!r} is not within {least} and {_MOST:,}")
    return Range(low, high)


@dataclass(frozen=True, slots=True)
class Factors:
    """What is stated of the hardware, its building and its electricity."""

    wh_per_1k: Range
    """Watt-hours for a thousand generated tokens."""
    g_co2_per_kwh: Range | None = None
    """Grams of CO2 equivalent for a kilowatt-hour."""
    overhead: Range | None = None
    """All that the building draws over what the hardware draws (PUE), 1 or more; null: nothing on top."""


@dataclass(frozen=True, slots=True)
class Energy:
    """An estimate: watt-hours, and grams of CO2 equivalent if a factor for these is stated."""

    wh: Range
    co2e_g: Range | None


def energy(generated_tokens: int | None, factors: Factors) -> Energy | None:
    """What so many output and reasoning tokens took; null if nobody knows how many. Exact, so that parts add up."""
    if generated_tokens is None:
        return None
    wh = factors.wh_per_1k.times(exactly(generated_tokens)).over(_THOUSAND)
    if factors.overhead is not None:
        wh = wh.times(factors.overhead)
    if factors.g_co2_per_kwh is None:
        return Energy(wh, None)
    return Energy(wh, wh.times(factors.g_co2_per_kwh).over(_THOUSAND))
