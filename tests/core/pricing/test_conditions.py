"""What besides the counts decides about a price, and how a row remembers it."""

import json

import pytest

from gateway.core.pricing import PLAIN, PLAIN_TIERS, Conditions


@pytest.mark.parametrize(
    ("served", "tier"),
    [
        ("flex", "flex"), ("fast", "priority"), ("Priority", "priority"), ("batches", "batch"), ("batch", "batch"),
        ("ON_DEMAND_FLEX", "flex"), ("ON_DEMAND", None), ("DEFAULT", None), ("", ""),
        *((plain, None) for plain in PLAIN_TIERS),
    ],
)  # fmt: skip
def test_tiers_by_the_name_that_prices_use(served: str | None, tier: str | None) -> None:
    assert Conditions(service_tier=served).tier == tier


def test_nothing_to_say_is_nothing_to_keep() -> None:
    for plain in (PLAIN, Conditions("default", at_us=7, asked_tier="auto")):
        assert plain.as_text() is None
    assert Conditions.from_text(None, 7) == Conditions(at_us=7)


def test_what_was_said_comes_back() -> None:
    said = Conditions("flex", True, None, "priority", "low", (("audio_seconds", 3), ("x", None)), ("eu",))
    text = said.as_text()
    assert text is not None
    assert json.loads(text)["service_tier"] == "flex"
    assert Conditions.from_text(text, None) == said


def test_words_from_outside_have_bounds() -> None:
    text = Conditions("x" * 5000, asked_tier="y" * 5000, search_context="z" * 5000).as_text()
    assert text is not None
    assert len(text) < 300
