"""Caller and arrival → a call that may go on: its body read and understood, its model allowed."""

import asyncio
import zlib
from collections.abc import Mapping
from decimal import Decimal

from gateway.core.calls import CallFacts
from gateway.core.errors import Fault, Kind, not_in_this_version
from gateway.core.keys import Caller
from gateway.core.money import Nano, to_nano, usd
from gateway.core.routing import HOP_HEADER
from gateway.ports import Clock
from gateway.proxy.call import Admitted, Arrival, Call, Ticket
from gateway.wire.openai import MAX_LABEL, MAX_LABELS, Asked, read_request

_LATER = {
    "x-tollkeeper-cache": "cache controls",
    "x-tollkeeper-cache-ttl": "cache controls",
}
_HOW_TO_CARRY = {"session": "send x-tollkeeper-session: ID", "end_user": "send `user` in the body"}
_HIGHEST_CAP = Decimal(1_000_000_000)
_INLINE_INFLATE = 256 * 1024
"""Compressed bytes beyond which decompression leaves the event loop."""


class Admit:
    """Step two."""

    def __init__(self, clock: Clock, max_body: int) -> None:
        self._clock = clock
        self._max_body = max_body

    async def __call__(self, admitted: Admitted, arrival: Arrival, ticket: Ticket) -> Call:
        """Raises `Fault`; the ticket knows by then whatever could be read."""
        headers = arrival.headers
        if HOP_HEADER in headers:
            raise Fault(
                Kind.LOOP,
                "this call has been through a Tollkeeper already",
                hint="a provider's base URL leads back here",
            )
        body = await arrival.read_body(self._max_body)
        if "content-encoding" in headers:
            body = await inflate(body, headers["content-encoding"], self._max_body)
        ticket.received = self._clock.monotonic()
        asked = read_request(body)
        labels = admitted.caller.labels
        if asked.labels or "x-tollkeeper-tags" in headers:
            labels = {**asked.labels, **tags(headers.get("x-tollkeeper-tags", "")), **labels}
        ticket.facts = _known(ticket.facts, asked, labels, headers.get("x-tollkeeper-session"))
        ticket.body = body
        ticket.web_search = asked.web_search
        self._refuse(admitted, headers, asked)
        if admitted.caller.required_labels:
            _require_labels(admitted.caller, ticket.facts)
        comment = asked.stream and headers.get("x-tollkeeper-stream-cost", "").lower() == "on"
        cap = admitted.caller.max_cost_nano
        if "x-tollkeeper-max-cost-usd" in headers:
            own = _cap(headers["x-tollkeeper-max-cost-usd"])
            cap = own if cap is None else min(own, cap)
        return Call(arrival, admitted.caller, admitted.client_key, asked, body, ticket.received, comment, cap)

    @staticmethod
    def _refuse(admitted: Admitted, headers: Mapping[str, str], asked: Asked) -> None:
        for name, what in _LATER.items():
            if name in headers:
                raise not_in_this_version(f"{what} ({name})")
        if not admitted.caller.may_use(asked.model):
            raise Fault(Kind.MODEL_NOT_ALLOWED, f"the key may not use the model {asked.model!r}", param="model")


def _require_labels(caller: Caller, facts: CallFacts) -> None:
    """Else what binds calls by their labels would bind none without. Raises `Fault` (invalid)."""
    carried = {"session": facts.session, "end_user": facts.end_user}
    for name in caller.required_labels:
        if not (carried[name] if name in carried else facts.labels.get(name)):
            hint = _HOW_TO_CARRY.get(name, f"send x-tollkeeper-tags: {name}=VALUE")
            raise Fault(Kind.INVALID, f"calls with the key {caller.key} must carry {name}", hint=hint)


def _cap(text: str) -> Nano:
    """The most that a call may cost, as its client says it. Raises `Fault` (invalid)."""
    try:
        amount = usd(text.strip())
    except Fault as fault:
        raise Fault(Kind.INVALID, f"x-tollkeeper-max-cost-usd: {fault.message}", hint="write it like 0.05") from None
    if amount < 0:
        raise Fault(Kind.INVALID, "x-tollkeeper-max-cost-usd is negative", hint="write it like 0.05")
    return to_nano(min(amount, _HIGHEST_CAP))


def _known(facts: CallFacts, asked: Asked, labels: Mapping[str, str], session: str | None) -> CallFacts:
    """The facts, with what the body said. (`replace` would take twice as long, for every call.)"""
    return CallFacts(
        facts.id,
        facts.started_us,
        facts.path,
        facts.key_id,
        facts.key,
        facts.team,
        labels,
        session[:MAX_LABEL] if session else None,
        asked.end_user,
        asked.model,
        asked.stream,
    )


def tags(field: str) -> dict[str, str]:
    """`feature=search,env=prod` as labels. Raises `Fault` (invalid)."""
    labels: dict[str, str] = {}
    for part in field.split(","):
        if not part.strip():
            continue
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise Fault(Kind.INVALID, f"`x-tollkeeper-tags` has {part.strip()!r}", hint="write name=value,name=value")
        labels[name.strip()[:MAX_LABEL]] = value.strip()[:MAX_LABEL]
    if len(labels) > MAX_LABELS:
        raise Fault(Kind.INVALID, f"`x-tollkeeper-tags` has more than {MAX_LABELS} tags")
    return labels


async def inflate(body: bytes, coding: str, limit: int) -> bytes:
    """A compressed request body in clear, never beyond `limit` bytes. Raises `Fault`."""
    if coding.lower() in ("", "identity"):
        return body
    if coding.lower() not in ("gzip", "x-gzip", "deflate"):
        raise Fault(Kind.INVALID, f"the content encoding {coding!r} is not understood", hint="send gzip or none")
    if len(body) > _INLINE_INFLATE:
        return await asyncio.to_thread(_inflate, body, limit)
    return _inflate(body, limit)


def _inflate(body: bytes, limit: int) -> bytes:
    machine = zlib.decompressobj(wbits=47)  # gzip or zlib, told by its head
    try:
        clear = machine.decompress(body, limit + 1)
        if not machine.eof and len(clear) <= limit:
            raise Fault(Kind.INVALID, "the compressed body is cut off")
    except zlib.error as error:
        raise Fault(Kind.INVALID, f"the body is not what its content encoding says: {error}") from None
    if len(clear) > limit:
        raise Fault(Kind.TOO_LARGE, f"the body has more than {limit} bytes when decompressed")
    return clear
