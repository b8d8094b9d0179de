"""The bundled price map, read as data: golden bills worked out by hand, and what is refused or unknown."""

import json
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from gateway.core.models import NO_FACTS, ModelFacts
from gateway.core.pricing import Conditions, Price, PriceBook, Step, Tariff, price_usage
from gateway.core.routing import Provider, Target
from gateway.core.usage import Usage
from gateway.providers.catalog import KINDS
from gateway.providers.price_map import PriceMap, load_price_map
from tests.providers.price_maps import GOOD, bill, made

TEXT = ModelFacts(embeds=False)


@pytest.fixture(scope="module")
def bundled() -> PriceMap:
    return load_price_map()


def test_how_much_a_model_takes_and_makes(bundled: PriceMap) -> None:
    assert bundled.facts("openai", "gpt-4o") == ModelFacts(128_000, 16_384, False)
    assert bundled.facts("gemini", "models/gemini-2.5-pro") == bundled.facts("gemini", "gemini-2.5-pro")
    assert bundled.facts("openai", "text-embedding-3-small").embeds is True
    assert bundled.facts("openai", "unheard-of") == NO_FACTS


@pytest.mark.parametrize(
    ("stated", "known"),
    [
        ({}, TEXT),
        ({"mode": "embedding"}, ModelFacts(embeds=True)),
        ({"max_input_tokens": 9, "max_output_tokens": 5, "max_tokens": 4}, ModelFacts(9, 5, False)),
        ({"max_output_tokens": 4, "max_tokens": 5}, ModelFacts(None, 5, False)),
        ({"max_input_tokens": 0, "max_output_tokens": -1, "max_tokens": "5"}, TEXT),
        ({"max_input_tokens": True, "max_output_tokens": 1.5}, TEXT),
    ],
)
def test_what_bounds_a_model_is_believed_only_as_a_number(stated: dict[str, object], known: ModelFacts) -> None:
    """Of two figures for the answer the larger holds: a bound must hold."""
    assert made(m={**GOOD, **stated, "aliases": ["n"]}).facts("openai", "n") == known


# Nano-dollars per token as the map of litellm 1.106.2 states them (2.5e-06 USD is 2500), times counts.
GOLDEN = [
    ("openai", "gpt-4o", Usage(input=200, cache_read=800, output=100), 200 * 2500 + 800 * 1250 + 100 * 10000),
    ("openai", "gpt-4o-mini", Usage(input=1000, output=500), 1000 * 150 + 500 * 600),
    ("openai", "gpt-4o-mini", Usage(input=1, cache_read=3, output=0), 150 + 3 * 75),
    ("openai", "gpt-4", Usage(input=9, output=12), 9 * 30000 + 12 * 60000),
    ("openai", "gpt-4.1", Usage(input=10, cache_read=90, output=5), 10 * 2000 + 90 * 500 + 5 * 8000),
    ("openai", "o3", Usage(input=50, output=20, reasoning=640), 50 * 2000 + (20 + 640) * 8000),
    ("openai", "o1-pro", Usage(input=7, output=3), 7 * 150000 + 3 * 600000),
    ("openai", "gpt-5.4", Usage(input=271000, cache_read=1000, output=1), 271000 * 2500 + 1000 * 250 + 15000),
    (
        "openai",
        "gpt-6-luna",
        Usage(input=40, cache_read=1024, cache_write=512, output=30),
        40 * 100 + 1024 * 10 + 512 * 125 + 30 * 500,
    ),
    ("openai", "gpt-6-astra", Usage(input=1, cache_write=8, output=2), 10000 + 8 * 12500 + 2 * 50000),
    (
        "openai",
        "gpt-4o-audio-preview-2024-12-17",
        Usage(input=10, audio_in=100, output=20, audio_out=200),
        10 * 2500 + 100 * 40000 + 20 * 10000 + 200 * 80000,
    ),
    ("openai", "gpt-3.5-turbo-instruct", Usage(input=100, output=100), 100 * 1500 + 100 * 2000),
    ("openai", "text-embedding-3-small", Usage(input=123), 123 * 20),
    ("openai", "text-embedding-3-large", Usage(input=123, output=0), 123 * 130),
    ("openai", "ft:gpt-4o-2024-08-06:acme::7p4l", Usage(input=8, output=2), 8 * 3750 + 2 * 15000),
    ("azure", "gpt-4o", Usage(input=200, cache_read=800, output=100), 200 * 2500 + 800 * 1250 + 100 * 10000),
    ("azure", "text-embedding-3-small", Usage(input=1000), 1000 * 22),
    ("anthropic", "claude-haiku-4-5", Usage(input=11, cache_read=100, output=7), 11 * 1000 + 100 * 100 + 7 * 5000),
    (
        "anthropic",
        "claude-sonnet-4-5",
        Usage(input=4, cache_read=2000, cache_write_5m=300, cache_write_1h=40, output=5),
        4 * 3000 + 2000 * 300 + 300 * 3750 + 40 * 6000 + 5 * 15000,
    ),
    ("anthropic", "claude-opus-4-6", Usage(input=3, cache_write_1h=9, output=2), 3 * 5000 + 9 * 10000 + 2 * 25000),
    ("gemini", "gemini-2.5-pro", Usage(input=150000, cache_read=50000, output=1), 150000 * 1250 + 50000 * 125 + 10000),
    ("gemini", "models/gemini-2.5-flash", Usage(input=10, output=5, reasoning=100), 10 * 300 + 105 * 2500),
    ("gemini", "gemini-2.5-flash", Usage(input=10, audio_in=32, output=5), 10 * 300 + 32 * 1000 + 5 * 2500),
    ("gemini", "gemini-embedding-001", Usage(input=77), 77 * 150),
    ("gemini", "gemini-embedding-2", Usage(input=77), 77 * 200),
    ("mistral", "mistral-large-latest", Usage(input=20, cache_read=64, output=9), 20 * 500 + 64 * 50 + 9 * 1500),
    ("mistral", "codestral-2508", Usage(input=20, output=9), 20 * 300 + 9 * 900),
    ("groq", "openai/gpt-oss-120b", Usage(input=30, cache_read=10, output=8), 30 * 150 + 10 * 75 + 8 * 600),
    # 37.5 nano-dollars a token: 1 → 38, 3 → 112.5 → 112, to the even neighbour.
    ("groq", "openai/gpt-oss-20b", Usage(input=2, cache_read=1, output=1), 2 * 75 + 38 + 300),
    ("groq", "openai/gpt-oss-20b", Usage(input=2, cache_read=3, output=1), 2 * 75 + 112 + 300),
    ("deepseek", "deepseek-chat", Usage(input=100, cache_read=900, output=50), 100 * 280 + 900 * 28 + 50 * 420),
    ("deepseek", "deepseek-r1", Usage(input=5, cache_read=1, reasoning=6, output=2), 5 * 550 + 140 + 8 * 2190),
    ("xai", "grok-4.3", Usage(input=100, image_in=256, output=4), 100 * 1250 + 256 * 1250 + 4 * 2500),
    ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", Usage(input=50, output=50), 100 * 1040),
    ("together", "BAAI/bge-base-en-v1.5", Usage(input=1000), 8000),
    (
        "fireworks",
        "accounts/fireworks/models/kimi-k2p5",
        Usage(input=6, cache_read=10, output=4),
        6 * 600 + 10 * 100 + 4 * 3000,
    ),
    ("fireworks", "kimi-k2p5", Usage(input=6, output=4), 6 * 600 + 4 * 3000),
    ("fireworks", "nomic-ai/nomic-embed-text-v1.5", Usage(input=1000), 8000),
    ("cerebras", "gpt-oss-120b", Usage(input=100, output=100), 100 * 350 + 100 * 750),
    ("perplexity", "pplx-embed-v1-4b", Usage(input=10), 300),
]


@pytest.mark.parametrize(("kind", "model", "usage", "nano"), GOLDEN)
def test_golden_bills(bundled: PriceMap, kind: str, model: str, usage: Usage, nano: int) -> None:
    """Known fault 19: golden bills, kept as tests."""
    assert bill(bundled, kind, model, usage) == nano


def test_what_the_rules_of_the_map_make_unknown(bundled: PriceMap) -> None:
    some = Usage(input=10, output=10)
    beyond = Usage(input=272_001, output=1)
    priority = Conditions(service_tier="priority")
    assert bill(bundled, "openai", "gpt-5.4", some, priority) is not None
    assert bill(bundled, "openai", "gpt-5.4", beyond, priority) is None  # no price of that tier is stated beyond
    assert bill(bundled, "openai", "gpt-4o", some, Conditions(service_tier="scale")) is None
    assert bill(bundled, "deepseek", "deepseek-v4-flash", some) is None  # by the hour, which was not told
    assert bill(bundled, "xai", "grok-4.3", Usage(input=200_000, image_in=1)) is None  # of text alone beyond it
    assert (
        bill(bundled, "anthropic", "claude-sonnet-4-5", Usage(input=1, cache_write=1)) is None
    )  # 5 minutes or an hour
    batch = Conditions(service_tier="batch")
    assert bill(bundled, "anthropic", "claude-sonnet-4-5", Usage(input=1, cache_write_1h=1), batch) is None
    assert bill(bundled, "gemini", "gemini-2.5-flash", Usage(input=1, audio_in=1, cache_read=1, output=1)) is None
    assert bill(bundled, "gemini", "gemini-embedding-2", Usage(input=1, image_in=1)) is None
    assert bill(bundled, "openai", "gpt-4", Usage(input=1, cache_read=1)) is None  # it has no cached rate
    assert bill(bundled, "gemini", "gemini-2.5-pro", Usage(input=1, web_searches=1)) is None  # some of them are free


def test_searching_models_are_unpriced(bundled: PriceMap) -> None:
    """Known fault 25: a search is never free by silence."""
    some = Usage(input=10, output=10)
    assert bill(bundled, "openai", "gpt-4o-mini", some) is not None
    assert bill(bundled, "openai", "gpt-4o-mini", some, Conditions(web_search=True)) is None
    assert bill(bundled, "openai", "gpt-4.1", Usage(input=1, web_searches=2)) == 2_000 + 50_000_000
    for kind, model in [
        ("openai", "gpt-4o-search-preview"),
        ("openai", "gpt-5-search-api"),
        ("openai", "o3-deep-research"),
        ("perplexity", "sonar"),
        ("perplexity", "sonar-deep-research"),
        ("perplexity", "pplx-70b-online"),
    ]:
        price = bundled.find(kind, model)
        priced = price_usage(0, some, price)
        assert price is not None
        assert priced.cost_nano is None
        assert "searched the web" in (priced.because or "") or "no price for" in (priced.because or "")
    assert bill(bundled, "together", "NousResearch/Nous-Hermes-2-Mixtral-8x7B-DPO", some) is not None


def test_zero_is_not_a_price(bundled: PriceMap) -> None:
    """Known faults 6 and 23: an entry of zeros is not free until somebody says so."""
    for kind, model in [("gemini", "gemma-4-31b-it"), ("mistral", "labs-leanstral-1-5")]:
        price = bundled.find(kind, model)
        assert price is not None
        assert "no price above zero" in (price.unknown_because or "")
    router = price_usage(0, Usage(input=10, output=10), bundled.find("azure", "model-router"))
    assert (router.cost_nano, router.at_least_nano) == (None, 1400)  # its answers cost what the routed model costs
    assert bundled.find("ollama", "llama3") is None


def test_names_are_never_shortened_to_find_a_price(bundled: PriceMap) -> None:
    assert bundled.find("openai", "openai/gpt-4o") is None
    assert bundled.find("together", "gpt-4o") is None
    assert bundled.find("openai", "gpt-4o-2031-01-01") is None
    assert bundled.find("vllm", "gpt-4o") is None
    assert bundled.find("no-such-kind", "gpt-4o") is None


def test_the_same_model_has_the_price_of_whoever_serves_it(bundled: PriceMap) -> None:
    one = Usage(input=1000, output=1000)
    assert bill(bundled, "groq", "openai/gpt-oss-120b", one) != bill(bundled, "cerebras", "gpt-oss-120b", one)


def test_every_source_is_named(bundled: PriceMap) -> None:
    price = bundled.find("openai", "gpt-4o")
    assert price is not None
    assert price.book == bundled.version
    assert bundled.version.startswith("litellm 1.106.2 sha256:")
    assert bundled.refused == {}


def test_models_are_named_as_their_api_names_them(bundled: PriceMap) -> None:
    for kind, facts in KINDS.items():
        names = bundled.models(kind)
        assert not any(name.startswith(f"{own}/") for own in facts.price_providers[:1] for name in names if own != kind)
    assert "gpt-4o" in bundled.models("openai")
    assert "sample_spec" not in bundled.models("openai")
    assert not any(name.startswith("together-ai-") for name in bundled.models("together"))
    assert not bundled.models("vllm")


def test_rates_are_the_digits_of_the_file(bundled: PriceMap) -> None:
    """No float between the text of a price and the sum: each rate is exactly what the file says."""
    source = _bundled_texts()
    compared = 0
    for key, entry in source.items():
        price = bundled.find(str(KIND_OF.get(entry.get("litellm_provider"))), key.removeprefix("gemini/"))
        if price is not None and "input" in price.rates and price.unknown_because is None:
            assert Fraction(price.rates["input"]) == Fraction(entry["input_cost_per_token"]), key
            compared += 1
    assert compared > 100


KIND_OF = {"openai": "openai", "anthropic": "anthropic", "gemini": "gemini"}


def _bundled_texts() -> dict[str, Any]:
    import importlib.util
    from pathlib import Path

    spec = importlib.util.find_spec("litellm")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    path = Path(spec.submodule_search_locations[0]) / "model_prices_and_context_window_backup.json"
    texts: dict[str, Any] = json.loads(path.read_bytes(), parse_float=str)
    return texts


def test_loading_imports_no_litellm_and_is_quick() -> None:
    code = (
        "import sys, time; from gateway.providers.price_map import load_price_map\n"
        "began = time.process_time(); load_price_map(); took = time.process_time() - began\n"
        "assert 'litellm' not in sys.modules and 'httpx' not in sys.modules\n"
        "assert took < 1.0, took\n"  # ten times what it takes: the bound is for a change of kind
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# --- maps of our own


@pytest.mark.parametrize(
    "meter",
    [
        {"input_cost_per_second": 0.001},
        {"input_cost_per_character": 1e-6},
        {"output_cost_per_image": 0.04},
        {"input_cost_per_query": 0.002},
        {"something_new_cost_per_moon": 1},
        {"costs": {"nested": 1}},
    ],
)
def test_a_meter_that_no_usage_states_makes_the_whole_entry_unknown(meter: dict[str, object]) -> None:
    priced = price_usage(0, Usage(input=1, output=1), made(model={**GOOD, **meter}).find("openai", "model"))
    assert (priced.cost_nano, priced.charges) == (None, ())
    assert next(iter(meter)) in (priced.because or "")


def test_the_grammar_of_suffixes() -> None:
    price = made(
        model={
            **GOOD,
            "cache_creation_input_token_cost": 3e-6,
            "cache_creation_input_token_cost_above_1hr": 4e-6,
            "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 9e-6,
            "input_cost_per_token_above_128k_tokens": 5e-6,
            "input_cost_per_token_above_272k_tokens_flex": 6e-6,
            "input_cost_per_token_priority": 7e-6,
            "output_cost_per_token_batches": 8e-6,
            "input_cost_per_token_above_32k_tokens_ultrafast": 9e-6,
            "input_cost_per_request": 0.01,
            "input_cost_per_image": 0.0,
            "regional_processing_uplift_multiplier_eu": 1.1,
        }
    ).find("openai", "model")
    assert price == Price(
        price.book if price else "",
        {
            "input": Decimal("0.000001"),
            "output": Decimal("0.000002"),
            "cache_write_5m": Decimal("0.000003"),
            "cache_write_1h": Decimal("0.000004"),
        },
        usd_per_call=Decimal("0.01"),
        steps=(Step(128_000, {"input": Decimal("0.000005")}), Step(200_000, {"cache_write_1h": Decimal("0.000009")})),
        tiers={
            # Beyond the plain price's cliffs nobody states theirs.
            "priority": Tariff({"input": Decimal("0.000007")}, (Step(128_000, {}), Step(200_000, {}))),
            "batch": Tariff({"output": Decimal("0.000008")}, (Step(128_000, {}), Step(200_000, {}))),
        },
        multipliers={"eu": Decimal("1.1")},
        search_billed=True,
    )


def test_the_book_over_the_map_prices_at_home_alone(bundled: PriceMap) -> None:
    book = PriceBook(bundled)
    home, away = Provider("mine", "openai", at_home=True), Provider("mine", "openai", at_home=False)
    assert book.find(Target(home, "gpt-4o")) == bundled.find("openai", "gpt-4o")
    assert book.find(Target(away, "gpt-4o")) is None
