"""What a call looks like as bytes, and how it is found again."""

import json
from dataclasses import fields, replace
from math import nan
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.accounts import MOST, Account
from gateway.core.calls import Attempt, AttemptOpened, CallFacts, CallRecord, Charge, End, Timings
from gateway.core.usage import Basis, Usage
from gateway.storage import frames
from gateway.storage.frames import (
    CLOSING,
    FRAME_MAX,
    MAX_ATTEMPTS,
    OPENING,
    OPENING_MAX,
    VERSION,
    Unreadable,
    closing_room,
    decode_closing,
    decode_opening,
    encode_closing,
    encode_opening,
    frames_in,
)
from tests.storage import samples
from tests.storage.samples import a_record, an_opening, with_accounts, with_texts

# Written by the first release. Every later one that replays version 1 must read them as below.
OPENING_V1 = (
    '[["c1",1,"/v1/embeddings",null,"ci",null,{"a":"b"},null,null,"m",false],0,"openai/m","openai",2,"book",3,"0.15",0]'
)
CLOSING_V1 = (
    '[["c1",1,"/v1/embeddings",null,"ci",null,{"a":"b"},null,null,"m",false],"completed",200,null,'
    '[[0,"openai/m","openai","completed",2,200,null,1.5,[7,null,null,null,null,null,null,null,null,null,null,null,null,'
    'null],"provider",null,"{}",70,null,null,null,"book","req",[[0,"input",7,"0.01",70]]]],'
    '[0.1,null,null,null,1.5,null,null,null,null],"off",9]'
)
FACTS_V1 = CallFacts("c1", 1, "/v1/embeddings", key="ci", labels={"a": "b"}, model="m")


@given(samples.records)
def test_every_field_of_a_record_comes_back(record: CallRecord) -> None:
    (frame,) = frames_in(encode_closing(record, FRAME_MAX))
    assert (frame.version, frame.kind) == (VERSION, CLOSING)
    assert decode_closing(frame.payload) == record
    assert frames.call_id(frame.payload) == record.facts.id


@given(samples.openings)
def test_every_field_of_an_opening_comes_back(opened: AttemptOpened) -> None:
    (frame,) = frames_in(encode_opening(opened))
    assert (frame.version, frame.kind) == (VERSION, OPENING)
    assert decode_opening(frame.payload) == opened
    assert frames.call_id(frame.payload) == opened.call.id


def test_labels_may_be_any_mapping() -> None:
    record = a_record()
    proxied = replace(record, facts=replace(record.facts, labels=MappingProxyType({"a": "b"})))
    (frame,) = frames_in(encode_closing(proxied, FRAME_MAX))
    assert decode_closing(frame.payload).facts.labels == {"a": "b"}


def test_a_number_that_is_none_is_unknown() -> None:
    (frame,) = frames_in(encode_closing(replace(a_record(), timings=Timings(ttft_ms=nan)), FRAME_MAX))
    assert decode_closing(frame.payload).timings.ttft_ms is None


def test_frames_of_version_1_are_read() -> None:
    assert decode_opening(OPENING_V1.encode()) == AttemptOpened(FACTS_V1, 0, "openai/m", "openai", 2, "book", 3, "0.15")
    charge = Charge(0, "input", 7, "0.01", 70)
    attempt = Attempt(
        0, "openai/m", "openai", End.COMPLETED, 2, 200, None, 1.5, Usage(input=7), Basis.PROVIDER,
        raw_usage="{}", cost_nano=70, price_book="book", upstream_request_id="req", charges=(charge,),
    )  # fmt: skip
    timings = Timings(overhead_ms=0.1, duration_ms=1.5)
    expected = CallRecord(FACTS_V1, End.COMPLETED, 200, None, (attempt,), timings, "off", 9)
    assert decode_closing(CLOSING_V1.encode()) == expected


def test_the_order_of_fields_is_the_format() -> None:
    """Whoever changes one of these lists other than at its end, with a default, needs another frame version."""
    kinds = (CallFacts, AttemptOpened, Attempt)
    assert Account._fields == ("budget", "subject", "window_start_us")
    order = {of.__name__: " ".join(field.name for field in fields(of)) for of in kinds}
    assert order == {
        "CallFacts": "id started_us path key_id key team labels session end_user model stream",
        "AttemptOpened": "call index target provider started_us price_book estimated_input input_usd_per_million "
        "hold_nano held_in seen_by",
        "Attempt": "index target provider end started_us status error duration_ms usage usage_basis tokenizer "
        "raw_usage cost_nano cost_at_least_nano provider_cost_nano unpriced_because price_book upstream_request_id "
        "charges price_conditions hold_nano reserve_nano held_in seen_by",
    }
    rest = [" ".join(field.name for field in fields(of)) for of in (Usage, Charge, Timings, CallRecord)]
    assert rest == [
        "input cache_read cache_write_5m cache_write_1h cache_write output reasoning audio_in audio_out image_in "
        "image_out web_searches prediction_accepted prediction_rejected",
        "attempt bucket quantity usd_per_million amount_nano",
        "overhead_ms connect_ms ttft_ms first_reasoning_ms duration_ms itl_p50_ms itl_p95_ms itl_max_ms "
        "output_tokens_per_second",
        "facts end status error attempts timings cache ended_us accounts limit_lowered_to downgraded_from",
    ]


@pytest.mark.parametrize("text", ["x" * 70_000, "\x00" * 20_000, "€" * 20_000, "\ud800" * 20_000])
@pytest.mark.parametrize("attempts", [0, 1, 3, MAX_ATTEMPTS])
def test_a_closing_frame_fits_its_room_whatever_others_wrote(text: str, attempts: int) -> None:
    record = with_texts(a_record(attempts=attempts), text)
    frame = encode_closing(record, closing_room(attempts))
    assert len(frame) <= closing_room(attempts) <= FRAME_MAX
    (found,) = frames_in(frame)
    read = decode_closing(found.payload)
    assert (read.facts.id, read.end, read.status, read.ended_us) == (
        record.facts.id, record.end, record.status, record.ended_us,
    )  # fmt: skip
    assert [a.charges for a in read.attempts] == [a.charges for a in record.attempts]
    assert [a.usage for a in read.attempts] == [a.usage for a in record.attempts]
    assert read.cost_nano == record.cost_nano


@pytest.mark.parametrize("text", ["x" * 100_000, "\x00" * 100_000])
def test_an_opening_frame_is_bounded(text: str) -> None:
    record = with_texts(a_record(), text)
    opened = replace(an_opening(), call=record.facts, target=text, provider=text, price_book=text)
    frame = encode_opening(opened)
    assert len(frame) <= OPENING_MAX
    (found,) = frames_in(frame)
    assert decode_opening(found.payload).call.id == opened.call.id


@pytest.mark.parametrize("attempts", [1, MAX_ATTEMPTS])
def test_accounts_are_kept_whole_whatever_others_wrote(attempts: int) -> None:
    """What a budget is charged must never be clipped."""
    record = with_accounts(with_texts(a_record(attempts=attempts), "\x00" * 20_000))
    room = closing_room(attempts, MOST)
    assert room <= FRAME_MAX
    (found,) = frames_in(encode_closing(record, room))
    read = decode_closing(found.payload)
    assert read.accounts == record.accounts
    assert [(a.held_in, a.reserve_nano) for a in read.attempts] == [(tuple(range(MOST)), 2**62)] * attempts
    opened = replace(an_opening(), call=record.facts, held_in=record.accounts[:20], seen_by=record.accounts[20:])
    (found,) = frames_in(encode_opening(opened))
    assert decode_opening(found.payload).held_in == record.accounts[:20]
    assert decode_opening(found.payload).seen_by == record.accounts[20:]


def test_a_usage_object_too_long_to_keep_says_so() -> None:
    record = a_record()
    long = replace(record, attempts=(replace(record.attempts[0], raw_usage='{"a":"' + "b" * 20_000 + '"}'),))
    (found,) = frames_in(encode_closing(long, closing_room(1)))
    read = decode_closing(found.payload)
    raw = read.attempts[0].raw_usage
    assert raw is not None
    assert json.loads(raw) == {"too_long": 20_008}
    assert replace(read, attempts=record.attempts) == record, "nothing else was clipped"


def test_what_cannot_be_made_to_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode_closing(a_record(attempts=40), closing_room(1))


@given(st.lists(st.binary(max_size=40), min_size=4, max_size=4))
def test_frames_are_found_between_any_bytes(between: list[bytes]) -> None:
    wanted = [encode_opening(an_opening(f"c{number}")) for number in range(3)]
    data = between[0] + b"".join(frame + junk for frame, junk in zip(wanted, between[1:], strict=True))
    assert [data[frame.start : frame.end] for frame in frames_in(data)] == wanted


@given(st.data())
def test_one_flipped_bit_is_noticed_wherever_it_is(data: st.DataObject) -> None:
    whole = encode_closing(a_record(), FRAME_MAX)
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    broken = bytearray(whole)
    broken[bit // 8] ^= 1 << bit % 8
    behind = encode_opening(an_opening())
    assert [frame.payload for frame in frames_in(bytes(broken) + behind)] == [
        frame.payload for frame in frames_in(behind)
    ]


def test_zeros_behind_a_magic_are_no_frame() -> None:
    """A frame cut off behind its magic lies in front of room that was never written."""
    assert list(frames_in(frames.MAGIC + bytes(100))) == []


@given(st.binary() | samples.records.map(lambda record: encode_closing(record, FRAME_MAX)[:-3]))
def test_no_bytes_make_the_search_fail(data: bytes) -> None:
    assert list(frames_in(data)) == []


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"{}", b"null", b"[[1,2,3]]", b'["x"]', b" [", CLOSING_V1[:-1].encode()]
)
def test_a_payload_without_sense_is_unreadable(payload: bytes) -> None:
    with pytest.raises(Unreadable):
        decode_closing(payload)
    with pytest.raises(Unreadable):
        decode_opening(payload)
