"""The flags that were given to the calculator: read, checked, and told where they make no sense."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.estimate.words import flag, grouped
from gateway.cli.frame import run
from gateway.core.errors import Fault, Kind

if TYPE_CHECKING:
    from gateway.core.pricing import Price

FORMS = """give one of
  --input N --output N with prices or --target [--per-day N]      what requests cost
  --ttft-ms N --tpot-ms N --tokens N                              how long an answer takes
  --gpu-usd-per-hour N --tokens-per-second N [--utilisation 0.4]  what a token costs on an own GPU
  --training-usd N --saves-usd-per-request N [--per-day N]        when a training has paid for itself
  --wh-per-1k LOW-HIGH [--output N] [--per-day N]                 what energy generated tokens take
  --watts N --tokens-per-second N [--utilisation 0.4]             the same on own hardware
    [--g-co2-per-kwh LOW-HIGH] [--overhead LOW-HIGH]              and its CO2e, and what the building adds"""
_PRICES = "--input-usd-per-1k and --output-usd-per-1k, the same per million, or --target"
_RATES = tuple(f"{bucket}_usd_per_{unit}" for bucket in ("input", "output") for unit in ("1k", "million"))

_MOST = Decimal(10) ** 15


@dataclass(frozen=True, slots=True)
class Result:
    """What one form found: for programs, and for people by label."""

    facts: Mapping[str, Any]
    lines: Mapping[str, str]


class Asked:
    """The flags that were given, and which of them some form has used."""

    def __init__(self, given: Mapping[str, Any], config: Path | None) -> None:
        self._given = given
        self._config = config
        self._used: set[str] = set()
        self._price: Price | None = None

    def has(self, *names: str) -> bool:
        return any(name in self._given for name in names)

    def all_of(self, *names: str) -> bool:
        """Whether the form that takes these flags is asked for. Raises `Fault` if some of them are missing."""
        if not self.has(*names):
            return False
        missing = [flag(name) for name in names if name not in self._given]
        if missing:
            there = next(flag(name) for name in names if name in self._given)
            raise Fault(Kind.INVALID, f"{there} goes with {' and '.join(missing)}")
        self._used.update(names)
        return True

    def text(self, name: str) -> str | None:
        self._used.add(name)
        value: str | None = self._given.get(name)
        return value

    def integer(self, name: str) -> int | None:
        self._used.add(name)
        value: int | None = self._given.get(name)
        return value

    def number(self, name: str, default: str = "0") -> Decimal:
        """A decimal number, not negative, from its text. Raises `Fault` (invalid)."""
        self._used.add(name)
        text = str(self._given.get(name, default))
        try:
            number = Decimal(text)
        except InvalidOperation:
            number = Decimal("NaN")
        if number.is_nan():
            raise Fault(
                Kind.INVALID,
                f"{flag(name)}: {text!r} is not a number",
                hint="write digits and a point alone, like 0.01",
            )
        if not 0 <= number <= _MOST:
            raise Fault(Kind.INVALID, f"{flag(name)} cannot be {text}")
        return number

    @property
    def priced(self) -> bool:
        return self.has("target", *_RATES)

    def price(self) -> "Price":
        """The price asked for, stated or from the book. Raises `Fault` (invalid) if it is neither or both."""
        if self._price is None:
            stated = self.has(*_RATES)
            if stated and self.has("target"):
                raise Fault(Kind.INVALID, "--target and stated prices contradict each other", hint="give one of them")
            self._price = self._stated_price() if stated else self._book_price()
        return self._price

    def explained(self, fault: Fault) -> Fault:
        """A price that cannot be applied, said as what to do about it."""
        if fault.kind is not Kind.PRICE_UNKNOWN:
            return fault
        if self.has("target"):
            return Fault(fault.kind, f"{self.price_name}: {fault.message}", hint="state prices instead of --target")
        return Fault(Kind.INVALID, fault.message, hint=f"give {_PRICES}")

    def check_all_used(self, any_result: bool) -> None:
        """Raises `Fault` if nothing can be calculated, or if a flag had no part in what was."""
        if not any_result and not self._given:
            raise Fault(Kind.INVALID, "nothing to calculate", hint=FORMS)
        idle = [flag(name) for name in self._given if name not in self._used]
        if idle:
            raise Fault(Kind.INVALID, f"{' and '.join(idle)} cannot be used alone or with these flags", hint=FORMS)

    def _stated_price(self) -> "Price":
        from gateway.core.estimate import stated_price

        return stated_price(self._rate("input"), self._rate("output"))

    def _rate(self, bucket: str) -> Decimal | None:
        from gateway.core.estimate import per_token

        thousand, million = f"{bucket}_usd_per_1k", f"{bucket}_usd_per_million"
        if self.has(thousand) and self.has(million):
            raise Fault(Kind.INVALID, f"{flag(thousand)} and {flag(million)} contradict each other")
        if not self.has(thousand, million):
            return None
        name, unit = (thousand, 1_000) if self.has(thousand) else (million, 1_000_000)
        rate = per_token(self.number(name), unit)
        if unit == 1_000 and rate > Decimal("0.001"):  # known fault 21
            other = f"that is ${grouped(rate * 1_000_000, 2, 6)} per million; did you mean {flag(million)}?"
            print(f"Note: {flag(name)} {self._given[name]}: {other}", file=sys.stderr)
        return rate

    def _book_price(self) -> "Price":
        if not self.has("target"):
            raise Fault(Kind.INVALID, "there is no price to calculate with", hint=f"give {_PRICES}")
        return _price_in_book(str(self._given["target"]), self._config)

    @property
    def price_name(self) -> str:
        self._used.update(("target", *_RATES))
        return str(self._given.get("target", "the stated price"))


def _price_in_book(name: str, config: Path | None) -> "Price":
    """The price of a configured target, or of a kind's model at the kind's own address. Raises `Fault`."""
    from difflib import get_close_matches

    from gateway.cli.prices_desk import desk_to_read

    desk = run(desk_to_read(config))
    try:
        target = desk.target(name)
    except Fault as fault:
        raise Fault(fault.kind, f"--target: {fault.message}", hint=fault.hint) from None
    price = desk.book.find(target)
    if price is None:
        near = get_close_matches(target.model, desk.book.models(target.provider.kind), n=3)
        hint = f"near names: {', '.join(near)}" if near else "state its price under `prices:` in the settings file"
        raise Fault(Kind.INVALID, f"--target: the price book has no price of {name}", hint=hint)
    return price
