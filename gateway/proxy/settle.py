"""What an attempt used → what it cost; and the one closing frame of a call (promises §1, §3).

Every exit of the pipeline ends here, exactly once. The only place that writes closing frames.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from gateway.core.calls import CACHE_OFF, Attempt, CallRecord, End, Timings
from gateway.core.holds import reserve_of
from gateway.core.limits import Unit
from gateway.core.money import Nano
from gateway.core.pricing import PLAIN, PLAIN_TIERS, Conditions, Price, Priced, price_usage
from gateway.core.usage import NOTHING_KNOWN, NOTHING_USED, Basis, Usage
from gateway.core.value import value
from gateway.ports import Clock, Escrow, Journal, Observer, Tokenizer
from gateway.proxy.call import OpenAttempt, Ticket
from gateway.wire.openai import PER_MESSAGE, asked_tier, message_count, prompt_texts
from gateway.wire.openai_usage import Stated


@value(frozen=True)
class Outcome:
    """How an attempt ended, and all that is known of what it used."""

    end: End
    status: int | None
    error: str | None = None
    stated: Stated | None = None
    texts: Sequence[str] = ()
    """What was generated and seen; counted if the provider's own figure is missing or cannot be the whole."""
    incomplete: bool = False
    """The stated figure does not cover all that was generated."""
    generated_nothing: bool = False
    """Certain, as after a refusal: costs 0, not null."""
    service_tier: str | None = None
    upstream_request_id: str | None = None


@value(frozen=True)
class _Measured:
    usage: Usage
    basis: Basis
    tokenizer: str | None = None


_NOT_PRICED = Priced((), None, None, "the gateway failed at its cost")


class Settle:
    """The last step of every call."""

    def __init__(
        self,
        journal: Journal,
        tokenizer: Tokenizer,
        observers: Sequence[Observer],
        clock: Clock,
        crashed: Callable[[BaseException], None],
        escrow: Escrow,
        rates: Escrow,
    ) -> None:
        """`escrow` holds money, `rates` what limits count."""
        self._crashed = crashed
        self._escrow = escrow
        self._rates = rates
        self._journal = journal
        self._tokenizer = tokenizer
        self._observers = observers
        self._clock = clock
        self._running: set[asyncio.Task[None]] = set()

    async def attempt(self, ticket: Ticket, outcome: Outcome) -> Attempt:
        """Ends the open attempt: measured, priced, remembered on the ticket."""
        opened = ticket.open
        assert opened is not None, "an attempt ends once"
        ended = self._clock.monotonic()
        said = outcome.stated
        if said is None or outcome.texts or outcome.generated_nothing:
            try:
                measured = await self._measure(ticket, opened, outcome)
            except Exception as error:  # noqa: BLE001  told; what it used stays unknown, and the call has its row
                self._crashed(error)
                measured = _Measured(NOTHING_KNOWN, Basis.NONE)
        else:
            measured = _Measured(said.usage, Basis.PROVIDER)  # nearly always
        duration_ms = (ended - opened.begun) * 1000
        try:
            priced, applied = self._priced(ticket, opened, outcome, measured, duration_ms)
        except Exception as error:  # noqa: BLE001  told; its cost stays unknown, and the call has its row
            self._crashed(error)
            priced, applied = _NOT_PRICED, None
        return self._ended(ticket, opened, outcome, measured, duration_ms, priced, applied)

    def _ended(
        self,
        ticket: Ticket,
        opened: OpenAttempt,
        outcome: Outcome,
        measured: _Measured,
        duration_ms: float,
        priced: Priced,
        applied: str | None,
    ) -> Attempt:
        """The attempt is over: its hold ends, and a hard budget is charged what it can have cost (promises §2)."""
        held, reserve = opened.held, 0
        if held is not None:
            cost = priced.cost_nano
            sure = outcome.generated_nothing or (measured.basis is Basis.PROVIDER and cost is not None)
            if not sure:
                reserve = reserve_of(held.nano, cost, priced.at_least_nano)
            known = cost if cost is not None else priced.at_least_nano or 0
            self._escrow.settle(held.accounts, held.nano, known + reserve)
        attempt = _attempt(opened, outcome, measured, duration_ms, priced, applied, reserve)
        ticket.attempts.append(attempt)
        ticket.open = None
        return attempt

    def close(self, ticket: Ticket, end: End, status: int | None, error: str | None, timings: Timings) -> CallRecord:
        """Writes the closing frame. A ticket that is settled already stays as it is."""
        assert not ticket.settled, "a call is closed once"
        assert ticket.open is None, "its attempts end first"
        ticket.settled = True
        if (held := ticket.held) is not None:  # for an attempt that was never made
            self._escrow.settle(held.accounts, held.nano, 0)
            ticket.held = None
        if ticket.taken:
            self._leave(ticket)
        record = CallRecord(
            ticket.facts,
            end,
            status,
            error,
            tuple(ticket.attempts),
            timings,
            CACHE_OFF,
            self._clock.now_us(),
            ticket.accounts,
            ticket.lowered,
            ticket.downgraded_from,
        )
        self._journal.close_call(record)
        for observer in self._observers:
            try:
                observer.call_ended(record)
            except Exception as fault:  # noqa: BLE001  the call is well and in the books: told, and not spoilt
                self._crashed(fault)
        return record

    def _leave(self, ticket: Ticket) -> None:
        """The call's places in limits: a request stays counted, tokens are what was used, nothing is in flight."""
        for taken in ticket.taken:
            used = taken.amount
            if taken.rate.unit is Unit.IN_FLIGHT:
                used = 0
            elif taken.rate.unit is Unit.TOKENS:
                used = _tokens(ticket, taken.amount)
            self._rates.settle((taken.rate.bound.account,), taken.amount, used)
        ticket.taken = []

    async def synced(self) -> None:
        """Returns when the closing frame is as durable as the settings promise."""
        await self._journal.synced()

    def whole_timings(self, ticket: Ticket, connect_ms: float | None) -> Timings:
        """The timings of a call that was no stream, ending now."""
        received = ticket.received
        overhead = None if ticket.asked is None else (ticket.asked - received) * 1000
        return Timings(overhead, connect_ms, None, None, (self._clock.monotonic() - received) * 1000)

    def in_background(self, ticket: Ticket, end: End, why: str, work: Coroutine[Any, Any, None]) -> None:
        """Settles what nobody waits for any more; `finish` waits for it at shutdown. The call has its row, even if
        `work` fails."""
        task = asyncio.get_running_loop().create_task(self._surely(ticket, Outcome(end, None, why), work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _surely(self, ticket: Ticket, outcome: Outcome, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001  a fault of ours: told, and what was used stays unknown
            self._crashed(error)
            if ticket.settled:
                return
            if (opened := ticket.open) is not None:
                unknown = _Measured(NOTHING_KNOWN, Basis.NONE)
                duration_ms = (self._clock.monotonic() - opened.begun) * 1000
                self._ended(ticket, opened, outcome, unknown, duration_ms, _NOT_PRICED, None)
            timings = self.whole_timings(ticket, None)
            self.close(ticket, outcome.end, outcome.status, outcome.error, timings)

    async def finish(self) -> None:
        """Returns when everything begun in the background is settled."""
        while self._running:
            await asyncio.gather(*self._running)

    async def abandon(self, ticket: Ticket, outcome: Outcome, connect_ms: float | None) -> None:
        """The call ends before its answer did: the client left, or we go down."""
        if ticket.open is not None:
            await self.attempt(ticket, outcome)
        self.close(ticket, outcome.end, outcome.status, outcome.error, self.whole_timings(ticket, connect_ms))

    def passes_hold(self, ticket: Ticket, said: Stated) -> bool:
        """Whether what the provider states costs more than what is held for it."""
        opened = ticket.open
        if opened is None or opened.held is None:
            return False
        priced = price_usage(opened.opened.index, said.usage, opened.price, PLAIN)
        return (priced.cost_nano or priced.at_least_nano or 0) > opened.held.nano

    async def counted(self, text: str, model: str) -> int:
        """Tokens of a text, by the tokenizer."""
        return (await self._tokenizer.count([text], model)).tokens[0]

    # what was used

    async def _measure(self, ticket: Ticket, opened: OpenAttempt, outcome: Outcome) -> _Measured:
        if outcome.generated_nothing:
            return _Measured(NOTHING_USED, Basis.NONE)  # certain, but nobody stated it
        said = outcome.stated
        if said is None:
            return await self._estimate(ticket, opened, outcome)
        if outcome.texts and (outcome.incomplete or not said.usage.generated_tokens):
            # Zero output where text was delivered is not believed (contract §6, known faults 5, 6).
            count = await self._tokenizer.count(["".join(outcome.texts)], opened.target.model)
            seen = max(count.tokens[0], said.usage.output or 0)
            return _Measured(replace(said.usage, output=seen), Basis.ESTIMATED, count.tokenizer)
        return _Measured(said.usage, Basis.PROVIDER)

    async def _estimate(self, ticket: Ticket, opened: OpenAttempt, outcome: Outcome) -> _Measured:
        """Nobody stated anything: the prompt and what was seen of the answer are counted."""
        prompt = "\n".join(prompt_texts(ticket.body))
        messages = message_count(ticket.body)
        count = await self._tokenizer.count([prompt, "".join(outcome.texts)], opened.target.model)
        frame = (messages + 1) * PER_MESSAGE if messages else 0
        output = count.tokens[1] if outcome.texts else None
        return _Measured(Usage(input=count.tokens[0] + frame, output=output), Basis.ESTIMATED, count.tokenizer)

    # what it cost

    def _priced(
        self, ticket: Ticket, opened: OpenAttempt, outcome: Outcome, measured: _Measured, duration_ms: float
    ) -> tuple[Priced, str | None]:
        """What the attempt cost, and the conditions of its price, as text."""
        frame = opened.opened
        conditions = PLAIN
        if outcome.generated_nothing:
            priced = Priced((), 0, None, None)
        else:
            ended_us = frame.started_us + round(duration_ms * 1000)
            conditions = _conditions(ticket, opened.price, outcome, ended_us)
            priced = price_usage(frame.index, measured.usage, opened.price, conditions)
        return priced, None if conditions is PLAIN else conditions.as_text()


def _tokens(ticket: Ticket, estimate: int) -> int:
    """All that the attempts of a call used; the estimate where nobody knows."""
    used = 0
    for attempt in ticket.attempts:
        prompt, generated = attempt.usage.prompt_tokens, attempt.usage.generated_tokens
        if prompt is None and generated is None:
            return estimate
        used += (prompt or 0) + (generated or 0)
    return used


def _attempt(
    opened: OpenAttempt,
    outcome: Outcome,
    measured: _Measured,
    duration_ms: float,
    priced: Priced,
    applied: str | None,
    reserve: Nano,
) -> Attempt:
    """An ended attempt, of what is known about it; `applied`: the conditions of its price."""
    said, frame = outcome.stated, opened.opened
    return Attempt(
        frame.index,
        frame.target,
        frame.provider,
        outcome.end,
        frame.started_us,
        outcome.status,
        outcome.error,
        duration_ms,
        measured.usage,
        measured.basis,
        measured.tokenizer,
        said.raw if said is not None else None,
        priced.cost_nano,
        priced.at_least_nano,
        said.cost_nano if said is not None else None,
        priced.because,
        frame.price_book,
        outcome.upstream_request_id,
        priced.charges,
        applied,
        frame.hold_nano,
        reserve,
        opened.held_in,
        opened.seen_by,
    )


def _conditions(ticket: Ticket, price: Price | None, outcome: Outcome, ended_us: int) -> Conditions:
    """What besides the counts decides about the cost: for nearly every call nothing."""
    said = outcome.stated
    tier = outcome.service_tier
    asked = asked_tier(ticket.body) if tier is None and price is not None and price.tiers else None
    timed = price is not None and price.off_peak is not None
    metered, search_context = (said.metered, said.search_context) if said is not None else ((), None)
    if tier in PLAIN_TIERS and asked in PLAIN_TIERS and not (ticket.web_search or timed or metered or search_context):
        return PLAIN
    return Conditions(
        service_tier=tier,
        web_search=ticket.web_search,
        at_us=ended_us,
        asked_tier=asked,
        search_context=search_context,
        metered=metered,
    )
