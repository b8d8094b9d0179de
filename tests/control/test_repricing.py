"""A second look at a call: by the prices of the moment at which it ended."""

from dataclasses import replace
from decimal import Decimal

import pytest

from gateway.control.repricing import SecondPricing, Timeline
from gateway.core.calls import Attempt, End
from gateway.core.pricing import FilePrice, StoredPrice
from gateway.core.usage import NOTHING_KNOWN, NOTHING_USED, Basis, Usage
from tests.control.plane import KNOWN_PRICES, PROVIDERS

ATTEMPT = Attempt(
    0, "openai/gpt-x", "openai", End.COMPLETED, 1000, duration_ms=2.0, usage=Usage(input=10, output=5),
    usage_basis=Basis.PROVIDER, price_book="old",
)  # fmt: skip


def dated(number: int, since_us: int, usd: str | None) -> StoredPrice:
    entry = None if usd is None else FilePrice("openai/gpt-x", {"input": Decimal(usd), "output": Decimal(usd)})
    return StoredPrice(number, "openai/gpt-x", entry, since_us, 0, "cli")


def pricing(*stored: StoredPrice, stated: tuple[FilePrice, ...] = ()) -> SecondPricing:
    return SecondPricing(Timeline(KNOWN_PRICES, stated, stored), PROVIDERS)


def test_the_map_in_force_holds_for_all_times() -> None:
    assert pricing()([ATTEMPT]) == (10 * 1000 + 5 * 2000, KNOWN_PRICES.version)


@pytest.mark.parametrize(("since_us", "rate"), [(2999, 4000), (3000, 4000), (3001, 7000)])
def test_a_price_holds_from_its_date_on_by_the_call_s_end(since_us: int, rate: int) -> None:
    """The attempt began at 1000 and ended 2 ms later, at 3000 microseconds."""
    assert pricing(dated(1, 0, "7"), dated(2, since_us, "4"))([ATTEMPT])[0] == 15 * rate


def test_what_was_taken_back_holds_no_more() -> None:
    assert pricing(dated(1, 0, "7"), dated(2, 10, None))([ATTEMPT])[0] == 20_000


def test_the_file_goes_before_what_was_set() -> None:
    free = FilePrice("openai/gpt-x", free=True)
    assert pricing(dated(1, 0, "7"), stated=(free,))([ATTEMPT])[0] == 0


def test_conditions_come_from_the_row() -> None:
    """Known fault 20: what was served in another tier is priced as that, also later."""
    flex = replace(ATTEMPT, usage=Usage(input=0, output=5), price_conditions='{"service_tier":"flex"}')
    assert pricing()([flex])[0] == 5 * 1000
    assert pricing()([replace(flex, price_conditions='{"service_tier":"scale"}')])[0] is None
    assert pricing()([replace(flex, price_conditions="not JSON")]) == (None, None)


def test_a_call_is_the_sum_of_its_attempts() -> None:
    nothing = replace(ATTEMPT, usage=NOTHING_USED, usage_basis=Basis.NONE, target="nobody/x")
    assert pricing()([nothing, ATTEMPT])[0] == 20_000
    unknown = replace(ATTEMPT, usage=NOTHING_KNOWN, usage_basis=Basis.NONE)
    assert pricing()([unknown, ATTEMPT])[0] is None
    assert pricing()([replace(ATTEMPT, target="gone/x"), ATTEMPT])[0] is None
