"""Rules for plain values."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings import rules
from gateway.settings.problems import Origin, Report, Wrong
from gateway.settings.schema import Rule
from gateway.settings.source import Content, Node


def value(rule: Rule[Any], content: Content) -> Any:
    return rule.read(Node(("x",), Origin("f", 1, Path("/etc")), content), Report())


def refusal(rule: Rule[Any], content: Content) -> str:
    with pytest.raises(Wrong) as caught:
        value(rule, content)
    return f"{caught.value.message}; {caught.value.hint}"


DURATION = rules.duration("10ms", "60d")
SIZE = rules.size("1B", "1TiB")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("30s", 30.0), ("5m", 300.0), ("1h", 3600.0), ("30d", 2592000.0), ("1.5s", 1.5)],
)
def test_a_duration_is_in_seconds(text: str, seconds: float) -> None:
    assert value(DURATION, text) == seconds


@pytest.mark.parametrize("text", ["30", "30 s", "-1s", "1h30m", "s", "1w", "1S", "0x1s", "1e3s", "٣s", "", "inf"])
def test_a_duration_without_its_unit_is_refused(text: str) -> None:
    assert "is not a duration; write it like 250ms" in refusal(DURATION, text)


@pytest.mark.parametrize("text", ["9ms", "0s", "61d"])
def test_an_absurd_duration_is_refused(text: str) -> None:
    assert f"must be from 10ms to 60d, and {text} is not" in refusal(DURATION, text)


@pytest.mark.parametrize(
    ("text", "count"),
    [("512B", 512), ("8KB", 8000), ("256MiB", 256 * 2**20), ("1.5KiB", 1536), ("1GB", 10**9), ("1TiB", 2**40)],
)
def test_a_size_is_in_bytes(text: str, count: int) -> None:
    assert value(SIZE, text) == count


@pytest.mark.parametrize("text", ["8", "8mb", "8 MB", "-1B", "1XB", "MB", "1PiB"])
def test_a_size_without_its_unit_is_refused(text: str) -> None:
    assert "is not a size" in refusal(SIZE, text)


@pytest.mark.parametrize(
    ("text", "said"), [("0B", "must be from"), ("2TiB", "must be from"), ("1.3B", "whole number of bytes")]
)
def test_an_absurd_size_is_refused(text: str, said: str) -> None:
    assert said in refusal(SIZE, text)


@given(st.decimals(min_value=0, max_value=10**6, allow_nan=False, places=12))
def test_money_is_the_decimal_that_was_written(amount: Decimal) -> None:
    read = value(rules.money("1000000"), f"{amount:f}")
    assert read == amount
    assert isinstance(read, Decimal)


def test_money_never_passes_through_a_binary_fraction() -> None:
    assert str(value(rules.money("1"), "0.05")) == "0.05"
    assert value(rules.money("1"), "5e-8") == Decimal("0.00000005")
    assert str(value(rules.money("1"), "-0")) == "0"


@pytest.mark.parametrize(
    "text", ["-0.05", "$5", "5 USD", "1,50", "nan", "inf", "1e999", "0x1", "٣", "", "1_000", "1.", ".5", "1000001"]
)
def test_what_is_no_price_is_refused(text: str) -> None:
    assert refusal(rules.money("1000000"), text)


@pytest.mark.parametrize("text", ["3.0", "1e1", "0x3", " 3", "three", "1_0", "٣", ""])
def test_a_number_that_is_not_whole_is_refused(text: str) -> None:
    assert "is not a whole number" in refusal(rules.integer(0, 9), text)


@pytest.mark.parametrize("text", ["-1", "10", "999999999999999999"])
def test_a_number_out_of_bounds_is_refused(text: str) -> None:
    assert "must be from 0 to 9" in refusal(rules.integer(0, 9), text)


def test_a_share_is_a_proportion() -> None:
    assert value(rules.share("1"), "0.25") == 0.25
    assert "must be from 0 to 1" in refusal(rules.share("1"), "1.1")
    assert "must be from 0 to 1" in refusal(rules.share("1"), "-0.1")


def test_a_word_is_one_of_some() -> None:
    rule = rules.choice("ordered", "random", later={"weighted": "weights are"})
    assert value(rule, "ordered") == "ordered"
    assert refusal(rule, "weighted").startswith("weights are not in this version")
    assert "did you mean `ordered`?" in refusal(rule, "orderd")
    assert "is not one of `ordered` or `random`" in refusal(rule, "Ordered!")


@pytest.mark.parametrize("text", ["true", "True", "TRUE"])
def test_only_true_is_true(text: str) -> None:
    assert value(rules.only_true, text) is True


@pytest.mark.parametrize("text", ["false", "yes", "on", "1"])
def test_what_is_not_true_is_left_out_instead(text: str) -> None:
    assert "can only be true" in refusal(rules.only_true, text)


def test_a_moment_has_its_zone() -> None:
    assert value(rules.moment, "2027-01-31T01:00:00+01:00") == datetime(2027, 1, 31, tzinfo=UTC)
    assert value(rules.moment, "2027-01-31T00:00:00Z") == datetime(2027, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "said"), [("2027-01-31", "no time zone"), ("2027-01-31T00:00:00", "no time zone"), ("soon", "not a time")]
)
def test_a_moment_without_its_zone_is_refused(text: str, said: str) -> None:
    assert said in refusal(rules.moment, text)


@pytest.mark.parametrize("text", ["", " a", "a\nb", "x" * 201])
def test_a_line_of_text_is_one_line(text: str) -> None:
    assert refusal(rules.line_of_text, text)
    assert value(rules.line_of_text, "Team Ä 1") == "Team Ä 1"


def test_a_path_is_absolute() -> None:
    assert value(rules.path, "data") == Path("/etc/data")


@pytest.mark.parametrize(("content", "said"), [((), "not a list"), ({}, "not a mapping"), (None, "has no value")])
def test_one_value_is_neither_list_nor_mapping_nor_nothing(content: Content, said: str) -> None:
    assert said in refusal(DURATION, content)


def test_a_long_value_is_cut_short_in_a_message() -> None:
    assert len(refusal(rules.integer(0, 9), "x" * 5000)) < 200
