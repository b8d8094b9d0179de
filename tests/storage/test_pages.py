"""Pages and their cursors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Fault, Kind
from gateway.storage.pages import cut_page, read_cursor, write_cursor


@given(st.lists(st.integers(0, 10**18 - 1), min_size=1, max_size=3))
def test_a_cursor_comes_back_as_it_was(position: list[int]) -> None:
    assert list(read_cursor(write_cursor(*position), len(position))) == position


@pytest.mark.parametrize(
    "cursor", ["", "1", "1.2.3", "x.y", "-1.2", "1.", "1.²", "1;DROP TABLE calls", "1." + "9" * 19]
)
def test_any_other_text_is_refused(cursor: str) -> None:
    """Known fault 76: what a client sends is checked, never part of a statement."""
    with pytest.raises(Fault) as refusal:
        read_cursor(cursor, 2)
    assert (refusal.value.kind, refusal.value.param) == (Kind.INVALID, "cursor")


def test_one_row_more_than_asked_for_means_that_there_is_more() -> None:
    assert cut_page([1, 2, 3], 2) == ([1, 2], True)
    assert cut_page([1, 2], 2) == ([1, 2], False)
    assert cut_page([], 2) == ([], False)
