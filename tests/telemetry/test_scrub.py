import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.keys import Secret
from gateway.telemetry.scrub import HIDDEN, Scrubber

PROVIDER_KEY = "Zk93hQ0aX7-azure-style"


@pytest.mark.parametrize(
    "text",
    [
        "tk-3uYx0h8Lq9dJ2mN5",
        "tka-3uYx0h8Lq9dJ2mN5",
        "sk-proj-abcdefgh12345678",
        "sk-ant-api03-abcdefgh",
        "gsk_abcdefghijklmnop1234",
        "xai-abcdefghijkl",
        "AIzaSyA-1234567890abcdefghijk",
        "hf_abcdefghijklmnopqrstu",
        "Bearer abc.def-ghi_jkl",
        "basic dXNlcjpwYXNz",
        PROVIDER_KEY,
    ],
)
def test_what_looks_like_a_key_or_is_one_is_replaced(text: str) -> None:
    """Known fault 79: no key in a log line."""
    scrubber = Scrubber([Secret(PROVIDER_KEY)])
    for sentence in (text, f"Incorrect API key provided: {text}.", f'{{"authorization": "{text}"}}'):
        cleaned = scrubber.text(sentence)
        assert text not in cleaned
        assert HIDDEN in cleaned


def test_a_key_in_an_address_is_replaced() -> None:
    scrubber = Scrubber()
    assert "abc123" not in scrubber.text("GET https://example.com/v1?alt=sse&key=abc123 failed")
    assert "hunter2" not in scrubber.text("postgresql://toll:hunter2@db/tollkeeper")


def test_ordinary_names_stay() -> None:
    scrubber = Scrubber([Secret(PROVIDER_KEY)])
    for name in ("gpt-4o-mini", "openai/gpt-4o", "task-force", "risk-averse-model-v2", "basic", "disk-full", "a:b"):
        assert scrubber.text(name) == name


def test_a_short_secret_does_not_blank_out_the_log() -> None:
    assert Scrubber([Secret("a")]).text("a call at a target") == "a call at a target"


def test_names_are_cut_at_a_length_that_no_name_has() -> None:
    name = Scrubber().name("m" * 100_000)
    assert len(name) == 200


@given(st.text(), st.text(), st.text(min_size=6, max_size=40))
def test_a_known_secret_never_survives(before: str, after: str, secret: str) -> None:
    assert secret not in Scrubber([Secret(secret)]).text(before + secret + after).replace(HIDDEN, "\0")
