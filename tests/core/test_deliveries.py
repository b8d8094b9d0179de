"""When a delivery is tried again."""

import pytest

from gateway.core.deliveries import pause


def test_pauses_double_to_an_hour_and_scatter() -> None:
    assert [pause(tries, None, 0.0) for tries in (1, 2, 3, 11, 12, 500)] == [1, 2, 4, 1024, 1800, 1800]
    assert [pause(tries, None, 1.0) for tries in (1, 2, 3, 11, 12, 500)] == [2, 4, 8, 2048, 3600, 3600]


@pytest.mark.parametrize(("asked", "given"), [(0.0, 1.0), (7.0, 7.0), (86400.0, 3600.0)])
def test_what_the_receiver_asked_for_holds_within_bounds(asked: float, given: float) -> None:
    assert pause(9, asked, 0.7) == given
