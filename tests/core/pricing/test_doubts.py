"""Known fault 21: a price per token or per thousand, typed where a million was meant."""

from decimal import Decimal

import pytest

from gateway.core.pricing import FilePrice
from gateway.core.pricing.doubts import doubt_of
from gateway.core.routing import Provider
from gateway.providers.catalog import KINDS
from gateway.providers.price_map import PriceMap, load_price_map

HOME = Provider("openai", "openai", at_home=True)
BOX = Provider("box", "vllm", at_home=False)


@pytest.fixture(scope="module")
def known() -> PriceMap:
    return load_price_map()


def stated(target: str, **amounts: str) -> FilePrice:
    return FilePrice(target, {bucket: Decimal(amount) for bucket, amount in amounts.items()})


@pytest.mark.parametrize(
    ("amounts", "guess"),
    [
        ({"input": "0.0000025", "output": "0.00001"}, "was it meant per token?"),
        ({"input": "0.0025", "output": "0.01"}, "was it meant per thousand tokens?"),
        ({"input": "2.5", "output": "0.01"}, "was it meant per thousand tokens?"),
        ({"input": "2500000"}, "1,000,000 times more"),
        ({"output": "1001"}, "100 times more"),
    ],
)
def test_another_unit_at_the_provider_s_own_address_is_sure(
    known: PriceMap, amounts: dict[str, str], guess: str
) -> None:
    """Known fault 21: caught by comparison with the known price of the same model."""
    doubt = doubt_of(stated("openai/gpt-4o", **amounts), HOME, known, KINDS)
    assert doubt is not None
    assert doubt.sure
    assert guess in doubt.sentence
    assert "of openai/gpt-4o" in doubt.sentence
    assert "1,000 tokens in and 500 out would cost $" in doubt.sentence


def test_what_it_would_cost_is_shown(known: PriceMap) -> None:
    doubt = doubt_of(stated("openai/gpt-4o", input="0.0000025", output="0.00001"), HOME, known, KINDS)
    assert doubt is not None
    assert doubt.sentence == (
        "input at $0.0000025 per million is 1,000,000 times less than the $2.5 of openai/gpt-4o: "
        "was it meant per token? 1,000 tokens in and 500 out would cost $0.0000000075"
    )


def test_on_own_hardware_it_is_only_a_doubt(known: PriceMap) -> None:
    doubt = doubt_of(stated("box/gpt-oss-120b", input="0.0000001"), BOX, known, KINDS)
    assert doubt is not None
    assert not doubt.sure
    assert doubt_of(stated("box/gpt-oss-120b", input="0.05", output="0.2"), BOX, known, KINDS) is None
    assert doubt_of(stated("box/gpt-oss-120b", input="0.0000001"), None, known, KINDS) is not None


def test_what_nobody_can_lend_is_doubted(known: PriceMap) -> None:
    """Known fault 23: a price that is set and leaves calls without one."""
    doubt = doubt_of(FilePrice("box/gpt-4o", like="anthropic"), BOX, known, KINDS)
    assert doubt is not None
    assert (doubt.sentence, doubt.sure, doubt.param) == (
        "no price of anthropic/gpt-4o is known, so calls would have none", False, "like",
    )  # fmt: skip
    assert doubt_of(FilePrice("box/*", like="anthropic"), BOX, known, KINDS) is None


@pytest.mark.parametrize(
    "entry",
    [
        stated("openai/gpt-4o", input="2", output="8"),
        stated("openai/gpt-4o", input="0.026"),  # a hundredth and a bit
        stated("openai/gpt-4o", cache_read="0.0000001"),
        stated("openai/*", input="0.0000001"),
        stated("openai/nobody-knows", input="0.0000001"),
        FilePrice("openai/gpt-4o", free=True),
        FilePrice("openai/gpt-4o", usd_per_call=Decimal("0.0000001")),
        FilePrice("openai/gpt-4o", like="azure"),
    ],
)
def test_what_can_be_meant_is_believed(known: PriceMap, entry: FilePrice) -> None:
    assert doubt_of(entry, HOME, known, KINDS) is None
