"""Values: equal by content, usable as keys, changed only by making others."""

from dataclasses import replace

from gateway.core.routing import Retries
from gateway.core.usage import Usage
from gateway.core.value import value


@value(frozen=True)
class Pair:
    left: int
    right: int = 2


def test_equal_by_content_and_hashable() -> None:
    assert Pair(1) == Pair(1, 2)
    assert len({Pair(1), Pair(1), Pair(2)}) == 2
    assert repr(Pair(1)).endswith("Pair(left=1, right=2)")


def test_grows_by_replacement() -> None:
    first = Usage(input=1)
    assert replace(first, output=2) == Usage(input=1, output=2)
    assert first.output is None
    assert replace(Retries(), attempts=1).attempts == 1


def test_has_no_room_for_other_fields() -> None:
    assert not hasattr(Pair(1), "__dict__")
