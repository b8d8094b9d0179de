"""What a call must be to go on: its body, its labels, its model."""

import gzip
import json
import random
import zlib
from dataclasses import replace

import pytest

from gateway.core.errors import Fault, Kind
from gateway.core.keys import Key, digest
from gateway.proxy.admit import inflate, tags
from tests.proxy.rig import SECRET, chat, header, rig, whole

KEY = Key("k1", "ci", "tk-sec", digest(SECRET), 0, "platform", models=("fast", "a/*"), labels={"env": "prod"})


@pytest.mark.anyio
async def test_labels_come_from_tags_metadata_and_last_from_the_key() -> None:
    """Known fault 39: what a client states is a label, and a key's own labels win."""
    made = rig(whole(), key=KEY)
    body = chat(metadata={"feature": "a", "env": "dev"}, user="u1")
    await made.call(body, {"x-tollkeeper-tags": "feature=search, x=1", "x-tollkeeper-session": "s1"})
    facts = made.record.facts
    assert facts.labels == {"feature": "search", "x": "1", "env": "prod"}
    assert (facts.session, facts.end_user, facts.key, facts.team) == ("s1", "u1", "ci", "platform")


@pytest.mark.parametrize(
    ("required", "headers", "missing"),
    [
        (("feature",), {"x-tollkeeper-tags": "feature=search"}, None),
        (("feature",), {"x-tollkeeper-tags": "feature="}, "feature"),
        (("feature",), {}, "feature"),
        (("env",), {}, None),  # the key's own
        (("session",), {"x-tollkeeper-session": "s1"}, None),
        (("session",), {"x-tollkeeper-tags": "session=s1"}, "session"),
        (("end_user",), {}, "end_user"),
    ],
)
@pytest.mark.anyio
async def test_a_key_may_require_labels(
    required: tuple[str, ...], headers: dict[str, str], missing: str | None
) -> None:
    """Known fault 39: a budget on a client's label binds only calls that carry it; without, a call could escape it."""
    made = rig(whole(), key=replace(KEY, models=None, required_labels=required))
    reply = await made.call(chat(), headers)
    assert reply.status == (200 if missing is None else 400)
    if missing is not None:
        assert (header(reply, "x-should-retry"), made.record.end) == ("false", "refused")
        error = json.loads(reply.body)["error"]
        assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_request")
        assert f"calls with the key ci must carry {missing}" in error["message"]
        assert "send " in error["message"]


@pytest.mark.parametrize(("model", "status"), [("a/m", 200), ("b/m", 403), ("gpt", 403)])
@pytest.mark.anyio
async def test_a_key_s_list_of_models_binds(model: str, status: int) -> None:
    made = rig(whole(), key=KEY)
    assert (await made.call(chat(model))).status == status
    assert (made.record.end == "completed") == (status == 200)


@pytest.mark.parametrize("name", ["x-tollkeeper-cache", "x-tollkeeper-cache-ttl"])
@pytest.mark.anyio
async def test_what_comes_later_is_refused_not_ignored(name: str) -> None:
    made = rig()
    reply = await made.call(chat(), {name: "1"})
    assert (reply.status, header(reply, "x-should-retry")) == (501, "false")
    assert b"not in this version" in reply.body
    assert made.record.end == "refused"


@pytest.mark.anyio
async def test_a_call_that_went_in_a_circle_is_stopped() -> None:
    made = rig()
    assert (await made.call(chat(), {"x-tollkeeper-hop": "1"})).status == 508
    assert made.record.attempts == ()


def test_tags_as_labels() -> None:
    assert tags(" a=1 ,, b = x=y ") == {"a": "1", "b": "x=y"}
    assert tags("") == {}
    for bad in ("a", "=1", ",".join(f"k{i}=v" for i in range(40))):
        with pytest.raises(Fault) as refused:
            tags(bad)
        assert refused.value.kind is Kind.INVALID


@pytest.mark.anyio
@pytest.mark.parametrize("coding", ["gzip", "GZIP", "deflate", "identity", ""])
async def test_compressed_bodies_are_read(coding: str) -> None:
    clear = chat() * 3
    packed = {"gzip": gzip.compress(clear), "deflate": zlib.compress(clear)}.get(coding.lower(), clear)
    assert await inflate(packed, coding, 10_000) == clear


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "coding", "kind"),
    [
        (gzip.compress(b"x" * 2000), "gzip", Kind.TOO_LARGE),
        (gzip.compress(b"x" * 500)[:-12], "gzip", Kind.INVALID),
        (b"no gzip at all", "gzip", Kind.INVALID),
        (b"x", "br", Kind.INVALID),
    ],
)
async def test_a_packed_body_can_be_bad_in_many_ways(body: bytes, coding: str, kind: Kind) -> None:
    with pytest.raises(Fault) as refused:
        await inflate(body, coding, 1000)
    assert refused.value.kind is kind


@pytest.mark.anyio
async def test_a_large_packed_body_leaves_the_event_loop_free() -> None:
    clear = random.Random(1).randbytes(600_000)
    assert await inflate(gzip.compress(clear), "gzip", 1_000_000) == clear
