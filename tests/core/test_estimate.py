"""The calculator's arithmetic, against numbers worked out by hand and against fractions."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Fault, Kind
from gateway.core.estimate import (
    break_even,
    gpu_price,
    latency,
    own_wh_per_1k,
    pay_back,
    per_token,
    spending,
    stated_price,
    usd_per_million,
)
from gateway.core.pricing import Price

D = Decimal
PER_1K = stated_price(per_token(D("0.01"), 1000), per_token(D("0.03"), 1000))
AMOUNTS = st.decimals(min_value="0.0001", max_value="10000", places=4)


def test_a_request_of_known_size() -> None:
    assert spending(PER_1K, 500, 500, None).per_request == D("0.02")
    spent = spending(PER_1K, 500, 300, 10_000)
    assert (spent.per_request, spent.per_day, spent.per_30_days) == (D("0.014"), D(140), D(4200))


@given(AMOUNTS, AMOUNTS, st.integers(0, 10**7), st.integers(0, 10**7), st.integers(1, 10**7))
def test_spending_is_exact(input_usd: Decimal, output_usd: Decimal, sent: int, received: int, per_day: int) -> None:
    price = stated_price(per_token(input_usd, 10**6), per_token(output_usd, 10**6))
    each = (Fraction(input_usd) * sent + Fraction(output_usd) * received) / 10**6
    spent = spending(price, sent, received, per_day)
    assert Fraction(spent.per_request) == each
    assert spent.per_day is not None
    assert spent.per_30_days is not None
    assert Fraction(spent.per_day) == each * per_day
    assert Fraction(spent.per_30_days) == each * per_day * 30


def test_an_unknown_price_is_not_estimated() -> None:
    with pytest.raises(Fault, match="no price for output") as caught:
        spending(stated_price(D("0.00001"), None), 1, 1, None)
    assert caught.value.kind is Kind.PRICE_UNKNOWN
    assert spending(stated_price(D("0.00001"), None), 1, 0, None).per_request == D("0.00001")


def test_a_free_price_costs_nothing() -> None:
    assert spending(Price("file", {}, free=True), 10, 10, 5).per_day == 0


def test_latency_adds_the_first_token_and_all_tokens() -> None:
    time = latency(D(200), D(30), 100)
    assert time.seconds == D("3.2")
    assert f"{time.tokens_per_second:.1f}" == "33.3"


def test_the_price_of_a_token_on_an_own_gpu() -> None:
    """Known fault 26: cost by time beside the price of an API."""
    full = gpu_price(D("2.50"), D(1500), D(1))
    assert full.tokens_per_hour == 5_400_000
    assert f"{full.usd_per_million:.6f}" == "0.462963"
    assert f"{gpu_price(D('2.50'), D(1500), D('0.4')).usd_per_million:.6f}" == "1.157407"


def test_the_energy_of_own_hardware_is_a_range_as_wide_as_it_is_idle() -> None:
    """Known fault 27: what it draws while idle is not known, so both ends are told."""
    full = own_wh_per_1k(D(720), D(2000), D(1))
    assert (full.low, full.high) == (D("0.1"), D("0.1"))  # 720 W for half a second
    half = own_wh_per_1k(D(720), D(2000), D("0.5"))
    assert (half.low, half.high) == (D("0.1"), D("0.2"))


def test_break_even_is_where_an_hour_costs_the_same_elsewhere() -> None:
    even = break_even(D("2.50"), D(1500), D(10))
    assert even.tokens_per_hour == 250_000
    assert f"{even.utilisation:.4f}" == "0.0463"
    assert break_even(D("2.50"), D(1500), D("0.1")).utilisation > 1


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_at_break_even_both_cost_the_same(hour: Decimal, speed: Decimal, rival: Decimal) -> None:
    even = break_even(hour, speed, rival)
    if even.utilisation <= 1:
        own = gpu_price(hour, speed, even.utilisation).usd_per_million
        assert abs(own - rival) <= rival * D("1e-40")


def test_the_mean_price_of_a_mix_of_tokens() -> None:
    price = stated_price(per_token(D(1), 10**6), per_token(D(3), 10**6))
    assert usd_per_million(price, 300, 100) == D("1.5")
    assert usd_per_million(price, 0, 1) == 3


def test_training_pays_back_with_the_request_that_pays_the_last_cent() -> None:
    assert pay_back(D(5000), D("0.004"), None).requests == 1_250_000
    assert pay_back(D(1), D("0.3"), None).requests == 4
    assert pay_back(D(1), D("0.25"), 3) == pay_back(D(1), D("0.26"), 2)  # 4 requests, 2 days each
    assert pay_back(D(0), D("0.004"), 10).requests == 0


@given(AMOUNTS, AMOUNTS)
def test_pay_back_is_the_first_request_that_suffices(training: Decimal, saves: Decimal) -> None:
    requests = pay_back(training, saves, None).requests
    assert Fraction(saves) * requests >= Fraction(training) > Fraction(saves) * (requests - 1)


@pytest.mark.parametrize(
    "calculate",
    [
        lambda: latency(D(1), D(0), 1),
        lambda: gpu_price(D(1), D(0), D(1)),
        lambda: gpu_price(D(1), D(1), D(0)),
        lambda: gpu_price(D(1), D(1), D(40)),
        lambda: own_wh_per_1k(D(0), D(1), D(1)),
        lambda: own_wh_per_1k(D(1), D(0), D(1)),
        lambda: own_wh_per_1k(D(1), D(1), D(2)),
        lambda: break_even(D(1), D(1), D(0)),
        lambda: break_even(D(1), D(0), D(1)),
        lambda: pay_back(D(1), D(0), None),
        lambda: usd_per_million(PER_1K, 0, 0),
    ],
)
def test_what_cannot_be_divided_by_is_refused(calculate: Callable[[], object]) -> None:
    with pytest.raises(Fault) as caught:
        calculate()
    assert caught.value.kind is Kind.INVALID
