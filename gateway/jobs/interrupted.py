"""Calls that nobody ended, because their process died: what is known of them, as a record with an estimated cost.

Pure: the openings are the whole truth that is left. What was generated is unknown, so only the prompt is priced.
"""

from collections.abc import Sequence

from gateway.core.accounts import Account, places_of
from gateway.core.calls import Attempt, AttemptOpened, CallRecord, End
from gateway.core.holds import reserve_of
from gateway.core.money import usd
from gateway.core.pricing import Price, price_usage
from gateway.core.usage import Basis, Usage

TOKENIZER = "bytes/4"
"""How the prompt was estimated before the upstream was asked."""

ERROR = "interrupted: the gateway stopped before this call had ended"


def interrupted_call(openings: Sequence[AttemptOpened]) -> CallRecord:
    """The record of a call from the opening frames of its attempts, at least one."""
    accounts = tuple(dict.fromkeys(account for opened in openings for account in (*opened.held_in, *opened.seen_by)))
    attempts = tuple(_attempt(opened, accounts) for opened in sorted(openings, key=lambda opened: opened.index))
    return CallRecord(openings[0].call, End.INTERRUPTED, None, ERROR, attempts, accounts=accounts)


def _attempt(opened: AttemptOpened, accounts: Sequence[Account]) -> Attempt:
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
        hold_nano=opened.hold_nano,
        reserve_nano=reserve_of(opened.hold_nano, priced.cost_nano, priced.at_least_nano),
        held_in=places_of(opened.held_in, accounts),
        seen_by=places_of(opened.seen_by, accounts),
    )


def _price(opened: AttemptOpened) -> Price | None:
    if opened.price_book is None or opened.input_usd_per_million is None:
        return None
    return Price(opened.price_book, {"input": usd(opened.input_usd_per_million).scaleb(-6)})
