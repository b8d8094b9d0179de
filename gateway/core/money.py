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


def usd(text: str | int | Decimal) -> Decimal:
    """An amount or a price in USD from its text. Raises `Fault` (invalid) on anything else, floats included."""
    if isinstance(text, float | bool):
        raise Fault(Kind.INVALID, f"{text!r} is not an exact amount", hint="write it as a quoted decimal")
    try:
        amount = Decimal(text)
    except (InvalidOperation, ValueError, TypeError):
        raise Fault(Kind.INVALID, f"{text!r} is not a decimal amount of USD") from None
    if not amount.is_finite():
        raise Fault(Kind.INVALID, f"{text!r} is not a finite amount of USD")
    return amount


def to_nano(amount_usd: Decimal) -> Nano:
    """USD rounded once, half to even, to whole nano-dollars."""
    return int(_EXACT.multiply(amount_usd, _NANO).quantize(_ONE, context=_EXACT))


@lru_cache(maxsize=4096)
def _fraction(usd_per_unit: Decimal) -> tuple[int, int]:
    """A price per unit as nano-dollars, numerator and power of ten below it. Prices are few, calls are many."""
    sign, digits, exponent = usd_per_unit.as_tuple()
    assert isinstance(exponent, int), "a price is finite"
    numerator = int("".join(map(str, digits))) * (-1 if sign else 1)
    power = exponent + 9
    return (numerator * 10**power, 1) if power >= 0 else (numerator, 10**-power)


def product_nano(usd_per_unit: Decimal, quantity: int) -> Nano:
    """A price in USD per unit times a count, rounded once, half to even, to whole nano-dollars."""
    numerator, below = _fraction(usd_per_unit)
    whole, rest = divmod(numerator * quantity, below)
    rest *= 2
    return whole + 1 if rest > below or (rest == below and whole % 2) else whole


def usd_text(nano: Nano | None) -> str | None:
    """Nano-dollars as the contract writes them, `"0.020000000"`; unknown stays null."""
    if nano is None:
        return None
    digits = f"{nano:010d}" if nano >= 0 else f"{nano:011d}"
    return f"{digits[:-9]}.{digits[-9:]}"


def from_nano(nano: Nano) -> Decimal:
    """Nano-dollars as exact USD."""
    return _EXACT.divide(Decimal(nano), _NANO)
