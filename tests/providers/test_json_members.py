"""Members of a JSON object with their texts, held against the standard reader."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.json_members import members

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
LAYOUTS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", "\r\n: ")])


@given(st.dictionaries(st.text(), VALUES, max_size=5), st.none() | st.integers(0, 4), LAYOUTS, st.booleans())
def test_each_has_its_value_and_the_text_of_it(
    whole: dict[str, object], indent: int | None, layout: tuple[str, str], ascii_alone: bool
) -> None:
    text = json.dumps(whole, indent=indent, separators=layout, ensure_ascii=ascii_alone)
    found = list(members(f" \n{text}\t"))
    assert {key: value for key, value, _ in found} == whole
    assert [json.loads(value_text) for _, _, value_text in found] == list(whole.values())
    assert all(value_text == value_text.strip() for _, _, value_text in found)


def test_two_members_with_one_name_are_both_told() -> None:
    assert [value for _, value, _ in members('{"a": 1, "a": 2}')] == [1, 2]


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "null", "[]", '"a"', "1", "{", "{,}", "{}}", "{} {}", "{}x"),
        *('{"a"}', '{"a":}', '{"a" 1}', '{"a":1', '{"a":1,}', '{"a":1 "b":2}', '{"a":1}x', '{1:2}', "{'a':1}"),
        *('{"a:1}', '{"a":1,"b"', '{"a":01}', '{"a":[1}', '{"a":1]', '\ufeff{}', '\u00a0{}'),
    ],
)  # fmt: skip
def test_what_is_no_object_is_refused_as_the_standard_reader_does(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        list(members(text))
    with pytest.raises((ValueError, AssertionError)):
        assert isinstance(json.loads(text), dict)


def test_what_is_nested_too_deeply_is_an_error_that_can_be_caught() -> None:
    with pytest.raises(RecursionError):
        list(members('{"a": ' + "[" * 200_000))
