"""Known kinds: addresses in every form that an SDK takes, and what is no address."""

from urllib.parse import urlsplit

import pytest

from gateway.core.errors import Fault, Kind
from gateway.core.usage import BILLED_BUCKETS
from gateway.providers.catalog import KINDS, Auth, KindFacts, base_url_of, canonical_base, is_home, kind_of, region_of
from gateway.settings import BUCKETS as SETTINGS_BUCKETS
from gateway.settings import KINDS as SETTINGS_KINDS


def test_the_settings_know_the_same_kinds_and_buckets() -> None:
    assert set(SETTINGS_KINDS) == set(KINDS)
    assert set(SETTINGS_BUCKETS) == set(BILLED_BUCKETS)


@pytest.mark.parametrize("facts", KINDS.values(), ids=KINDS)
def test_every_kinds_own_address_is_canonical_and_home(facts: KindFacts) -> None:
    if facts.base_url is None:
        return
    assert canonical_base(facts.base_url, facts) == facts.base_url
    assert canonical_base(facts.base_url + "/", facts) == facts.base_url
    assert canonical_base(facts.base_url.removesuffix("/v1"), facts) == facts.base_url
    assert is_home(facts, facts.base_url) is bool(facts.price_providers)


@pytest.mark.parametrize(
    ("kind", "given", "canonical"),
    [
        ("openai", "https://api.openai.com", "https://api.openai.com/v1"),
        ("openai", "https://API.openai.com:443/v1/", "https://api.openai.com/v1"),
        ("openai", "http://10.0.0.5:8000", "http://10.0.0.5:8000/v1"),
        ("openai", "http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("openai", "http://host:80", "http://host/v1"),
        ("openai", "https://proxy.example/team/llm", "https://proxy.example/team/llm/v1"),
        ("openai", "https://gateway.example/openai/v2", "https://gateway.example/openai/v2"),
        ("openai", "https://ark.example/api/v3/", "https://ark.example/api/v3"),
        ("groq", "https://api.groq.com", "https://api.groq.com/openai/v1"),
        ("groq", "https://api.groq.com/openai", "https://api.groq.com/openai/v1"),
        ("groq", "https://api.groq.com/v1", "https://api.groq.com/openai/v1"),
        ("gemini", "https://generativelanguage.googleapis.com", KINDS["gemini"].base_url),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta/openai/", KINDS["gemini"].base_url),
        ("anthropic", "https://api.anthropic.com", "https://api.anthropic.com/v1"),
        ("openrouter", "https://openrouter.ai/api", "https://openrouter.ai/api/v1"),
        ("perplexity", "https://api.perplexity.ai/", "https://api.perplexity.ai"),
        ("perplexity", "https://api.perplexity.ai/v1", "https://api.perplexity.ai"),
        ("azure", "https://acme.openai.azure.com", "https://acme.openai.azure.com/openai/v1"),
        ("azure", "https://acme.openai.azure.com/openai/v1/", "https://acme.openai.azure.com/openai/v1"),
        ("azure", "https://acme.services.ai.azure.com/openai", "https://acme.services.ai.azure.com/openai/v1"),
        ("ollama", "http://localhost:11434", "http://localhost:11434/v1"),
        ("vllm", "http://gpu:8000/v1", "http://gpu:8000/v1"),
    ],
)
def test_addresses_are_taken_as_any_sdk_takes_them(kind: str, given: str, canonical: str) -> None:
    assert canonical_base(given, KINDS[kind]) == canonical
    assert canonical_base(canonical, KINDS[kind]) == canonical


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.openai.com/v1",
        "ftp://host/v1",
        "file:///etc/passwd",
        "http://",
        "https:///v1",
        "https://user:hush@host/v1",
        "https://hush@host/v1",
        "https://host/v1?key=hush",
        "https://host/v1?",
        "https://host/v1#hush",
        "https://host/../hush",
        "https://host/v1\r\nx-hush: 1",
        "https://host/hush v1",
        "https://host\\hush",
        "https://hüsh.example/v1",
        "https://host:notaport/hush",
        "https://[::1/hush",
    ],
)
def test_what_is_no_plain_address_is_refused_without_repeating_it(url: str) -> None:
    """Known faults 79 and 80: no secret of an address in an error, and no address but a plain one."""
    with pytest.raises(Fault) as caught:
        canonical_base(url)
    assert caught.value.kind is Kind.INVALID
    assert "hush" not in caught.value.sentence


@pytest.mark.parametrize(
    ("kind", "url", "home"),
    [
        ("openai", "https://api.openai.com/v1", True),
        ("openai", "http://api.openai.com/v1", False),
        ("openai", "https://eu.api.openai.com/v1", True),
        ("openai", "https://jp.api.openai.com/v1", False),  # bills what nobody told
        ("openai", "https://api.openai.com.evil.example/v1", False),
        ("openai", "https://api.openai.com:8443/v1", False),
        ("openai", "http://10.0.0.5:8000/v1", False),
        ("azure", "https://acme.openai.azure.com/openai/v1", True),
        ("azure", "https://openai.azure.com.evil.example/v1", False),
        ("together", "https://api.together.ai/v1", True),
        ("vllm", "https://api.openai.com/v1", False),
        ("ollama", "http://localhost:11434/v1", False),
    ],
)
def test_prices_of_the_book_hold_at_home_alone(kind: str, url: str, home: bool) -> None:
    assert is_home(KINDS[kind], url) is home


def test_the_kind_is_the_stated_one_then_the_name_then_openai() -> None:
    assert kind_of("box", "vllm").name == "vllm"
    assert kind_of("groq").name == "groq"
    assert kind_of("groq", "mistral").name == "mistral"
    assert kind_of("my-proxy").name == "openai"


def test_an_unknown_kind_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(Fault, match="'opena' is not a known kind") as caught:
        kind_of("box", "opena")
    assert caught.value.hint == "did you mean openai?"
    with pytest.raises(Fault) as caught:
        kind_of("box", "zzz")
    assert "vllm" in (caught.value.hint or "")


def test_a_provider_has_an_address_or_says_that_it_needs_one() -> None:
    assert base_url_of(KINDS["openai"], None) == "https://api.openai.com/v1"
    assert base_url_of(KINDS["openai"], "http://localhost:9") == "http://localhost:9/v1"
    assert base_url_of(KINDS["lmstudio"], None) == "http://localhost:1234/v1"
    with pytest.raises(Fault, match="kind vllm needs an address"):
        base_url_of(KINDS["vllm"], None)


def test_facts_that_other_parts_rely_on() -> None:
    assert KINDS["azure"].auth is Auth.API_KEY
    assert {name for name, facts in KINDS.items() if facts.quirks.refuses_stream_options} == {"mistral", "cerebras"}
    for facts in KINDS.values():
        assert (facts.key_variable is None) == (facts.auth is Auth.NONE)
        assert facts.base_url is None or urlsplit(facts.base_url).scheme == "https" or facts.auth is Auth.NONE


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://api.openai.com/v1", None),
        ("https://eu.api.openai.com/v1", "eu"),
        ("https://us.api.openai.com/v1", "us"),
        ("https://eu.example.com/v1", None),
    ],
)
def test_regional_addresses_bill_what_the_region_costs(url: str, region: str | None) -> None:
    assert region_of(KINDS["openai"], url) == region
    assert region_of(KINDS["groq"], url) is None
