"""One field changes, every other byte stays."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.json_edit import LARGE, edited, inserting, replacing

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.text(max_size=8)
    | st.just("model")
    | st.just('"}{['),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.just("model"), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=5) | st.sampled_from(["model", "stream_options"]), VALUES, max_size=5)


def replace(body: bytes, key: str, value: bytes, likely: bytes = b"") -> bytes:
    return b"".join(edited(body, replacing(body, key, value, likely)))


def insert(body: bytes, key: str, value: bytes) -> bytes:
    return b"".join(edited(body, [inserting(body, {key: value})]))


@given(OBJECTS, VALUES, st.sampled_from([None, 2]), st.booleans())
def test_replaces_the_top_level_field_alone(
    fields: dict[str, object], new: object, indent: int | None, ascii: bool
) -> None:
    fields.setdefault("model", "a")
    body = json.dumps(fields, indent=indent, ensure_ascii=ascii).encode()
    changed = replace(body, "model", json.dumps(new).encode())
    assert json.loads(changed) == {**fields, "model": new}
    if isinstance(fields["model"], str):
        likely = json.dumps(fields["model"], ensure_ascii=ascii).encode()
        assert replace(body, "model", json.dumps(new).encode(), likely) == changed


@given(OBJECTS, VALUES, st.sampled_from([None, 2]))
def test_inserts_in_front(fields: dict[str, object], new: object, indent: int | None) -> None:
    fields.pop("wish", None)
    body = json.dumps(fields, indent=indent).encode()
    assert json.loads(insert(body, "wish", json.dumps(new).encode())) == {"wish": new, **fields}


def test_numbers_beyond_64_bits_spaces_and_order_survive() -> None:
    body = b'{ "seed" : 123456789012345678901234567890 , "model":"a" ,"x":1.0e+400, "y":[1.0 ,2] }'
    assert replace(body, "model", b'"bb"') == body.replace(b'"a"', b'"bb"')


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages":[{"content":"\\"model\\":\\"x\\""}],"model":"a"}',
        b'{"metadata":{"model":"inner"},"model":"a"}',
        b'{"messages":["model"],"model":"a","tools":[{"model":"inner"}]}',
    ],
)
def test_look_alikes_stay(body: bytes) -> None:
    changed = json.loads(replace(body, "model", b'"b"'))
    assert changed == {**json.loads(body), "model": "b"}


def test_a_field_given_twice_is_replaced_twice() -> None:
    assert replace(b'{"model":"a","x":1,"model":"b"}', "model", b'"c"') == b'{"model":"c","x":1,"model":"c"}'


def test_an_escaped_name_is_the_same_name() -> None:
    assert json.loads(replace(b'{"mod\\u0065l":"a"}', "model", b'"b"')) == {"model": "b"}


def test_an_empty_object_and_white_space() -> None:
    assert insert(b" { } ", "a", b"1") == b'{"a":1} '
    with pytest.raises(ValueError, match="not a JSON object"):
        insert(b"[1]", "a", b"1")


@given(OBJECTS, VALUES, VALUES, st.booleans())
def test_edits_of_several_fields_are_made_at_once(
    fields: dict[str, object], new: object, wish: object, large: bool
) -> None:
    fields = {"model": "a", **fields, "text": "x" * LARGE * large}
    fields.pop("wish", None)
    body = json.dumps(fields).encode()
    edits = replacing(body, "model", json.dumps(new).encode())
    edits.append(inserting(body, {"wish": json.dumps(wish).encode()}))
    pieces = edited(body, edits)
    assert (len(pieces) > 1) == large
    assert json.loads(b"".join(pieces)) == {"wish": wish, **fields, "model": new}


def test_a_large_body_is_edited_without_a_copy_of_it() -> None:
    body = b'{"model":"a","text":"' + b"x" * LARGE + b'"}'
    pieces = edited(body, replacing(body, "model", b'"b"', b'"a"'))
    views = [piece for piece in pieces if isinstance(piece, memoryview)]
    assert b"".join(pieces) == body.replace(b'"a"', b'"b"')
    assert [view.obj is body for view in views] == [True, True]
    assert sum(map(len, views)) == len(body) - len(b'"a"')


def test_without_edits_it_is_the_same_body() -> None:
    body = b'{"model":"a"}'
    assert edited(body, [])[0] is body


@pytest.mark.parametrize("noise", ['"', "\\\\", '\\"', "x"])
@pytest.mark.parametrize("inner", ["", ', "inner": {"model": "a"}', ', "mod\\u0065l": "a"'])
def test_a_large_body_is_searched_as_a_small_one_is(noise: str, inner: str) -> None:
    text = noise * LARGE if noise != '"' else '","' * LARGE
    body = f'{{"text": ["{text}"]{inner}, "model": "a"}}'.encode()
    expected = {**json.loads(body), "model": "b"}
    assert json.loads(replace(body, "model", b'"b"', b'"a"')) == expected
    assert json.loads(replace(body, "model", b'"b"')) == expected
