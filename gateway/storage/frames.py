"""Frames of the journal: what an opening and a closing look like as bytes, and how they are found again in damage.

    magic (4) | version (1) | kind (1) | length of payload (4) | crc32 (4) | payload

The checksum is that of the payload, begun with version, kind and length instead of 0, so that it holds for them too.
The magic is not UTF-8 and a payload of ours is, so no payload can pass for the head of a frame: after damage, the
next magic whose checksum holds is the next frame. The payload is JSON, the fields of the core's dataclasses in their
order. A field may be added at the end of a dataclass if it has a default; every other change is a new `VERSION`.

Knows nothing of files.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, NamedTuple, TypeAlias, TypeVar
from zlib import crc32

import orjson

from gateway.core.accounts import ACCOUNT_MAX, Account
from gateway.core.calls import Attempt, AttemptOpened, CallFacts, CallRecord, Charge, End, Timings
from gateway.core.usage import Basis, Usage

VERSION = 1
KNOWN_VERSIONS = frozenset({VERSION})
"""What this release replays. Frames of any other version are left to a release that knows them."""

MAGIC = b"\xf7TK\xfe"
OPENING = b"o"
CLOSING = b"c"

FRAME_MAX = 64 * 1024
"""Bytes; no frame is longer."""
OPENING_MAX = 4 * 1024
"""Bytes; no opening frame is longer, but for its accounts."""
MAX_ATTEMPTS = 11
"""Of one call: its closing frame fits `FRAME_MAX`."""

_HEADER = struct.Struct(">4sBcII")

_OF_CALL = 4 * 1024
_OF_ATTEMPT = 4 * 1024
_CLIPS = (1024, 256, 64, 16)
"""Bytes that an over-long frame leaves to each of its texts, tried in turn. JSON writes a byte as six at most, so at
the last of them every field of a call fits `_OF_CALL` and every field of an attempt `_OF_ATTEMPT`."""

_Values: TypeAlias = tuple[object, ...]
_Clipped = TypeVar("_Clipped", CallFacts, AttemptOpened, Attempt, CallRecord)


def closing_room(attempts: int, accounts: int = 0) -> int:
    """Bytes that the closing frame of a call with so many attempts and accounts may take, at most."""
    return _OF_CALL + _OF_ATTEMPT * attempts + ACCOUNT_MAX * accounts


class Frame(NamedTuple):
    """A frame whose checksum holds, and where it lies in the bytes that were searched."""

    start: int
    end: int
    version: int
    kind: bytes
    payload: bytes


class Unreadable(ValueError):
    """The checksum of a frame holds, yet this release cannot make sense of it."""


_OPENED = len(fields(AttemptOpened)) - len(("call", "held_in", "seen_by"))
_NAMES = [field.name for field in fields(Attempt)]
_AT_END, _AT_USAGE, _AT_BASIS, _AT_CHARGES = (_NAMES.index(n) for n in ("end", "usage", "usage_basis", "charges"))
_AT_HELD_IN, _AT_SEEN_BY = (_NAMES.index(n) for n in ("held_in", "seen_by"))


# --- bytes from values ----------------------------------------------------------------------------------------------


def encode_opening(opened: AttemptOpened) -> bytes:
    """The frame of an attempt's begin, of `OPENING_MAX` bytes at most, and what its accounts take; over-long texts are
    clipped."""
    room = OPENING_MAX + ACCOUNT_MAX * (len(opened.held_in) + len(opened.seen_by))
    frame = _opening_frame(opened)
    for limit in _CLIPS:
        if len(frame) <= room:
            break
        call = _clipped_facts(opened.call, limit)
        frame = _opening_frame(_clipped(replace(opened, call=call), limit, "target", "provider", "price_book"))
    return _within(frame, room)


def encode_closing(record: CallRecord, room: int) -> bytes:
    """The frame of a call's end, of `room` bytes at most; over-long texts are clipped.

    A provider's usage object that is too long becomes `{"too_long": its length}`: half a JSON object is none.
    """
    return encode_and_keep(record, room)[0]


def encode_and_keep(record: CallRecord, room: int) -> tuple[bytes, CallRecord]:
    """As `encode_closing`, and the record as the frame has it."""
    kept = record
    frame = _closing_frame(kept)
    for limit in _CLIPS:
        if len(frame) <= room:
            break
        kept = _clipped_record(record, limit)
        frame = _closing_frame(kept)
    return _within(frame, room), kept


# Fields by name and in order, not by a getter of all: that takes five times as long, and every call is written twice.


def _opening_frame(opened: AttemptOpened) -> bytes:
    values = (
        _facts(opened.call),
        opened.index,
        opened.target,
        opened.provider,
        opened.started_us,
        opened.price_book,
        opened.estimated_input,
        opened.input_usd_per_million,
        opened.hold_nano,
        _accounts(opened.held_in),
        _accounts(opened.seen_by),
    )
    return _frame(OPENING, values)


def _closing_frame(record: CallRecord) -> bytes:
    attempts = record.attempts
    rows = (_attempt(attempts[0]),) if len(attempts) == 1 else [_attempt(attempt) for attempt in attempts]
    values = (
        _facts(record.facts),
        record.end,
        record.status,
        record.error,
        rows,
        _timings(record.timings),
        record.cache,
        record.ended_us,
        _accounts(record.accounts),
        record.limit_lowered_to,
        record.downgraded_from,
    )
    return _frame(CLOSING, values)


def _facts(facts: CallFacts) -> _Values:
    return (
        facts.id,
        facts.started_us,
        facts.path,
        facts.key_id,
        facts.key,
        facts.team,
        facts.labels,
        facts.session,
        facts.end_user,
        facts.model,
        facts.stream,
    )


def _timings(timings: Timings) -> _Values:
    return (
        timings.overhead_ms,
        timings.connect_ms,
        timings.ttft_ms,
        timings.first_reasoning_ms,
        timings.duration_ms,
        timings.itl_p50_ms,
        timings.itl_p95_ms,
        timings.itl_max_ms,
        timings.output_tokens_per_second,
    )


def _attempt(attempt: Attempt) -> _Values:
    return (
        attempt.index,
        attempt.target,
        attempt.provider,
        attempt.end,
        attempt.started_us,
        attempt.status,
        attempt.error,
        attempt.duration_ms,
        attempt.usage.values(),
        attempt.usage_basis,
        attempt.tokenizer,
        attempt.raw_usage,
        attempt.cost_nano,
        attempt.cost_at_least_nano,
        attempt.provider_cost_nano,
        attempt.unpriced_because,
        attempt.price_book,
        attempt.upstream_request_id,
        tuple(map(_charge, attempt.charges)),
        attempt.price_conditions,
        attempt.hold_nano,
        attempt.reserve_nano,
        attempt.held_in,
        attempt.seen_by,
    )


_written: dict[int, tuple[tuple[Account, ...], orjson.Fragment]] = {}
"""Accounts as they are written, by their identity: calls that are counted alike share them."""
_WRITTEN = 1000


def _accounts(accounts: tuple[Account, ...]) -> object:
    if not accounts:
        return ()
    known = _written.get(id(accounts))
    if known is None:
        rows = [(account.budget, account.subject, account.window_start_us) for account in accounts]
        try:
            written = orjson.Fragment(orjson.dumps(rows))
        except TypeError:
            return rows
        if len(_written) >= _WRITTEN:
            _written.clear()
        # Kept with them, so that no others come to have their identity.
        known = _written[id(accounts)] = (accounts, written)
    return known[1]


def _charge(charge: Charge) -> _Values:
    return (charge.attempt, charge.bucket, charge.quantity, charge.usd_per_million, charge.amount_nano)


def _frame(kind: bytes, values: _Values) -> bytes:
    try:
        payload = orjson.dumps(values, dict)
    except TypeError:
        # A lone surrogate or an integer beyond 64 bits, both out of somebody else's JSON: the standard library keeps
        # them exactly. The blank in front, which JSON allows, tells the reader to use it too.
        payload = b" " + json.dumps(values, default=_plain, separators=(",", ":")).encode()
    length = len(payload)
    return _HEADER.pack(MAGIC, VERSION, kind, length, crc32(payload, _seed(VERSION, kind, length))) + payload


def _plain(value: Any) -> object:
    """What only orjson writes by itself, as the standard library can."""
    return orjson.loads(orjson.dumps(value)) if isinstance(value, orjson.Fragment) else dict(value)


def _seed(version: int, kind: bytes, length: int) -> int:
    return version << 24 ^ kind[0] << 16 ^ length


def _within(frame: bytes, room: int) -> bytes:
    if len(frame) > min(room, FRAME_MAX):
        raise ValueError(f"a frame of {len(frame)} bytes, its texts clipped, does not fit {min(room, FRAME_MAX)}")
    return frame


def _clipped_record(record: CallRecord, limit: int) -> CallRecord:
    attempts = tuple(_clipped_attempt(attempt, limit) for attempt in record.attempts)
    facts = _clipped_facts(record.facts, limit)
    return _clipped(replace(record, facts=facts, attempts=attempts), limit, "error", "cache", "downgraded_from")


def _clipped_facts(facts: CallFacts, limit: int) -> CallFacts:
    labels = dict(list(facts.labels.items())[: limit // 4])
    short = replace(facts, labels={_clip(name, limit): _clip(value, limit) for name, value in labels.items()})
    return _clipped(short, limit, "path", "key_id", "key", "team", "session", "end_user", "model")


def _clipped_attempt(attempt: Attempt, limit: int) -> Attempt:
    raw = attempt.raw_usage
    if raw is not None and len(raw) > limit:
        raw = f'{{"too_long": {len(raw)}}}'
    names = ("target", "provider", "error", "tokenizer", "unpriced_because", "price_book", "upstream_request_id")
    return _clipped(replace(attempt, raw_usage=raw), limit, *names)


def _clipped(value: _Clipped, limit: int, *names: str) -> _Clipped:
    texts: dict[str, Any] = {name: _clip(text, limit) for name in names if (text := getattr(value, name)) is not None}
    return replace(value, **texts)


def _clip(text: str, limit: int) -> str:
    whole = text.encode(errors="surrogatepass")
    return text if len(whole) <= limit else whole[: limit - 3].decode(errors="ignore") + "…"


# --- values from bytes ----------------------------------------------------------------------------------------------


def frames_in(data: bytes) -> Iterator[Frame]:
    """Every whole frame in these bytes whose checksum holds, in order, whatever lies between them."""
    position = data.find(MAGIC)
    while position >= 0:
        frame = _frame_at(data, position)
        if frame is not None:
            yield frame
        position = data.find(MAGIC, frame.end if frame else position + 1)


def _frame_at(data: bytes, start: int) -> Frame | None:
    body = start + _HEADER.size
    if body > len(data):
        return None
    _, version, kind, length, checksum = _HEADER.unpack_from(data, start)
    end = body + length
    # Of no payload at all the checksum is what it began with: zeros behind a magic would pass for a frame.
    if not length or end > len(data) or end - start > FRAME_MAX:
        return None
    payload = data[body:end]
    if crc32(payload, _seed(version, kind, length)) != checksum:
        return None
    return Frame(start, end, version, kind, payload)


def decode_opening(payload: bytes) -> AttemptOpened:
    """Raises `Unreadable`."""
    try:
        call, *rest = _load(payload)
        plain, accounts = rest[:_OPENED], rest[_OPENED:]
        return AttemptOpened(CallFacts(*call), *plain, *(_accounts_of(each) for each in accounts))
    except (ValueError, TypeError) as error:
        raise Unreadable(f"not an opening frame: {error}") from error


def decode_closing(payload: bytes) -> CallRecord:
    """Raises `Unreadable`."""
    try:
        facts, end, status, error, rows, timings, *rest = _load(payload)
        attempts = tuple(_attempt_of(row) for row in rows)
        if len(rest) > 2:
            rest[2] = _accounts_of(rest[2])
        return CallRecord(CallFacts(*facts), _ENDS[end], status, error, attempts, Timings(*timings), *rest)
    except (ValueError, TypeError, IndexError, KeyError) as error:
        raise Unreadable(f"not a closing frame: {error}") from error


def call_id(payload: bytes) -> str:
    """Of which call a frame of either kind speaks. Raises `Unreadable`."""
    try:
        return str(_load(payload)[0][0])
    except (ValueError, TypeError, IndexError, KeyError) as error:
        raise Unreadable(f"not a frame of a call: {error}") from error


def _load(payload: bytes) -> Any:
    return json.loads(payload) if payload.startswith(b" ") else orjson.loads(payload)


_ENDS = {str(end): end for end in End}
_BASES = {str(basis): basis for basis in Basis}


def _attempt_of(row: list[Any]) -> Attempt:
    row[_AT_END] = _ENDS[row[_AT_END]]
    row[_AT_USAGE] = Usage(*row[_AT_USAGE])
    row[_AT_BASIS] = _BASES[row[_AT_BASIS]]
    row[_AT_CHARGES] = tuple(Charge(*charge) for charge in row[_AT_CHARGES])
    if len(row) > _AT_HELD_IN:
        row[_AT_HELD_IN] = tuple(row[_AT_HELD_IN])
        row[_AT_SEEN_BY] = tuple(row[_AT_SEEN_BY])
    return Attempt(*row)


def _accounts_of(rows: list[Any]) -> tuple[Account, ...]:
    return tuple([Account(*row) for row in rows])
