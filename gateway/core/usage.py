"""Token counts in disjoint buckets; unknown is null, never zero (contract §6).

Knows what the buckets mean and how they add; the dialects in `wire/` know how a provider states them.
"""

from collections.abc import Iterable
from dataclasses import fields, replace
from enum import StrEnum
from operator import attrgetter

from gateway.core.value import value


class Basis(StrEnum):
    """Where a count comes from, weakest last."""

    PROVIDER = "provider"
    ESTIMATED = "estimated"
    NONE = "none"

    __hash__ = str.__hash__  # an enumeration's own is many times slower, and this is a key everywhere


_STRENGTH = {Basis.PROVIDER: 0, Basis.ESTIMATED: 1, Basis.NONE: 2}


@value(frozen=True)
class Usage:
    """What one attempt or call used, in tokens (`web_searches`: searches). None: nobody told us."""

    input: int | None = None
    """Fresh prompt tokens, text: neither read from nor written to a cache, no audio, no image."""
    cache_read: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    cache_write: int | None = None
    """Cache writes whose lifetime the provider does not state."""
    output: int | None = None
    """Generated text tokens without reasoning, audio and images."""
    reasoning: int | None = None
    audio_in: int | None = None
    audio_out: int | None = None
    image_in: int | None = None
    image_out: int | None = None
    web_searches: int | None = None
    prediction_accepted: int | None = None
    """Kept, not billed twice: already inside `output`."""
    prediction_rejected: int | None = None

    def values(self) -> tuple[int | None, ...]:
        """In the order of `BUCKETS`. One by one: a getter of all fields takes five times as long."""
        return (
            self.input,
            self.cache_read,
            self.cache_write_5m,
            self.cache_write_1h,
            self.cache_write,
            self.output,
            self.reasoning,
            self.audio_in,
            self.audio_out,
            self.image_in,
            self.image_out,
            self.web_searches,
            self.prediction_accepted,
            self.prediction_rejected,
        )

    def billed(self) -> tuple[int | None, ...]:
        """In the order of `BILLED_BUCKETS`."""
        return self.values()[: len(BILLED_BUCKETS)]

    def counts(self) -> dict[str, int]:
        """The buckets that are known, by name."""
        return {BUCKETS[place]: count for place, count in enumerate(self.values()) if count is not None}

    def as_dict(self) -> dict[str, int | None]:
        """Every bucket by name; unknown is null."""
        return dict(zip(BUCKETS, self.values(), strict=True))

    @property
    def prompt_tokens(self) -> int | None:
        """All tokens on the way in, or None if not one of them is known."""
        return _sum_known(_inputs(self))

    @property
    def generated_tokens(self) -> int | None:
        """Output plus reasoning tokens, the numerator of tokens per second."""
        return _plus(self.output, self.reasoning)

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*map(_plus, self.values(), other.values()))


BUCKETS: tuple[str, ...] = tuple(field.name for field in fields(Usage))
INPUT_BUCKETS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "cache_write", "audio_in", "image_in")
BILLED_BUCKETS: tuple[str, ...] = tuple(name for name in BUCKETS if not name.startswith("prediction_"))
"""The first of `BUCKETS`."""

NOTHING_KNOWN = Usage()
NOTHING_USED = Usage(input=0, output=0)
"""What an attempt used that certainly generated nothing."""


_inputs = attrgetter(*INPUT_BUCKETS)


def _plus(one: int | None, other: int | None) -> int | None:
    if one is None:
        return other
    return one if other is None else one + other


def _sum_known(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def weakest(bases: Iterable[Basis]) -> Basis:
    """The basis of a sum: that of its weakest part; `none` for an empty sum."""
    return max(bases, key=_STRENGTH.__getitem__, default=Basis.NONE)


def only_input(usage: Usage) -> Usage:
    """The same usage with everything generated unknown."""
    return replace(usage, output=None, reasoning=None, audio_out=None, image_out=None)
