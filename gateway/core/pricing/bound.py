"""The most that a request can cost: every token at the dearest rate that it can be billed at (promises §2).

An upper bound, so that what is held is never less than what is charged: whatever bucket, tier, hour or side of a cliff
the provider bills, the charges of `bill` come to no more. What cannot be bounded is told with its reason.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from gateway.core.money import Nano, UnitPrice, unit_price
from gateway.core.pricing.price import WEB_SEARCHES, Price, Tariff
from gateway.core.pricing.rates import Rates
from gateway.core.usage import BILLED_BUCKETS, INPUT_BUCKETS
from gateway.core.value import value

_OUTPUT = tuple(bucket for bucket in BILLED_BUCKETS if bucket not in INPUT_BUCKETS and bucket != WEB_SEARCHES)
_AUDIO = frozenset({"audio_in", "audio_out"})
_NEVER_HERE = frozenset({"batch"})
"""Tiers of another endpoint."""
_ROUNDINGS = len(BILLED_BUCKETS)
"""Nano-dollars by which the rounding of each charge can go beyond the sum's."""


@value(frozen=True)
class Most:
    """What a request can use at most."""

    input: int
    """Tokens of the prompt, in whatever bucket."""
    output: int
    """Tokens of all its answers together, reasoning included."""
    audio: bool = False
    """It sends sound, or asks for some."""
    searches: int | None = 0
    """Of the web; null: as many as the provider likes."""
    tier: str | None = None
    """The service tier that it asks for, as prices name it; null for the plain one, and for none."""


@value(frozen=True)
class _Rung:
    """The dearest rates of prompts of more than `above` tokens, those of shorter ones included; USD per token."""

    above: int
    input: Decimal | None
    """Null: some tariff has no rate for it."""
    output: Decimal | None
    unknown: str | None = None
    """Why nothing can be said of such a prompt; null if it can."""


class _Step:
    """A rung, ready to be multiplied: requests are many."""

    def __init__(self, rung: _Rung) -> None:
        self.above = rung.above
        self.unknown = rung.unknown
        self.input: UnitPrice | None = None if rung.input is None else unit_price(rung.input)
        self.output: UnitPrice | None = None if rung.output is None else unit_price(rung.output)
        # A price for each call alone has nothing to round.
        self.roundings: Nano = _ROUNDINGS if rung.input or rung.output else 0


class Bound:
    """A price as an upper bound, made once for many requests."""

    __slots__ = ("_fees", "_ladders", "_price")

    def __init__(self, price: Price) -> None:
        self._price = price
        self._ladders: dict[tuple[bool, str | None], list[_Step]] = {}
        fees = [_nano(fee, 1) for fee in price.search_fees.values()]
        self._fees = _nano(price.usd_per_call or Decimal(0), 1) + max(fees, default=0)

    def of(self, most: Most) -> Nano | str:
        """The most that the request costs, in nano-dollars; or why nobody can tell."""
        if self._price.free:
            return 0
        if self._price.unknown_because is not None:
            return self._price.unknown_because
        searches = self._searches(most)
        if isinstance(searches, str):
            return searches
        if most.tier is not None and most.tier not in self._price.tiers:
            return f"no prices of the service tier {most.tier} are known"
        step = self._step(most)
        if step.unknown is not None:
            return step.unknown
        total = self._fees + searches + step.roundings
        if most.input:
            if step.input is None:
                return "no price for input"
            total += step.input.at_most(most.input)
        if most.output:
            if step.output is None:
                return "no price for output"
            total += step.output.at_most(most.output)
        return total

    def _step(self, most: Most) -> _Step:
        ladder = self._ladders.get((most.audio, most.tier))
        if ladder is None:
            ladder = self._ladders[most.audio, most.tier] = [
                _Step(rung) for rung in _rungs(self._price, most.audio, most.tier)
            ]
        reached = ladder[0]
        for one in ladder:
            if one.above < most.input:
                reached = one
        return reached

    def _searches(self, most: Most) -> Nano | str:
        """What its searches cost at most."""
        price = self._price
        if price.search_fees or (most.searches == 0 and not price.always_searches):
            return 0  # fees are by the call, whatever is read
        rate = price.rates.get(WEB_SEARCHES)
        if rate is None:
            return "it may search the web, and the price of a search is not known"
        if most.searches is None or price.always_searches:
            return "it may search the web as often as it likes"
        return _nano(rate, most.searches)


def _rungs(price: Price, audio: bool, asked: str | None) -> Iterator[_Rung]:
    """One for each size of prompt at which anything becomes dearer or unknown, the smallest first.

    An account may be served in a tier that nobody asked for: its rates count where they are known.
    """
    tariffs = [(Tariff(price.rates, price.steps), True)]
    tariffs += [(tariff, tier == asked) for tier, tariff in price.tiers.items() if tier not in _NEVER_HERE]
    rung = _Rung(0, Decimal(0), Decimal(0))
    for above in sorted({0, *(step.above for tariff, _ in tariffs for step in tariff.steps)}):
        for tariff, must_be_known in tariffs:
            for rates in _at(above, tariff):
                higher = _higher(rung, above, rates, price, audio)
                if must_be_known or (higher.unknown, higher.input, higher.output).count(None) == 1:
                    rung = higher
        yield _Rung(above, rung.input, rung.output, rung.unknown)


def _at(above: int, tariff: Tariff) -> Iterator[Rates]:
    """The rates that begin there."""
    if above == 0:
        yield tariff.rates
    yield from (step.rates for step in tariff.steps if step.above == above)


def _higher(rung: _Rung, above: int, rates: Rates, price: Price, audio: bool) -> _Rung:
    """The rung with these rates, where they are dearer."""
    if not rates:
        because = f"the price of prompts of more than {above} tokens is not known" if above else "it has no rates"
        return _Rung(above, rung.input, rung.output, rung.unknown or because)
    tables = [rates] if price.off_peak is None else [rates, {**rates, **price.off_peak.rates}]
    meters = [meter for meter in rates if meter not in BILLED_BUCKETS]
    unknown = rung.unknown or (f"nobody knows how much {meters[0]} it will use" if meters else None)
    sound = _AUDIO if not audio else frozenset()
    return _Rung(
        above,
        _dearest(rung.input, "input", [bucket for bucket in INPUT_BUCKETS if bucket not in sound], tables),
        _dearest(rung.output, "output", [bucket for bucket in _OUTPUT if bucket not in sound], tables),
        unknown,
    )


def _dearest(so_far: Decimal | None, needed: str, buckets: Iterable[str], tables: Iterable[Rates]) -> Decimal | None:
    """The dearest rate of these buckets; null as soon as a table lacks the one that every call needs."""
    names = tuple(buckets)
    for table in tables:
        if so_far is None or needed not in table:
            return None
        so_far = max([so_far, *(table[bucket] for bucket in names if bucket in table)])
    return so_far


def _nano(usd_per_unit: Decimal, quantity: int) -> Nano:
    return unit_price(usd_per_unit).at_most(quantity)
