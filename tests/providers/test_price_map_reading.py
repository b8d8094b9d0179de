"""How a price map is read: what is refused, what an entry's key means, and what is no map at all."""

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Fault, Kind
from gateway.core.usage import Usage
from gateway.providers.price_map import PriceMap, read_price_map
from tests.providers.price_maps import GOOD, bill, entry_of, made


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"input_cost_per_token": -1e-6}, "input_cost_per_token is -0.000001"),
        ({"input_cost_per_token": "1e-6"}, "input_cost_per_token is not a number"),
        ({"input_cost_per_token": True}, "input_cost_per_token is not a number"),
        ({"input_cost_per_token": float("nan")}, "input_cost_per_token is NaN"),
        ({"output_cost_per_token": float("inf")}, "output_cost_per_token is Infinity"),
        ({"output_cost_per_token": 2.5}, "outside"),
        ({"output_cost_per_token": 1e-15}, "outside"),
        ({"input_cost_per_request": 5000}, "outside"),
        ({"input_cost_per_second": -1}, "input_cost_per_second is -1"),
        ({"litellm_provider": None}, "names no provider"),
        ("text", "is not an object"),
        (None, "is not an object"),
        ([], "is not an object"),
    ],
)
def test_a_broken_entry_is_refused_and_counted_while_the_rest_holds(entry: object, why: str) -> None:
    """Known faults 21 and 22: a broken or absurd entry is seen, and takes nothing else with it."""
    prices = made(good=GOOD, bad={**GOOD, **entry} if isinstance(entry, dict) else entry)
    assert list(prices.refused) == ["bad"]
    assert why in prices.refused["bad"]
    assert prices.find("openai", "bad") is None
    assert bill(prices, "openai", "good", Usage(input=1, output=1)) == 3000


def test_a_number_that_nobody_can_write_out_is_refused() -> None:
    text = json.dumps({"good": entry_of(1e-6), "bad": entry_of(2e-6)}).replace("2e-06", "1e-99999999999999999999")
    prices = read_price_map(text.encode(), "test 1")
    assert prices.refused == {"bad": "has a number beyond all bounds"}
    assert list(prices.models("openai")) == ["good"]


def test_what_is_broken_is_told_by_kind_and_in_all() -> None:
    broken = {"input_cost_per_token": -1}
    prices = made(
        one=GOOD, two=broken, three={**broken, "litellm_provider": "groq"}, four={"litellm_provider": 7}, five=None
    )
    assert list(prices.refused_of("openai")) == ["two"]
    assert list(prices.refused_of("groq")) == ["three"]
    assert prices.refused_of("mistral") == prices.refused_of("no-such-kind") == {}
    assert set(prices.refused) == {"two", "three", "four", "five"}
    assert prices.prices["openai"].keys() == {"one"}


def test_of_two_entries_with_one_key_the_last_holds() -> None:
    twice = '{"m": %s, "m": %s, "n": null, "n": %s}'
    elsewhere = {**entry_of(1e-6), "litellm_provider": "elsewhere"}
    first, second = json.dumps(entry_of(1e-6)), json.dumps(entry_of(2e-6))
    prices = read_price_map((twice % (first, second, first)).encode(), "test 1")
    assert bill(prices, "openai", "m", Usage(input=1)) == 2000
    assert prices.refused == {}
    prices = read_price_map((twice % (first, json.dumps(elsewhere), first)).encode(), "test 1")
    assert list(prices.models("openai")) == ["n"]


def test_threads_that_ask_at_once_are_all_answered() -> None:
    content = json.dumps({f"m{number}": entry_of(1e-6) for number in range(300)}).encode()
    for _ in range(20):
        prices, begin = read_price_map(content, "test 1"), Barrier(4)

        def ask(prices: PriceMap = prices, begin: Barrier = begin) -> int:
            begin.wait()
            return len(prices.models("openai"))

        with ThreadPoolExecutor(4) as pool:
            assert [asked.result() for asked in [pool.submit(ask) for _ in range(4)]] == [300] * 4


def test_reserved_keys_are_no_models() -> None:
    prices = read_price_map(
        json.dumps(
            {
                "sample_spec": {"litellm_provider": "one of many", "input_cost_per_token": "text"},
                "fallback_generalizations": {"rules": [{"pattern": "^gpt-"}]},
                "elsewhere/model": {"litellm_provider": "elsewhere", "input_cost_per_token": -1},
                "gpt-x": {"litellm_provider": "openai", "mode": "chat", **GOOD},
                "gpt-img": {"litellm_provider": "openai", "mode": "image_generation", **GOOD},
                "gpt-odd": {"litellm_provider": "openai", "mode": ["chat"], **GOOD},
            }
        ).encode(),
        "test 1",
    )
    assert list(prices.models("openai")) == ["gpt-x"]
    assert prices.refused == {}


def test_aliases_stand_for_their_entry_unless_they_have_their_own() -> None:
    prices = made(
        one={**GOOD, "aliases": ["uno", "two", "openai/eins", 7]},
        two={"input_cost_per_token": 5e-6},
    )
    assert bill(prices, "openai", "uno", Usage(input=1)) == 1000
    assert bill(prices, "openai", "eins", Usage(input=1)) == 1000
    assert bill(prices, "openai", "two", Usage(input=1)) == 5000


def test_two_entries_of_one_model_that_disagree_are_unknown() -> None:
    same = read_price_map(json.dumps({"m": entry_of(1e-6), "openai/m": entry_of(1e-6)}).encode(), "test 1")
    assert bill(same, "openai", "m", Usage(input=1)) == 1000
    other = read_price_map(json.dumps({"m": entry_of(1e-6), "openai/m": entry_of(2e-6)}).encode(), "test 1")
    assert bill(other, "openai", "m", Usage(input=1)) is None


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"null", b"\xff\xfe{}", b'{"a": 1e}', b"{}x", b'{"a":' + b"[" * 200_000]
)
def test_what_is_no_map_is_an_error_and_not_an_empty_book(content: bytes) -> None:
    """Known fault 22: no falling back to nothing without a word."""
    with pytest.raises(Fault) as caught:
        read_price_map(content, "test 1")
    assert caught.value.kind is Kind.UNAVAILABLE


def test_the_version_is_the_digest_of_the_content() -> None:
    versions = {made(a=GOOD).version, made(b=GOOD).version, made(a=GOOD).version}
    assert len(versions) == 2
    assert all(version.startswith("test 1 sha256:") for version in versions)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    ["input_cost_per_token", "output_cost_per_token_above_200k_tokens", "mode", "litellm_provider", "aliases", "x_cost"]
)


@given(st.dictionaries(st.text(max_size=8), JSON | st.dictionaries(FIELDS, JSON), max_size=4))
def test_no_content_breaks_the_reader(entries: dict[str, object]) -> None:
    prices = read_price_map(json.dumps({**entries, "good": entry_of(1e-6)}).encode(), "test 1")
    assert bill(prices, "openai", "good", Usage(input=1)) == 1000
    assert prices.refused.keys() <= entries.keys()
    assert prices.prices["openai"].keys() == set(prices.models("openai"))
