"""Calls that nobody ended, because their process died: what is known of them, as a record with an estimated cost.

Pure: the openings are the whole truth that is left. What was generated is unknown, so only the prompt is priced.
"""

from collections.abc import Sequence

from gateway.core.calls import Attempt, AttemptOpened, CallRecord, End
from gateway.core.money import usd
from gateway.core.pricing import Price, price_usage
from gateway.core.usage import Basis, Usage

TOKENIZER = "bytes/4"
"""How the prompt was estimated before the upstream was asked."""

ERROR = "interrupted: the gateway stopped before this call had ended"


def interrupted_call(openings: Sequence[AttemptOpened]) -> CallRecord:
    """The record of a call from the opening frames of its attempts, at least one."""
    attempts = tuple(_attempt(opened) for opened in sorted(openings, key=lambda opened: opened.index))
    return CallRecord(openings[0].call, End.INTERRUPTED, None, ERROR, attempts)


def _attempt(opened: AttemptOpened) -> Attempt:
    usage = Usage(input=opened.estimated_input)
    priced = price_usage(opened.index, usage, _price(opened))
    return Attempt(
        index=opened.index,
        target=opened.target,
        provider=opened.provider,
        end=End.INTERRUPTED,
        started_us=opened.started_us,
        error=ERROR,
        usage=usage,
        usage_basis=Basis.ESTIMATED,
        tokenizer=TOKENIZER,
        cost_nano=priced.cost_nano,
        cost_at_least_nano=priced.at_least_nano,
        unpriced_because=priced.because,
        price_book=opened.price_book,
        charges=priced.charges,
    )


def _price(opened: AttemptOpened) -> Price | None:
    if opened.price_book is None or opened.input_usd_per_million is None:
        return None
    return Price(opened.price_book, {"input": usd(opened.input_usd_per_million).scaleb(-6)})
