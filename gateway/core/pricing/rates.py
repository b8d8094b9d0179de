"""A table of rates, made ready when its price is made, so that the calculation of a call looks nothing up.

Owns what a bucket without a rate of its own borrows, and how a rate is written.
"""

from collections.abc import Mapping
from decimal import Context, Decimal
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from gateway.core.money import UnitPrice, unit_price
from gateway.core.usage import BILLED_BUCKETS

Rates: TypeAlias = Mapping[str, Decimal]
"""USD per token (or search, or second) of a bucket of `core.usage` or of another meter."""

EXACT = Context(prec=60)
"""Wide enough that shifts and products of prices are exact: nothing is rounded here."""

_FALLBACKS = {"reasoning": "output", "cache_write_5m": "cache_write", "cache_write_1h": "cache_write"}


class Line(NamedTuple):
    """One bucket and what a unit of it costs."""

    bucket: str
    unit: UnitPrice
    per_million: str
    """USD per million units, as charges write it."""


class Table:
    """Rates that hold together."""

    __slots__ = ("lines", "rates", "where")

    def __init__(self, rates: Rates, where: str = "") -> None:
        """`where` ends a reason: ` in the tier flex`."""
        self.rates = rates
        self.where = where
        self.lines: tuple[Line | None, ...] = tuple([self.line(bucket) for bucket in BILLED_BUCKETS])
        """One for each of `BILLED_BUCKETS`; null where it has no rate."""

    def line(self, meter: str) -> Line | None:
        """What a unit of a bucket, or of another meter, costs; its own rate goes before a borrowed one."""
        rate = self.rates.get(meter)
        if rate is None:
            rate = self.rates.get(_FALLBACKS.get(meter, meter))
        return None if rate is None else line(meter, rate)


@lru_cache(maxsize=4096)
def line(meter: str, usd_per_unit: Decimal) -> Line:
    """A line of its own; the same one for the same price."""
    return Line(meter, unit_price(usd_per_unit), per_million_text(usd_per_unit))


@lru_cache(maxsize=4096)
def per_million_text(usd_per_unit: Decimal) -> str:
    """A price per unit as decimal text of USD per million units: `0.0000025` is `2.5`."""
    return format(usd_per_unit.scaleb(6, EXACT).normalize(EXACT), "f")
