"""A price: the rates of one target as a function of tier, prompt size, time and region.

Says which table of rates holds for a call, or why none can be told; multiplies nothing.
"""

from collections.abc import Mapping
from dataclasses import field, replace
from decimal import Decimal

from gateway.core.pricing.conditions import PLAIN_TIERS, Conditions
from gateway.core.pricing.rates import EXACT, Line, Rates, Table
from gateway.core.usage import BILLED_BUCKETS
from gateway.core.value import value

CALL = "call"
"""The bucket of a charge per call: its quantity is 1."""
WEB_SEARCHES = "web_searches"

_ANY_SIZE = 2**63
_MINUTE_US = 60_000_000
_DAY_US = 1440 * _MINUTE_US
_THURSDAY = 3
"""The weekday of 1970-01-01, counted from Monday, 0."""


@value(frozen=True)
class Step:
    """A cliff: a larger prompt is charged at these rates as a whole, not only in its part beyond."""

    above: int
    """Prompts of more than this many tokens."""
    rates: Rates
    """Empty: another price holds there, and nobody said which."""


@value(frozen=True)
class Tariff:
    """The rates of one service tier."""

    rates: Rates
    steps: tuple[Step, ...] = ()
    """By size, the smallest first."""


@value(frozen=True)
class Window:
    """A span of each day, in minutes of the UTC day."""

    start: int
    end: int
    """The first minute that is not in it: before the start, of the next day; as the start, of the whole day."""
    weekdays: frozenset[int] = frozenset(range(1, 8))
    """1 is Monday."""

    def holds(self, weekday: int, minute: int) -> bool:
        if weekday not in self.weekdays:
            return False
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


@value(frozen=True)
class OffPeak:
    """Rates that replace, in some hours, those that would hold; bucket by bucket."""

    windows: tuple[Window, ...]
    rates: Rates

    def open(self, at_us: int) -> bool:
        """Whether they hold at a time, microseconds since 1970 UTC."""
        days, rest = divmod(at_us, _DAY_US)
        weekday, minute = (days + _THURSDAY) % 7 + 1, rest // _MINUTE_US
        return any(window.holds(weekday, minute) for window in self.windows)


@value(frozen=True)
class Price:
    """What one target costs."""

    book: str
    """Source and version, for every row priced with it: `litellm 1.106.2 sha256:1a2b3c4d5e6f`."""
    rates: Rates
    """Of the plain tier, below the first step, outside of off-peak hours."""
    usd_per_call: Decimal | None = None
    free: bool = False
    steps: tuple[Step, ...] = ()
    """Of the plain tier, the smallest first."""
    tiers: Mapping[str, Tariff] = field(default_factory=dict)
    """By the name of `Conditions.tier`."""
    off_peak: OffPeak | None = None
    multipliers: Mapping[str, Decimal] = field(default_factory=dict)
    """What token rates are multiplied by, by region (`eu`) or speed (`fast`)."""
    search_fees: Mapping[str, Decimal] = field(default_factory=dict)
    """USD for each call, whose every one searches, by `Conditions.search_context`."""
    unknown_because: str | None = None
    """Why no call of this target can be priced; null if some can."""
    search_billed: bool = False
    """Searches are billed apart, at a price not known here: a call that can have searched is unpriced."""
    always_searches: bool = False
    """Every call of this model can have searched, whatever its request says."""
    text_cache_only: bool = False
    """Cached audio and images cost something else: the `cache_read` rate holds for calls of text alone."""
    quick: tuple[Line | None, ...] | None = field(init=False, repr=False, compare=False)
    """One for each of `BILLED_BUCKETS`: what a unit costs where, under plain conditions, the counts alone decide, for
    nearly every call. Null: look closer; an entry is null where its count calls for that."""
    quick_up_to: int = field(init=False, repr=False, compare=False)
    """… in calls of no more than this many tokens."""
    _tables: dict[tuple[str | None, int, bool], Table] = field(init=False, repr=False, compare=False)
    """By tier, number of the step (0: below the first), and whether it is off-peak; each made when it is first needed,
    as most of a map never is."""

    def __post_init__(self) -> None:
        table = Table(self.rates)
        # Frozen for everybody else.
        object.__setattr__(self, "_tables", {(None, 0, False): table})
        object.__setattr__(self, "quick", self._quick(table))
        object.__setattr__(self, "quick_up_to", self.steps[0].above if self.steps else _ANY_SIZE)

    def _quick(self, table: Table) -> tuple[Line | None, ...] | None:
        odd = self.unknown_because or self.off_peak or self.search_fees or self.free or self.always_searches
        if odd or self.usd_per_call is not None:
            return None
        media = ("audio_in", "image_in") if self.text_cache_only else ()
        return tuple(
            [None if bucket in media else one for bucket, one in zip(BILLED_BUCKETS, table.lines, strict=True)]
        )

    def table(self, prompt: int | None, conditions: Conditions) -> Table | str:
        """The rates that hold for a call with a prompt of so many tokens, or why none can be told."""
        if self.unknown_because is not None:
            return self.unknown_because
        tier = conditions.tier
        if self.tiers and conditions.service_tier is None and conditions.asked_tier not in PLAIN_TIERS:
            return f"the answer does not say whether the service tier {conditions.asked_tier} was served"
        tariff = Tariff(self.rates, self.steps) if tier is None else self.tiers.get(tier)
        if tariff is None:
            return f"no prices of the service tier {tier} are known"
        if prompt is None and tariff.steps:
            return "its price depends on the prompt's size, and that is not known"
        if conditions.at_us is None and self.off_peak is not None:
            return "its price depends on the hour, and the time of the call is not known"
        number = sum(1 for step in tariff.steps if prompt is not None and prompt > step.above)
        if number and not tariff.steps[number - 1].rates:
            return f"the price of prompts of more than {tariff.steps[number - 1].above} tokens is not known"
        off_peak = self.off_peak is not None and conditions.at_us is not None and self.off_peak.open(conditions.at_us)
        key = (tier, number, off_peak)
        found = self._tables.get(key)
        if found is None:
            found = self._tables[key] = self._made(tier, tariff, number, off_peak)
        return found

    def _made(self, tier: str | None, tariff: Tariff, number: int, off_peak: bool) -> Table:
        """The table of a tariff's step, 0: below the first."""
        where = "" if tier is None else f" in the service tier {tier}"
        rates = tariff.rates
        if number:
            step = tariff.steps[number - 1]
            rates, where = step.rates, f" in prompts of more than {step.above} tokens{where}"
        if off_peak and self.off_peak is not None:
            rates = {**rates, **self.off_peak.rates}
        return Table(rates, where)

    def multiplied(self, word: str) -> "Price | None":
        """The price in a region or at a speed; null if it does not say what that costs. Fees stay as they are."""
        factor = self.multipliers.get(word)
        if factor is None:
            return None

        def times(rates: Rates) -> Rates:
            return {
                meter: rate if meter == WEB_SEARCHES else EXACT.multiply(rate, factor) for meter, rate in rates.items()
            }

        def larger(steps: tuple[Step, ...]) -> tuple[Step, ...]:
            return tuple(Step(step.above, times(step.rates)) for step in steps)

        return replace(
            self,
            rates=times(self.rates),
            steps=larger(self.steps),
            tiers={tier: Tariff(times(one.rates), larger(one.steps)) for tier, one in self.tiers.items()},
            off_peak=self.off_peak and OffPeak(self.off_peak.windows, times(self.off_peak.rates)),
        )
