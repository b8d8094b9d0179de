"""Slices in memory: what fits, what is taken, what comes back."""

import pytest

from gateway.core.accounts import Account
from gateway.core.escrow import Purse, Slice

DAY = Account("day", "everything", 0)
KEY = Account("key", "key=ci", 0)
NOW, END = 1.0, 2.0


@pytest.fixture
def purse() -> Purse:
    purse = Purse()
    purse.granted(DAY, 100, 1, END)
    purse.granted(KEY, 50, 1, END)
    return purse


def test_a_hold_takes_from_all_of_its_accounts_or_from_none(purse: Purse) -> None:
    assert purse.short([DAY, KEY], 50, NOW) == {}
    assert purse.short([DAY, KEY], 60, NOW) == {KEY: 10}
    assert purse.short([DAY, Account("other", "everything", 0)], 101, NOW) == {
        DAY: 1,
        Account("other", "everything", 0): 101,
    }
    purse.hold([DAY, KEY], 30)
    assert (purse.of(DAY).free, purse.of(KEY).free) == (70, 20)
    assert purse.short([DAY, KEY], 21, NOW) == {KEY: 1}


def test_what_is_settled_stays_taken_until_its_row_is_in_sql(purse: Purse) -> None:
    purse.hold([DAY, KEY], 30)
    purse.settle([DAY, KEY], 30, 20)
    assert (purse.of(DAY).free, purse.of(KEY).free) == (80, 30)
    purse.shipped({DAY: 20, KEY: 20})
    assert purse.of(DAY) == Slice(granted=80, opened=30, generation=1, until=END)
    assert purse.of(KEY) == Slice(granted=30, opened=30, generation=1, until=END)


def test_a_hold_that_is_released_was_never_taken(purse: Purse) -> None:
    purse.hold([DAY], 100)
    purse.settle([DAY], 100, 0)
    assert purse.of(DAY).free == 100


def test_what_a_provider_billed_beyond_the_slice_was_never_leased(purse: Purse) -> None:
    purse.hold([DAY], 100)
    purse.settle([DAY], 100, 130)
    assert purse.of(DAY).free == -30
    assert purse.short([DAY], 1, NOW) == {DAY: 31}
    purse.shipped({DAY: 130})
    assert purse.of(DAY) == Slice(granted=0, opened=100, generation=1, until=END)


def test_nothing_is_opened_from_a_slice_that_has_ended(purse: Purse) -> None:
    assert purse.short([DAY], 30, END) == {DAY: 30}
    purse.granted(DAY, 0, 2, END + 1)
    assert purse.short([DAY], 30, END) == {}


def test_only_what_is_free_can_be_given_back(purse: Purse) -> None:
    purse.hold([DAY], 60)
    with pytest.raises(ValueError, match="40 is free"):
        purse.give_back(DAY, 41)
    purse.give_back(DAY, 40)
    assert purse.short([DAY], 1, NOW) == {DAY: 1}


def test_from_a_slice_that_was_written_off_nothing_more_is_opened(purse: Purse) -> None:
    purse.hold([DAY], 60)
    purse.void(DAY)
    assert purse.short([DAY], 1, NOW) == {DAY: 1}
    assert purse.of(DAY).generation == 0
    purse.settle([DAY], 60, 10)
    purse.void(DAY)
    purse.shipped({DAY: 10})
    assert purse.of(DAY).free == 0


def test_an_account_is_forgotten_when_nothing_hangs_on_it(purse: Purse) -> None:
    purse.drop(DAY)
    purse.give_back(KEY, 50)
    purse.drop(KEY)
    purse.drop(Account("other", "everything", 0))
    assert [account for account, _ in purse] == [DAY]


def test_a_hold_of_nothing_fits_everywhere() -> None:
    purse = Purse()
    assert purse.short([DAY], 0, NOW) == {}
    purse.hold([DAY], 0)
    purse.settle([DAY], 0, 0)
    assert purse.of(DAY) == Slice()
