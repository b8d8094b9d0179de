"""Money: exact decimals in, integers of a nano-dollar out.

Owns the one rounding of the project (half even, once per charge) and the one way to write an amount.
No float ever holds money: `usd` refuses one.
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import TypeAlias

from gateway.core.errors import Fault, Kind

Nano: TypeAlias = int
"""An amount in nano-dollars (10^-9 USD)."""

NANO_PER_USD = 1_000_000_000

# Wide enough that a product of a price and a count is exact before the one rounding.
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_NANO = Decimal(NANO_PER_USD)
_ONE = Decimal(1)


def usd(text: object) -> Decimal:
    """An amount or a price in USD from text, integer or decimal. Raises `Fault` (invalid) on anything else, floats
    included."""
    if isinstance(text, bool) or not isinstance(text, str | int | Decimal):
        raise Fault(Kind.INVALID, f"{text!r} is not an exact amount", hint="write it as a quoted decimal")
    try:
        amount = Decimal(text)
    except (InvalidOperation, ValueError):
        raise Fault(Kind.INVALID, f"{text!r} is not a decimal amount of USD") from None
    if not amount.is_finite():
        raise Fault(Kind.INVALID, f"{text!r} is not a finite amount of USD")
    return amount


def to_nano(amount_usd: Decimal) -> Nano:
    """USD rounded once, half to even, to whole nano-dollars."""
    return int(_EXACT.multiply(amount_usd, _NANO).quantize(_ONE, context=_EXACT))


class UnitPrice:
    """A price of one unit, ready to be multiplied: prices are few, calls are many."""

    __slots__ = ("_below", "_numerator", "usd")

    def __init__(self, usd_per_unit: Decimal) -> None:
        sign, digits, exponent = usd_per_unit.as_tuple()
        assert isinstance(exponent, int), "a price is finite"
        numerator = int("".join(map(str, digits))) * (-1 if sign else 1)
        power = exponent + 9
        self.usd = usd_per_unit
        # Nano-dollars as a fraction.
        self._numerator: int = numerator * 10 ** max(power, 0)
        self._below: int = 10 ** max(-power, 0)

    def times(self, quantity: int) -> Nano:
        """The price of so many units, rounded once, half to even, to whole nano-dollars."""
        below = self._below
        whole, rest = divmod(self._numerator * quantity, below)
        if not rest:
            return whole
        rest *= 2
        return whole + 1 if rest > below or (rest == below and whole % 2) else whole

    def at_most(self, quantity: int) -> Nano:
        """The price of so many units, rounded up to whole nano-dollars: for what is set aside, never for a charge."""
        return -(-self._numerator * quantity // self._below)


unit_price = lru_cache(maxsize=4096)(UnitPrice)
"""The same price, made once."""


def product_nano(usd_per_unit: Decimal, quantity: int) -> Nano:
    """A price in USD per unit times a count, rounded once, half to even, to whole nano-dollars."""
    return unit_price(usd_per_unit).times(quantity)


def usd_text(nano: Nano | None) -> str | None:
    """Nano-dollars as the contract writes them, `"0.020000000"`; unknown stays null."""
    if nano is None:
        return None
    digits = str(nano).zfill(10 if nano >= 0 else 11)
    return f"{digits[:-9]}.{digits[-9:]}"


def from_nano(nano: Nano) -> Decimal:
    """Nano-dollars as exact USD."""
    return _EXACT.divide(Decimal(nano), _NANO)
