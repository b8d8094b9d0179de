"""Rules for names."""

import pytest

from gateway.core.usage import BILLED_BUCKETS
from gateway.providers import catalog
from gateway.settings import names
from gateway.settings.problems import Wrong


def test_the_buckets_are_those_that_are_billed() -> None:
    assert names.BUCKETS == BILLED_BUCKETS


def test_the_kinds_are_those_of_the_catalogue() -> None:
    assert set(names.KINDS) == set(catalog.KINDS)
    homeless = {kind for kind, facts in catalog.KINDS.items() if facts.base_url is None}
    assert set(names.ADDRESS_NEEDED) == homeless - {"simulated"}


@pytest.mark.parametrize("text", ["openai", "gpu-box", "a", "A1.b_c", "9", "x" * 64])
def test_a_name_of_ours(text: str) -> None:
    assert names.name("a provider's name")(text) == text


@pytest.mark.parametrize("text", ["", "a b", "a/b", "-a", "a-", ".", "ä", "a\n", "x" * 65, "a:b", "*"])
def test_what_cannot_be_a_name(text: str) -> None:
    with pytest.raises(Wrong, match="cannot be a provider's name"):
        names.name("a provider's name")(text)


@pytest.mark.parametrize("text", ["fast", "gpt-4o", "llama3:8b", "@team"])
def test_a_model_name_of_ours(text: str) -> None:
    assert names.alias(text) == text


@pytest.mark.parametrize("text", ["", "a/b", "openai/gpt-4o", "a b", "a*", "ä"])
def test_what_cannot_be_a_model_name_of_ours(text: str) -> None:
    with pytest.raises(Wrong, match="cannot be a model's name"):
        names.alias(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("openai/gpt-4o-mini", ("openai", "gpt-4o-mini")),
        ("openrouter/meta-llama/llama-3:free", ("openrouter", "meta-llama/llama-3:free")),
        ("box//models/llama", ("box", "/models/llama")),
    ],
)
def test_a_target_is_a_provider_and_its_own_name_of_the_model(text: str, parts: tuple[str, str]) -> None:
    assert names.split_target(text) == parts


@pytest.mark.parametrize("text", ["", "openai", "/gpt", "openai/", "open ai/x", "openai/a b", "openai/ä"])
def test_what_is_no_target(text: str) -> None:
    with pytest.raises(Wrong, match="is not a target"):
        names.split_target(text)


def test_a_price_is_for_one_target_or_all_of_a_provider() -> None:
    assert names.priced_target("openai/gpt-4o") == "openai/gpt-4o"
    assert names.priced_target("openai/*") == "openai/*"
    with pytest.raises(Wrong, match="cannot be priced"):
        names.priced_target("openai/gpt-*")


def test_a_bucket_that_is_not_billed_has_no_price() -> None:
    assert names.bucket("cache_write_5m") == "cache_write_5m"
    with pytest.raises(Wrong) as caught:
        names.bucket("inputs")
    assert caught.value.hint == "did you mean `input`?"
    with pytest.raises(Wrong, match="has no price of its own"):
        names.bucket("prediction_accepted")


@pytest.mark.parametrize("text", ["", "a b", "ä"])
def test_a_label_has_a_plain_name(text: str) -> None:
    with pytest.raises(Wrong):
        names.label(text)
    assert names.label("cost-centre") == "cost-centre"
