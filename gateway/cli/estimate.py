"""`tollkeeper estimate`: the calculator. Reads flags and words results; the arithmetic is `core.estimate`'s.

Each form of the calculator takes its own flags; several forms may be asked for at once.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.frame import AsJson, Config, run
from gateway.cli.tables import print_json
from gateway.core.errors import Fault, Kind

if TYPE_CHECKING:
    from gateway.core.pricing import Price

_FORMS = """give one of
  --input N --output N with prices or --target [--per-day N]      what requests cost
  --ttft-ms N --tpot-ms N --tokens N                              how long an answer takes
  --gpu-usd-per-hour N --tokens-per-second N [--utilisation 0.4]  what a token costs on an own GPU
  --training-usd N --saves-usd-per-request N [--per-day N]        when a training has paid for itself"""
_PRICES = "--input-usd-per-1k and --output-usd-per-1k, the same per million, or --target"
_RATES = tuple(f"{bucket}_usd_per_{unit}" for bucket in ("input", "output") for unit in ("1k", "million"))

_MOST = Decimal(10) ** 15


def _number(about: str, *flags: str) -> Any:
    return typer.Option(*flags, metavar="N", help=about)


def _count(about: str, *flags: str, least: int = 1) -> Any:
    return typer.Option(*flags, metavar="N", min=least, help=about)


def estimate(
    input_tokens: Annotated[int | None, _count("Prompt tokens of a request.", "--input", least=0)] = None,
    output_tokens: Annotated[int | None, _count("Tokens of its answer.", "--output", least=0)] = None,
    per_day: Annotated[int | None, _count("Requests a day.")] = None,
    target: Annotated[str | None, typer.Option(metavar="PROVIDER/MODEL", help="Take prices from the book.")] = None,
    input_usd_per_1k: Annotated[str | None, _number("USD for a thousand prompt tokens.")] = None,
    output_usd_per_1k: Annotated[str | None, _number("USD for a thousand tokens of answers.")] = None,
    input_usd_per_million: Annotated[str | None, _number("USD for a million prompt tokens.")] = None,
    output_usd_per_million: Annotated[str | None, _number("USD for a million tokens of answers.")] = None,
    ttft_ms: Annotated[str | None, _number("Milliseconds to the first token.")] = None,
    tpot_ms: Annotated[str | None, _number("Milliseconds for each token.")] = None,
    tokens: Annotated[int | None, _count("Tokens of the answer that is timed.")] = None,
    gpu_usd_per_hour: Annotated[str | None, _number("What an hour of the GPU costs.")] = None,
    tokens_per_second: Annotated[str | None, _number("Tokens it makes at full load.")] = None,
    utilisation: Annotated[
        str | None, _number("Its busy share of the time; 40 % is 0.4.", "--utilisation", "--utilization")
    ] = None,
    training_usd: Annotated[str | None, _number("What a fine-tuning or distillation costs.")] = None,
    saves_usd_per_request: Annotated[str | None, _number("What each request then saves.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Calculate costs, answer times, what an own GPU pays.

    What requests cost, how long an answer takes, what a token costs on an own GPU, when a training has paid for itself.
    """
    given = {name: value for name, value in locals().items() if value is not None and name not in ("config", "as_json")}
    asked = _Asked(given, config)
    results = {
        name: result
        for name, form in (("requests", _requests), ("latency", _latency), ("gpu", _gpu), ("training", _training))
        if (result := form(asked)) is not None
    }
    asked.check_all_used(bool(results))
    if as_json:
        print_json({name: result.facts for name, result in results.items()})
        return
    for result in results.values():
        for label, text in result.lines.items():
            print(f"{label:<18}{text}")


@dataclass(frozen=True, slots=True)
class _Result:
    """What one form found: for programs, and for people by label."""

    facts: Mapping[str, Any]
    lines: Mapping[str, str]


class _Asked:
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
        missing = [_flag(name) for name in names if name not in self._given]
        if missing:
            there = next(_flag(name) for name in names if name in self._given)
            raise Fault(Kind.INVALID, f"{there} goes with {' and '.join(missing)}")
        self._used.update(names)
        return True

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
                f"{_flag(name)}: {text!r} is not a number",
                hint="write digits and a point alone, like 0.01",
            )
        if not 0 <= number <= _MOST:
            raise Fault(Kind.INVALID, f"{_flag(name)} cannot be {text}")
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
            raise Fault(Kind.INVALID, "nothing to calculate", hint=_FORMS)
        idle = [_flag(name) for name in self._given if name not in self._used]
        if idle:
            raise Fault(Kind.INVALID, f"{' and '.join(idle)} cannot be used alone or with these flags", hint=_FORMS)

    def _stated_price(self) -> "Price":
        from gateway.core.estimate import stated_price

        return stated_price(self._rate("input"), self._rate("output"))

    def _rate(self, bucket: str) -> Decimal | None:
        from gateway.core.estimate import per_token

        thousand, million = f"{bucket}_usd_per_1k", f"{bucket}_usd_per_million"
        if self.has(thousand) and self.has(million):
            raise Fault(Kind.INVALID, f"{_flag(thousand)} and {_flag(million)} contradict each other")
        if not self.has(thousand, million):
            return None
        name, unit = (thousand, 1_000) if self.has(thousand) else (million, 1_000_000)
        rate = per_token(self.number(name), unit)
        if unit == 1_000 and rate > Decimal("0.001"):  # known fault 21
            other = f"that is ${_grouped(rate * 1_000_000, 2, 6)} per million; did you mean {_flag(million)}?"
            print(f"Note: {_flag(name)} {self._given[name]}: {other}", file=sys.stderr)
        return rate

    def _book_price(self) -> "Price":
        if not self.has("target"):
            raise Fault(Kind.INVALID, "there is no price to calculate with", hint=f"give {_PRICES}")
        return _price_in_book(str(self._given["target"]), self._config)

    @property
    def price_name(self) -> str:
        self._used.update(("target", *_RATES))
        return str(self._given.get("target", "the stated price"))


def _requests(asked: _Asked) -> _Result | None:
    if not asked.has("input_tokens", "output_tokens") or (asked.has("gpu_usd_per_hour") and not asked.priced):
        return None
    from gateway.core.estimate import spending

    sizes = asked.integer("input_tokens") or 0, asked.integer("output_tokens") or 0
    price = asked.price()
    try:
        spent = spending(price, *sizes, asked.integer("per_day"))
    except Fault as fault:
        raise asked.explained(fault) from None
    facts: dict[str, Any] = {"price": asked.price_name, "price_book": price.book}
    facts["per_request_usd"] = _plain(spent.per_request, 9, 18)
    lines = {"per request": f"${_grouped(spent.per_request, 6, 12)}"}
    if spent.per_day is not None and spent.per_30_days is not None:
        facts |= {"per_day_usd": _plain(spent.per_day, 9, 18), "per_30_days_usd": _plain(spent.per_30_days, 9, 18)}
        lines |= {
            "per day": f"${_grouped(spent.per_day, 2, 12)}",
            "per 30 days": f"${_grouped(spent.per_30_days, 2, 12)}",
        }
    if asked.has("target"):
        lines["price"] = f"{asked.price_name}, {price.book}"
    return _Result(facts, lines)


def _latency(asked: _Asked) -> _Result | None:
    if not asked.all_of("ttft_ms", "tpot_ms", "tokens"):
        return None
    from gateway.core.estimate import latency

    time = latency(asked.number("ttft_ms"), asked.number("tpot_ms"), asked.integer("tokens") or 0)
    facts = {"seconds": float(time.seconds), "tokens_per_second": float(time.tokens_per_second)}
    lines = {"whole answer": f"{_grouped(time.seconds, 1, 3)} s", "speed": f"{time.tokens_per_second:,.1f} tokens/s"}
    return _Result(facts, lines)


def _gpu(asked: _Asked) -> _Result | None:
    if not asked.all_of("gpu_usd_per_hour", "tokens_per_second"):
        return None
    from gateway.core.estimate import gpu_price

    hour, speed = asked.number("gpu_usd_per_hour"), asked.number("tokens_per_second")
    share = asked.number("utilisation", default="1")
    own = gpu_price(hour, speed, share)
    facts: dict[str, Any] = {
        "usd_per_million": _plain(own.usd_per_million, 9, 9),
        "tokens_per_hour": float(own.tokens_per_hour),
        "utilisation": float(share),
    }
    lines = {"own GPU": f"${_grouped(own.usd_per_million, 2, 6)} per million tokens at {_percent(share)} utilisation"}
    if asked.priced:
        facts["break_even"], lines["break-even"] = _break_even(asked, hour, speed)
    return _Result(facts, lines)


def _break_even(asked: _Asked, hour: Decimal, speed: Decimal) -> tuple[dict[str, Any], str]:
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
        "usd_per_million": _plain(rival, 9, 9),
        "tokens_per_hour": float(even.tokens_per_hour),
        "utilisation": float(even.utilisation),
        "reachable": even.utilisation <= 1,
    }
    against = f"with {asked.price_name} at ${_grouped(rival, 2, 6)} per million {of_what}"
    if even.utilisation > 1:
        return facts, f"never {against}: the GPU would have to make {even.tokens_per_hour:,.0f} tokens per hour"
    return facts, f"at {even.tokens_per_hour:,.0f} tokens per hour, {_percent(even.utilisation)} utilisation, {against}"


def _training(asked: _Asked) -> _Result | None:
    if not asked.all_of("training_usd", "saves_usd_per_request"):
        return None
    from gateway.core.estimate import pay_back

    per_day = asked.integer("per_day")
    paid = pay_back(asked.number("training_usd"), asked.number("saves_usd_per_request"), per_day)
    facts: dict[str, Any] = {"requests": paid.requests, "days": paid.days}
    text = f"after {paid.requests:,} requests"
    return _Result(facts, {"paid back": text if paid.days is None else f"{text}, {paid.days:,} days"})


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


def _flag(name: str) -> str:
    return {"input_tokens": "--input", "output_tokens": "--output"}.get(name, f"--{name.replace('_', '-')}")


def _percent(share: Decimal) -> str:
    return f"{_grouped(share * 100, 0, 1)} %"


def _plain(number: Decimal, least: int, most: int) -> str:
    """Digits with as many decimals as the number has, within bounds: for programs."""
    return _grouped(number, least, most).replace(",", "")


def _grouped(number: Decimal, least: int, most: int) -> str:
    """The same with its thousands apart: for people."""
    exponent = number.normalize().as_tuple().exponent
    decimals = -exponent if isinstance(exponent, int) else least
    return f"{number:,.{min(max(decimals, least), most)}f}"
