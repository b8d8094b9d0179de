"""Answers that are passed on while they come: streams of events, and whole answers too long to hold.

Each owns its ticket: it is read to its end or abandoned, and either way the call is settled once. The closing frame
is written before the last byte is released.
"""

import asyncio
from abc import ABC, abstractmethod
from array import array

import orjson

from gateway.core.calls import CallRecord, End, Timings
from gateway.core.errors import Fault, Kind, UpstreamFault
from gateway.core.money import usd_text
from gateway.ports import Clock
from gateway.proxy.call import Answered, Call, Ticket
from gateway.proxy.guard import Guard
from gateway.proxy.headers import value_of
from gateway.proxy.refusals import error_of, event_of
from gateway.proxy.settle import Outcome, Settle
from gateway.wire.openai import find_usage
from gateway.wire.openai_stream import Saw, StreamMeter
from gateway.wire.sse import EventSplitter, data_of

_TEXT = Saw.CONTENT | Saw.REASONING
DRAIN = 1.0
"""Seconds that the upstream gets after `[DONE]` to end its body, so that its connection can be used again."""


class _Relayed(ABC):
    """What both have in common: the ticket that they own, and what becomes of it when nobody reads on."""

    def __init__(self, answered: Answered, ticket: Ticket, settle: Settle) -> None:
        self._answered, self._ticket, self._settle = answered, ticket, settle
        self._over = False

    def abandon(self, end: End, why: str) -> None:
        """The client left, or we go down: the upstream is aborted, what was delivered is billed."""
        self._over = True
        self._answered.answer.close()
        if not self._ticket.settled:
            self._settle.in_background(self._ticket, end, why, self._abandoned(end, why))

    async def _abandoned(self, end: End, why: str) -> None:
        if not self._ticket.settled:
            await self._settled(end, why)

    @abstractmethod
    async def _settled(self, end: End, error: str | None) -> CallRecord:
        """Ends the attempt with what was seen of it, and closes the call."""


class StreamRelay(_Relayed):
    """A stream of events, metered beside its way to the client."""

    def __init__(self, answered: Answered, call: Call, ticket: Ticket, settle: Settle, clock: Clock) -> None:
        super().__init__(answered, ticket, settle)
        self._now = clock.monotonic
        self._comment = call.cost_comment
        self._first: bytes | None = answered.first
        self._splitter = EventSplitter()
        self._meter = StreamMeter()
        self._strip = answered.asked_for_usage
        self._first_content: float | None = None
        self._first_reasoning: float | None = None
        self._times = array("d")
        opened = ticket.open
        self._asked = opened.begun if opened is not None else ticket.received
        held = opened.held if opened is not None else None
        self._guard = None if held is None or held.output is None else Guard(held.output)

    async def next(self) -> bytes:
        """The next bytes for the client, at least one; `b""` at the end, when all is settled."""
        while not self._over:
            try:
                if self._first is not None:
                    data, self._first = self._first, None
                else:
                    data = await (self._drained() if self._ticket.settled else self._answered.answer.read())
            except UpstreamFault as fault:
                return await self._broken(fault)
            out = await self._pass(data) if data else await self._end()
            if out:
                return out
        return b""

    async def _drained(self) -> bytes:
        """After `[DONE]` only the end of the body is still owed."""
        try:
            async with asyncio.timeout(DRAIN):
                return await self._answered.answer.read()
        except (TimeoutError, UpstreamFault):
            return b""  # the client has all there was, and the books are closed

    async def _pass(self, data: bytes) -> bytes:
        """Every complete event of this read that the client is to see, in its own bytes."""
        kept: list[bytes] = []
        now = self._now()
        guard = self._guard
        if guard is not None and guard.may_pass(len(data), len(self._times)) and await self._too_long(guard):
            return await self._cut()
        for event in self._splitter.feed(data):
            payload = data_of(event)
            saw = self._meter.observe(payload) if payload is not None else Saw.NOTHING
            if saw:
                if saw & _TEXT:
                    self._stamp(saw, now)
                if saw & Saw.USAGE_ONLY and self._strip:
                    continue
                if saw & Saw.USAGE and guard is not None:
                    guard.look_again()
                if saw & Saw.DONE and not self._ticket.settled:
                    comment = await self._finish()
                    if comment:
                        kept.append(comment)
            kept.append(event)
        return kept[0] if len(kept) == 1 else b"".join(kept)

    async def _too_long(self, guard: Guard) -> bool:
        """Whether so much has come that its hold cannot cover it; asked only when it looks like that."""
        heard = self._meter.heard()
        if heard.finished or self._ticket.settled:
            return False  # it has ended by itself: what is left is its usage
        said = heard.stated
        if said is not None and (said.usage.generated_tokens or 0) > guard.bound:
            return self._settle.passes_hold(self._ticket, said)
        opened = self._ticket.open
        if opened is None or not guard.looks_long(len(self._times), heard.texts):
            return False
        return guard.passed_by(await self._settle.counted("".join(heard.texts), opened.target.model))

    async def _cut(self) -> bytes:
        """The upstream gives more than it was asked for: it is stopped, and what it gave is billed."""
        self._over = True
        self._answered.answer.close()
        fault = Fault(Kind.BUDGET_SPENT, "the answer is longer than its limit, and a budget holds no more for it")
        await self._settled(End.CUT_BY_BUDGET, error_of(fault))
        return event_of(fault)

    def _stamp(self, saw: int, now: float) -> None:
        if saw & Saw.CONTENT and self._first_content is None:
            self._first_content = now
        if saw & Saw.REASONING and self._first_reasoning is None:
            self._first_reasoning = now
        self._times.append(now)

    async def _end(self) -> bytes:
        """The upstream's body has ended properly."""
        rest = self._splitter.rest()
        if rest and (payload := data_of(rest)) is not None and not self._ticket.settled:
            saw = self._meter.observe(payload)
            if saw & _TEXT:
                self._stamp(saw, self._now())
            elif saw & Saw.USAGE_ONLY and self._strip:
                rest = b""
        comment = b"" if self._ticket.settled else await self._finish()
        self._over = True
        self._answered.answer.close()
        return rest + comment

    async def _finish(self) -> bytes:
        """Settles a stream that came to its own end; the comment with its cost, if the client asked for one."""
        heard = self._meter.heard()
        end, error = End.COMPLETED, None
        if heard.error is not None:
            end, error = End.CUT_BY_UPSTREAM, heard.error
        elif not heard.finished and (heard.texts or not heard.done) and heard.stated is None:
            end, error = End.CUT_BY_UPSTREAM, "the upstream ended its stream in the middle"
        record = await self._settled(end, error)
        if not self._comment:
            return b""
        told = {
            "call_id": record.facts.id,
            "cost_usd": usd_text(record.cost_nano),
            "usage_basis": record.usage_basis,
            "usage": record.usage.as_dict(),
        }
        return b": tollkeeper " + orjson.dumps(told) + b"\n\n"

    async def _broken(self, fault: UpstreamFault) -> bytes:
        """The line broke or stalled: one error event, then the end, without `[DONE]`."""
        self._over = True
        self._answered.answer.close()
        await self._settled(End.CUT_BY_UPSTREAM, error_of(fault))
        return event_of(fault)

    async def _settled(self, end: End, error: str | None) -> CallRecord:
        heard = self._meter.heard()
        answer = self._answered.answer
        ended = self._now()
        attempt = await self._settle.attempt(
            self._ticket,
            Outcome(
                end=end,
                status=answer.status,
                error=error,
                stated=heard.stated,
                texts=heard.texts,
                incomplete=heard.text_after_usage,
                generated_nothing=heard.error is not None and not heard.texts and heard.stated is None,
                service_tier=heard.service_tier,
                upstream_request_id=value_of(answer.headers, "x-request-id", "request-id"),
            ),
        )
        timings = self._timings(ended, attempt.usage.generated_tokens)
        record = self._settle.close(self._ticket, end, answer.status, error, timings)
        await self._settle.synced()
        return record

    def _timings(self, ended: float, generated: int | None) -> Timings:
        ticket = self._ticket
        asked = ticket.asked or ticket.received
        begun = self._asked
        ttft = _ms(self._first_content, begun)
        duration = (ended - ticket.received) * 1000
        p50, p95, longest = gaps(self._times)
        speed = None
        if generated is not None and ttft is not None and duration > ttft:
            speed = generated / (duration - ttft) * 1000
        return Timings(
            overhead_ms=(asked - ticket.received) * 1000,
            connect_ms=self._answered.answer.connect_ms,
            ttft_ms=ttft,
            first_reasoning_ms=_ms(self._first_reasoning, begun),
            duration_ms=duration,
            itl_p50_ms=p50,
            itl_p95_ms=p95,
            itl_max_ms=longest,
            output_tokens_per_second=speed,
        )


def _ms(moment: float | None, since: float) -> float | None:
    return None if moment is None else (moment - since) * 1000


def gaps(times: "array[float]") -> tuple[float | None, float | None, float | None]:
    """Median, 95th percentile and longest gap between content events, milliseconds; null for fewer than two."""
    if len(times) < 2:
        return None, None, None
    between = sorted((later - earlier) * 1000 for earlier, later in zip(times, times[1:], strict=False))
    last = len(between) - 1
    return between[round(last * 0.5)], between[round(last * 0.95)], between[last]


class LongAnswer(_Relayed):
    """A whole answer past `buffer_answers`: relayed as it comes, its usage found at either end of it."""

    WINDOW = 64 * 1024

    def __init__(self, answered: Answered, parts: list[bytes], ticket: Ticket, settle: Settle) -> None:
        super().__init__(answered, ticket, settle)
        self._parts = parts
        self._head = b"".join(parts)[: self.WINDOW]
        self._tail = b""
        length = value_of(answered.answer.headers, "content-length") or ""
        self._owed = int(length) if length.isdigit() else None
        """Bytes still to come; null if the upstream does not say."""

    async def next(self) -> bytes:
        """The next bytes for the client; `b""` at the end. Raises `UpstreamFault`: the body cannot be made whole."""
        if self._over:
            return b""
        if self._parts:
            data = b"".join(self._parts)
            self._parts = []
        else:
            try:
                data = await self._answered.answer.read()
            except UpstreamFault as fault:
                self._over = True
                self._answered.answer.close()
                await self._settled(End.CUT_BY_UPSTREAM, error_of(fault))
                raise
        self._tail = (self._tail + data)[-self.WINDOW :]
        if self._owed is not None:
            self._owed -= len(data)
        # Whoever has the last byte may leave at once, so it is released when the books are closed.
        if not data or self._owed == 0:
            self._over = True
            self._answered.answer.close()
            await self._settled(End.COMPLETED, None)
        return data

    async def _settled(self, end: End, error: str | None) -> CallRecord:
        answer = self._answered.answer
        await self._settle.attempt(
            self._ticket,
            Outcome(
                end=end,
                status=answer.status,
                error=error,
                stated=find_usage(self._tail) or find_usage(self._head),
                upstream_request_id=value_of(answer.headers, "x-request-id", "request-id"),
            ),
        )
        timings = self._settle.whole_timings(self._ticket, answer.connect_ms)
        record = self._settle.close(self._ticket, end, answer.status, error, timings)
        await self._settle.synced()
        return record
