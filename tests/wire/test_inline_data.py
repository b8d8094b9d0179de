"""What is read of a body with pictures in it is what would be read of all of it."""

import orjson
import pytest

from gateway.core.errors import Fault
from gateway.wire.inline_data import LARGE, without_data
from gateway.wire.openai import read_request

PICTURE = "data:image/png;base64," + "iVBORw0KGgo" * 20_000
PARTS = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
BODY = {
    "model": "m",
    "messages": [{"role": "user", "content": PARTS * 3}],
    "stream": True,
    "user": "u",
    "metadata": {"a": "b"},
}


def test_the_data_is_left_out_and_all_else_stays() -> None:
    shortened = orjson.loads(without_data(orjson.dumps(BODY)))
    cut = [PARTS[0], {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}]
    assert shortened == {**BODY, "messages": [{"role": "user", "content": cut * 3}]}


def test_a_request_is_read_as_if_nothing_were_left_out() -> None:
    small = {**BODY, "messages": []}
    assert read_request(orjson.dumps(BODY)) == read_request(orjson.dumps(small))


@pytest.mark.parametrize(
    "text",
    [
        "x" * LARGE,  # no data at all
        "data:image/png;base64,short" + "x " * LARGE,  # data with an escape, see below
        'say "data:;base64," ' + "y" * LARGE,
        ";base64,",
    ],
)
def test_whatever_the_text_the_json_stays_json(text: str) -> None:
    body = orjson.dumps({"model": "m", "prompt": text + "\n", "stream": False})
    assert orjson.loads(without_data(body))["model"] == "m"
    assert orjson.loads(without_data(body)).keys() == orjson.loads(body).keys()


@pytest.mark.parametrize("end", [b"", b'"', b'"}', b'"]]'])
def test_a_broken_body_stays_broken(end: bytes) -> None:
    body = b'{"model": "m", "messages": [{"url": "data:image/png;base64,' + b"A" * LARGE + end
    with pytest.raises(Fault):
        read_request(body)


def test_an_escape_in_the_data_leaves_it_in() -> None:
    body = orjson.dumps({"model": "m", "prompt": 'a;base64,b"' + "x" * LARGE}) + b" "
    assert orjson.loads(without_data(body)) == orjson.loads(body)
