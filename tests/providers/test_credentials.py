"""Keys of providers: which one goes where, and which one never goes."""

import pytest

from gateway.core.errors import Fault, Kind
from gateway.core.keys import Secret
from gateway.providers.catalog import KINDS
from gateway.providers.credentials import auth_headers


@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        ("openai", [("authorization", "Bearer sk-1")]),
        ("anthropic", [("authorization", "Bearer sk-1")]),
        ("azure", [("api-key", "sk-1")]),
        ("vllm", [("authorization", "Bearer sk-1")]),
    ],
)
def test_a_key_is_shown_the_way_its_kind_wants(kind: str, headers: list[tuple[str, str]]) -> None:
    assert auth_headers(KINDS[kind], Secret("sk-1"), None) == headers
    assert auth_headers(KINDS[kind], None, Secret("sk-1")) == headers


def test_the_configured_key_goes_before_the_clients() -> None:
    assert auth_headers(KINDS["openai"], Secret("ours"), Secret("theirs")) == [("authorization", "Bearer ours")]


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_key_nothing_is_sent(kind: str) -> None:
    assert auth_headers(KINDS[kind], None, None) == []


@pytest.mark.parametrize(("configured", "sent"), [(Secret("tk-hush"), None), (None, Secret("tk-hush"))])
def test_a_key_of_ours_never_leaves(configured: Secret | None, sent: Secret | None) -> None:
    with pytest.raises(Fault) as caught:
        auth_headers(KINDS["openai"], configured, sent)
    assert caught.value.kind is Kind.FORBIDDEN
    assert "hush" not in caught.value.sentence


@pytest.mark.parametrize("text", ["", "sk-hush\n", "sk-hush\r\nx-evil: 1", "sk hush", "sk-hüsh", "sk-hush\x00"])
def test_a_key_that_no_header_can_carry_is_refused_without_repeating_it(text: str) -> None:
    """Known fault 79: no key in an error."""
    with pytest.raises(Fault) as caught:
        auth_headers(KINDS["openai"], Secret(text), None)
    assert caught.value.kind is Kind.INVALID
    assert "hush" not in caught.value.sentence
