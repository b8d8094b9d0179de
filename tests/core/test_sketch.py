"""Sketches: quantiles within 1 %, merging without loss, bytes and back."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.sketch import RELATIVE_ERROR, Sketch

values = st.lists(st.floats(min_value=0, max_value=1e9, allow_subnormal=False), max_size=50)


def sketch_of(numbers: list[float]) -> Sketch:
    sketch = Sketch()
    sketch.add(numbers)
    return sketch


@given(values.filter(bool), st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_lies_within_one_percent(numbers: list[float], q: float) -> None:
    answer = sketch_of(numbers).quantile(q)
    true = sorted(numbers)[math.ceil(q * len(numbers)) - 1]
    assert answer == pytest.approx(true, rel=RELATIVE_ERROR * 1.000001, abs=1e-9)


def test_an_empty_sketch_knows_no_quantile() -> None:
    assert Sketch().quantile(0.5) is None
    assert Sketch().count == 0


@given(values, values)
def test_merging_is_counting_both(some: list[float], others: list[float]) -> None:
    merged = sketch_of(some)
    merged.merge(sketch_of(others))
    assert merged == sketch_of(some + others)
    assert merged.count == len(some) + len(others)


def test_merging_leaves_the_other_alone() -> None:
    one, other = Sketch(), sketch_of([1.0])
    one.merge(other)
    one.add([1.0])
    assert other.count == 1


@given(values)
def test_bytes_and_back(numbers: list[float]) -> None:
    sketch = sketch_of(numbers)
    assert Sketch.from_bytes(sketch.to_bytes()) == sketch


@given(values, values, st.randoms())
def test_the_same_counts_are_the_same_bytes(some: list[float], others: list[float], random: Random) -> None:
    """However they came together, so that what is rebuilt can be compared with what grew."""
    grown = Sketch.from_bytes(sketch_of(some).to_bytes())
    grown.merge(sketch_of(others))
    shuffled = some + others
    random.shuffle(shuffled)
    assert grown.to_bytes() == sketch_of(shuffled).to_bytes()


@given(st.floats(min_value=0, allow_nan=False, allow_infinity=True))
def test_every_value_has_a_bin_that_can_be_stored(value: float) -> None:
    assert Sketch.from_bytes(sketch_of([value]).to_bytes()).count == 1


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x01\x05\x00\x00\x00ab", b"\x09\x00\x00\x00\x00"])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        Sketch.from_bytes(data)
