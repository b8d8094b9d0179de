"""Buckets of usage: disjoint, and unknown is not zero."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.usage import (
    BILLED_BUCKETS,
    BUCKETS,
    NOTHING_KNOWN,
    NOTHING_USED,
    Basis,
    Usage,
    only_input,
    weakest,
)

COUNTS = st.none() | st.integers(min_value=0, max_value=10**9)
USAGES = st.builds(Usage, **dict.fromkeys(BUCKETS, COUNTS))


def test_unknown_is_null_and_zero_is_zero() -> None:
    """Known fault 13: unknown is null, not zero, everywhere."""
    assert set(NOTHING_KNOWN.as_dict().values()) == {None}
    assert NOTHING_KNOWN.counts() == {}
    assert NOTHING_KNOWN.prompt_tokens is None
    assert NOTHING_USED.prompt_tokens == 0
    assert NOTHING_USED.generated_tokens == 0


def test_sums_keep_unknown_apart_from_zero() -> None:
    total = Usage(input=3, output=None) + Usage(input=None, output=None, cache_read=0)
    assert total == Usage(input=3, cache_read=0)


def test_prompt_tokens_count_every_way_in() -> None:
    """Known fault 16: fresh, cached and written tokens are disjoint and sum to the prompt."""
    used = Usage(
        input=1, cache_read=2, cache_write_5m=4, cache_write_1h=8, cache_write=16, audio_in=32, image_in=64, output=999
    )
    assert used.prompt_tokens == 127


@given(USAGES, USAGES, USAGES)
def test_adding_is_associative_commutative_and_has_a_neutral_element(a: Usage, b: Usage, c: Usage) -> None:
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + NOTHING_KNOWN == a


def test_predictions_are_kept_and_not_billed() -> None:
    assert set(BUCKETS) - set(BILLED_BUCKETS) == {"prediction_accepted", "prediction_rejected"}


def test_the_weakest_basis_decides() -> None:
    assert weakest([Basis.PROVIDER, Basis.ESTIMATED]) is Basis.ESTIMATED
    assert weakest([Basis.PROVIDER, Basis.NONE, Basis.ESTIMATED]) is Basis.NONE
    assert weakest([]) is Basis.NONE


def test_only_input_forgets_what_was_generated() -> None:
    used = Usage(input=5, cache_read=1, output=7, reasoning=1, audio_out=2, image_out=3, web_searches=1)
    assert only_input(used) == Usage(input=5, cache_read=1, web_searches=1)
