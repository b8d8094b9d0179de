"""Nothing goes upstream before the journal knows of it."""

import pytest

from gateway.core.errors import Fault
from gateway.core.keys import KEYLESS
from gateway.core.pricing import FilePrice, Price, PriceBook, StoredPrice
from gateway.core.routing import Target
from gateway.proxy.call import Admitted
from gateway.proxy.hold import Hold
from tests.fakes.clock import FakeClock
from tests.fakes.journal import MemoryJournal
from tests.proxy.rig import PRICES, A, B, NoMap, chat, rig, whole


@pytest.mark.anyio
async def test_the_opening_frame_is_written_before_the_upstream_is_asked() -> None:
    made = rig(whole())
    await made.call(chat())
    (opened,) = made.journal.openings
    assert (opened.call.model, opened.call.key, opened.target, opened.provider) == ("a/m", "ci", "a/m", "a")
    assert (opened.hold_nano, opened.input_usd_per_million) == (0, "2")
    assert opened.estimated_input == len(chat()) // 4
    assert (opened.price_book or "").startswith("file sha256:")


def test_what_has_no_price_is_opened_without_one() -> None:
    journal = MemoryJournal()
    hold = Hold(journal, PRICES, FakeClock())
    ticket = hold.call(rig().arrival(b""), Admitted(KEYLESS))
    attempt = hold.attempt(ticket, Target(B, "unpriced"))
    assert (attempt.price, attempt.opened.price_book, attempt.opened.input_usd_per_million) == (None, None, None)
    assert ticket.open is attempt


def test_prices_are_looked_up_once_for_a_target() -> None:
    hold = Hold(MemoryJournal(), PRICES, FakeClock())
    made = rig()
    for _ in range(3):
        ticket = hold.call(made.arrival(b""), Admitted(KEYLESS))
        assert hold.attempt(ticket, Target(A, "m")).price is hold.attempt(ticket, Target(A, "m")).price


def test_a_full_journal_refuses() -> None:
    made = rig()
    with pytest.raises(Fault, match="no room"):
        Hold(MemoryJournal(room=0), PRICES, FakeClock()).call(made.arrival(b""), Admitted(KEYLESS))


def test_a_changed_book_is_looked_up_again() -> None:
    """And only then: what was found for a target is remembered."""
    book = PriceBook(NoMap())
    hold = Hold(MemoryJournal(), book, FakeClock())
    free = FilePrice("b/m", free=True)

    def price_of_an_attempt() -> Price | None:
        return hold.attempt(hold.call(rig().arrival(b""), Admitted(KEYLESS)), Target(B, "m")).price

    assert price_of_an_attempt() is None
    book.put_in_force(NoMap(), [StoredPrice(1, "b/m", free, 0, 0, "cli")])
    found = price_of_an_attempt()
    assert found is not None
    assert found.free
    assert price_of_an_attempt() is found
    book.put_in_force(NoMap(), [])
    assert price_of_an_attempt() is None
