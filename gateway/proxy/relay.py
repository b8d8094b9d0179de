"""Upstream bytes → client bytes, unchanged, observed on the way, settled once.

A stream and a whole answer are the same thing, bytes with an end; a whole answer up to `buffer_answers` is merely
released at its end, with its cost in the headers.
"""

from gateway.core.calls import CACHE_OFF, CallRecord, End
from gateway.core.errors import Fault, Kind, UpstreamFault
from gateway.core.money import usd_text
from gateway.core.value import value
from gateway.ports import Clock, Escrow, Headers, UpstreamAnswer
from gateway.proxy.call import Answered, Call, Ticket
from gateway.proxy.forward import Refused
from gateway.proxy.headers import RATE_NAMES, client_fields, value_of
from gateway.proxy.pace import Pace
from gateway.proxy.refusals import body_of, error_of, headers_of, refusal_of
from gateway.proxy.settle import Outcome, Settle
from gateway.proxy.streams import LongAnswer, StreamRelay
from gateway.wire.openai import Said, read_answer


@value(frozen=True)
class Reply:
    """What the client gets: a head and either a whole body or one that is still coming."""

    status: int
    headers: Headers
    """Without the length of a whole body."""
    body: bytes = b""
    rest: StreamRelay | LongAnswer | None = None
    """Owns the ticket, if there is one; must be read to its end or abandoned."""


class Relay:
    """Step six: from here the ticket belongs to the reply."""

    def __init__(self, settle: Settle, clock: Clock, buffer_answers: int, escrow: Escrow, pace: Pace) -> None:
        self._settle = settle
        self._escrow = escrow
        self._pace = pace
        self._clock = clock
        self._buffer = buffer_answers

    async def __call__(self, answered: Answered | Refused, call: Call, ticket: Ticket) -> Reply:
        if isinstance(answered, Refused):
            return await self._upstream_refusal(answered, call, ticket)
        kind = value_of(answered.answer.headers, "content-type") or ""
        if kind.startswith("text/event-stream"):
            upstream = client_fields(
                answered.answer.headers, _STREAM_NAMES | RATE_NAMES if ticket.rates else _STREAM_NAMES
            )
            headers = [*upstream, *self._ours(call, answered.target.name, ticket), *_STREAM_FIELDS]
            return Reply(
                answered.answer.status,
                headers,
                rest=StreamRelay(answered, call, ticket, self._settle, self._clock),
            )
        return await self._whole(answered, call, ticket)

    async def _whole(self, answered: Answered, call: Call, ticket: Ticket) -> Reply:
        answer = answered.answer
        parts, size = [answered.first], len(answered.first)
        try:
            while size <= self._buffer:
                part = await answer.read()
                if not part:
                    answer.close()
                    return await self._released(answered, b"".join(parts), call, ticket)
                parts.append(part)
                size += len(part)
        except UpstreamFault as fault:
            answer.close()
            await self._settle.attempt(ticket, Outcome(End.FAILED, answer.status, error_of(fault)))
            raise
        except BaseException:  # cancelled: the attempt stays open on the ticket, for the pipeline to settle
            answer.close()
            raise
        return self._long(answered, parts, call, ticket)

    def _long(self, answered: Answered, parts: list[bytes], call: Call, ticket: Ticket) -> Reply:
        """Too long to be held: on its way at once, without its cost in the headers."""
        answer = answered.answer
        headers = self._head(call, answer.headers, answered.target.name, ticket)
        length = value_of(answer.headers, "content-length")
        if length is not None:
            headers.append(("content-length", length))
        return Reply(answer.status, headers, rest=LongAnswer(answered, parts, ticket, self._settle))

    async def _released(self, answered: Answered, body: bytes, call: Call, ticket: Ticket) -> Reply:
        answer = answered.answer
        said = read_answer(body)
        if said is None and body.strip() in (b"", b"null"):
            message = f"{answered.target.name} answered {answer.status} with nothing in it"
            fault = Fault(Kind.UPSTREAM_UNCERTAIN, message)
            await self._settle.attempt(ticket, Outcome(End.FAILED, answer.status, error_of(fault)))
            raise fault
        outcome = _outcome(answer, said or _UNREADABLE)
        await self._settle.attempt(ticket, outcome)
        timings = self._settle.whole_timings(ticket, answer.connect_ms)
        record = self._settle.close(ticket, outcome.end, answer.status, outcome.error, timings)
        await self._settle.synced()
        headers = self._head(call, answer.headers, answered.target.name, ticket)
        headers += _cost(record)
        return Reply(answer.status, headers, body)

    async def _upstream_refusal(self, refused: Refused, call: Call, ticket: Ticket) -> Reply:
        timings = self._settle.whole_timings(ticket, refused.connect_ms)
        record = self._settle.close(ticket, End.FAILED, refused.status, refused.error, timings)
        await self._settle.synced()
        headers = self._head(call, refused.headers, refused.target.name, ticket)
        headers += _cost(record)
        return Reply(refused.status, headers, refused.body)

    async def refuse(self, fault: Fault, call_id: str, ticket: Ticket | None) -> Reply:
        """The answer to a call that got none; closes its ticket, if it has one."""
        status = refusal_of(fault).status
        record = None
        if ticket is not None and not ticket.settled:
            end = End.FAILED if ticket.attempts else End.REFUSED
            record = self._settle.close(ticket, end, status, error_of(fault), self._settle.whole_timings(ticket, None))
            await self._settle.synced()
        body = body_of(fault)
        headers = [*_ids(call_id), *headers_of(fault), *_JSON_FIELD, *self._held(ticket)]
        if record is not None:
            headers += _cost(record)
        return Reply(status, headers, body)

    def _head(self, call: Call, upstream: Headers, target: str, ticket: Ticket) -> Headers:
        return _aside(client_fields(upstream), ticket) + self._ours(call, target, ticket)

    def _ours(self, call: Call, target: str, ticket: Ticket) -> Headers:
        overhead = 0.0 if ticket.asked is None else (ticket.asked - ticket.received) * 1000
        fields = [
            *_ids(call.arrival.id),
            ("x-tollkeeper-target", target),
            _CACHE_FIELD,
            ("x-tollkeeper-overhead-ms", f"{overhead:.3f}"),
        ]
        plain = not ticket.binding.bounds and not ticket.rates and ticket.downgraded_from is None
        return fields if plain and ticket.lowered is None else fields + self._held(ticket)

    def _held(self, ticket: Ticket | None) -> Headers:
        """What budgets did to the call, and what the tightest of them has left."""
        fields: Headers = []
        if ticket is None:
            return fields
        if ticket.rates:
            fields += self._pace.fields(ticket.rates)
        hard = ticket.binding.hard
        if hard and (left := usd_text(self._escrow.remaining(hard))) is not None:
            fields.append(("x-tollkeeper-budget-remaining-usd", left))
        if ticket.lowered is not None:
            fields.append(("x-tollkeeper-max-tokens", str(ticket.lowered)))
        if ticket.downgraded_from is not None:
            fields.append(("x-tollkeeper-downgraded-from", ticket.downgraded_from))
        return fields


_UNREADABLE = Said(None, [], None, None)
"""An answer that is no JSON object: it passes as it is, and its usage is estimated."""


def _outcome(answer: UpstreamAnswer, said: Said) -> Outcome:
    """How a whole answer ends its attempt."""
    return Outcome(
        End.FAILED if said.error else End.COMPLETED,
        answer.status,
        said.error,
        said.stated,
        said.texts,
        said.per_choice,
        said.error is not None,
        said.service_tier,
        value_of(answer.headers, "x-request-id", "request-id"),
    )


_STREAM_FIELDS: Headers = [("cache-control", "no-cache"), ("x-accel-buffering", "no")]
_STREAM_NAMES = frozenset(name for name, _ in _STREAM_FIELDS)
_CACHE_FIELD = ("x-tollkeeper-cache", CACHE_OFF)
_JSON_FIELD: Headers = [("content-type", "application/json")]


def _aside(passed: Headers, ticket: Ticket) -> Headers:
    """The provider's fields without the rates in whose place ours stand; they stay under `x-upstream-`."""
    return [field for field in passed if field[0] not in RATE_NAMES] if ticket.rates else passed


def _ids(call_id: str) -> Headers:
    return [("x-tollkeeper-call-id", call_id), ("x-request-id", call_id)]


def _cost(record: CallRecord) -> Headers:
    cost = usd_text(record.cost_nano)
    fields: Headers = [("x-tollkeeper-usage-basis", record.usage_basis)]
    if cost is not None:
        fields.append(("x-tollkeeper-cost-usd", cost))
    return fields
