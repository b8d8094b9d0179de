"""A stream is cut when it is longer than asked for, and never when it only looks so."""

import pytest

from gateway.proxy.guard import SLACK, Guard


def test_a_quarter_and_a_little_more_are_allowed() -> None:
    guard = Guard(100)
    assert guard.most == 125 + SLACK
    assert not guard.passed_by(125 + SLACK)
    assert guard.passed_by(126 + SLACK)


def test_nobody_looks_while_little_has_come() -> None:
    guard = Guard(100)
    assert not any(guard.may_pass(5, pieces) for pieces in range(guard.most + 1))
    assert guard.may_pass(5, guard.most + 1)


def test_looks_become_rarer() -> None:
    """So that a stream that goes on for long is not counted anew with every event."""
    guard = Guard(100)
    looks = sum(guard.may_pass(200, pieces) for pieces in range(100_000))
    assert 10 < looks < 60


def test_stated_usage_makes_it_look_at_once() -> None:
    guard = Guard(1000)
    assert not guard.may_pass(10, 1)
    guard.look_again()
    assert guard.may_pass(10, 2)


@pytest.mark.parametrize(
    "word",
    ["four ", "Straßenbahn ", "\u0645\u0631\u062d\u0628\u0627 ", "\u4f60", "\u0e2a\u0e27\u0e31", "    ", "if (x) {\n"],
)
def test_a_stream_of_its_limit_does_not_look_long_in_any_language(word: str) -> None:
    """Even where every piece has several tokens, and a token as many characters as a word."""
    guard = Guard(400)
    assert not guard.looks_long(400, [word] * 400)
    assert not guard.looks_long(40, [word * 10] * 40)


def test_a_stream_of_many_times_its_limit_does() -> None:
    guard = Guard(100)
    assert guard.looks_long(guard.most + 1, [])
    assert guard.looks_long(3, ["abcd " * 1000])
