"""What an attempt can cost at most: never guessed, and never less than what is charged."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gateway.core.models import ModelFacts
from gateway.core.pricing import FilePrice, Price, PriceBook
from gateway.core.routing import Provider, Target
from gateway.proxy.quote import Quote, Quotes
from gateway.wire.openai_reach import reach_of
from tests.proxy.rig import PRICES, A, B, chat

HOME = Target(Provider("openai", "openai", at_home=True), "m")


class OneModel:
    """A map with one price, and what is known of its model."""

    version = "one"

    def find(self, kind: str, model: str) -> Price | None:
        return Price("one", {"input": Decimal("0.000002"), "output": Decimal("0.00001")})

    def models(self, kind: str) -> tuple[str, ...]:
        return ("m",)

    def facts(self, kind: str, model: str) -> ModelFacts:
        return ModelFacts(1000, 500)


def quote(target: Target, body: bytes, book: PriceBook = PRICES) -> Quote | str:
    return Quotes(book).of(reach_of(body), target)


def sure(found: Quote | str) -> Quote:
    assert isinstance(found, Quote), found
    return found


def test_bytes_bound_the_prompt_and_the_limit_the_answer() -> None:
    body = chat(max_tokens=100)
    found = sure(quote(Target(A, "m"), body))
    prompt = len(body) + 64 + 16
    assert (found.input, found.output, found.each) == (prompt, 100, 100)
    assert 0 <= found.nano - (prompt * 2000 + 100 * 10_000) < 20


def test_several_answers_cost_several_times() -> None:
    assert sure(quote(Target(A, "m"), chat(max_tokens=100, n=3))).output == 300


def test_what_is_known_of_the_model_bounds_what_the_request_does_not() -> None:
    book = PriceBook(OneModel())
    found = sure(quote(HOME, chat(), book))
    assert (found.output, found.each) == (500, 500)
    assert sure(quote(HOME, chat(messages=pictures(1)), book)).input == 1000, "who knows what a picture is billed as"


def pictures(count: int, *more: dict[str, Any]) -> list[dict[str, Any]]:
    one = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    return [{"role": "user", "content": [*[one] * count, *more]}]


def test_pictures_are_billed_as_what_their_kind_states_even_beyond_the_context() -> None:
    """One model bills a picture as more tokens than it reads: its context bounds the text alone."""
    book = PriceBook(OneModel())
    told = Target(replace(HOME.provider, picture_tokens=700), HOME.model)
    body = chat(messages=pictures(3))
    text = len(body) + 64 + 16
    assert sure(quote(told, body, book)).input == text + 3 * 700
    sound = chat(messages=pictures(1, {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}))
    assert sure(quote(told, sound, book)).input == 1000 + 700, "how much a sound is billed as is not known"


@pytest.mark.parametrize(
    ("target", "more", "why"),
    [
        (Target(B, "unpriced"), {"max_tokens": 5}, "no price is known for b/unpriced"),
        (Target(A, "m"), {}, "nothing limits its answer"),
        (Target(A, "m"), {"max_tokens": 5, "previous_response_id": "r"}, "it goes on with a stored response"),
        (Target(A, "m"), {"max_tokens": 5, "service_tier": "priority"}, "no prices of the service tier priority"),
    ],
)
def test_what_cannot_be_bounded_says_why(target: Target, more: dict[str, Any], why: str) -> None:
    found = quote(target, chat(**more))
    assert isinstance(found, str)
    assert why in found


def test_what_is_free_needs_no_bound() -> None:
    assert sure(quote(Target(B, "free"), chat())).nano == 0


def test_a_price_for_each_call_needs_no_bound_either() -> None:
    book = PriceBook(OneModel(), [FilePrice("a/*", usd_per_call=Decimal("0.01"))])
    found = sure(quote(Target(A, "m"), chat(), book))
    assert (found.nano // 10**6, found.output) == (10, None)


def test_a_lower_limit_costs_less() -> None:
    found = sure(quote(Target(A, "m"), chat(max_tokens=100)))
    assert found.nano - found.lowered(40) == 60 * 10_000


def test_a_tier_is_read_in_the_words_of_the_client() -> None:
    assert sure(quote(Target(A, "m"), chat(max_tokens=5, service_tier="default"))).most.tier is None
