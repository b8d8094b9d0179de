"""Call → a place in every limit that binds it, or the refusal that says when there is one.

Requests and calls in flight are counted one by one; tokens by an estimate, until their usage is known. What is taken
here is given back, or used, when the call is closed (`settle`).
"""

from collections.abc import Callable, Sequence

from gateway.core.errors import Fault, Kind
from gateway.core.limits import Limits, Rate, Unit
from gateway.core.scopes import EVERYTHING
from gateway.ports import Clock, Escrow, Headers
from gateway.proxy.call import Call, Taken, Ticket

BYTES_PER_TOKEN = 4
"""The rule of thumb for a prompt that nobody has counted yet."""
_SOON = 1.0
"""Seconds after which another call may have ended."""
_WORDS = {Unit.REQUESTS: "requests a minute", Unit.TOKENS: "tokens a minute", Unit.IN_FLIGHT: "calls at once"}
_FIELDS = {Unit.REQUESTS: "requests", Unit.TOKENS: "tokens"}


class Pace:
    """Step two and a half: what no route and no money can change."""

    def __init__(self, escrow: Escrow, limits: Callable[[], Limits], clock: Clock) -> None:
        """`limits`: those in force now."""
        self._escrow = escrow
        self._limits = limits
        self._clock = clock

    def needed(self) -> bool:
        """Whether there are any limits: nobody waits for a step that has nothing to do."""
        return bool(self._limits().all)

    async def __call__(self, call: Call, ticket: Ticket) -> None:
        """Only where it is `needed`. Raises `Fault` (rate exceeded, unavailable); what was taken by then is on the
        ticket."""
        ticket.rates = self._limits().binding(ticket.facts)
        for rate in ticket.rates:
            amount = _amount(rate, call)
            accounts = (rate.bound.account,)
            if not self._escrow.take(accounts, amount) and await self._escrow.hold([rate.bound], amount) is not None:
                raise self._refusal(rate, amount)
            ticket.taken.append(Taken(rate, amount))

    def fields(self, rates: Sequence[Rate]) -> Headers:
        """The limits that bind a call, by OpenAI's names; of several of a kind the one with the least left."""
        told: Headers = []
        for unit, word in _FIELDS.items():
            left = [(self._escrow.remaining([rate.bound]) or 0, rate) for rate in rates if rate.unit is unit]
            if left:
                remaining, rate = min(left, key=_remaining)
                told.append((f"x-ratelimit-limit-{word}", str(rate.most)))
                told.append((f"x-ratelimit-remaining-{word}", str(remaining)))
                told.append((f"x-ratelimit-reset-{word}", f"{self._seconds_left(rate):.3g}s"))
        return told

    def _refusal(self, rate: Rate, amount: int) -> Fault:
        subject = rate.bound.account.subject
        of = "" if subject == EVERYTHING else f" of {subject}"
        left = self._escrow.remaining([rate.bound]) or 0
        what = f"{rate.most} {_WORDS[rate.unit]}, {left} left"
        if rate.unit is Unit.TOKENS:
            what += f", and this call may take {amount}"
        return Fault(
            Kind.RATE,
            f"the limit {rate.limit.name}{of} is reached: {what}",
            hint="try again when it says so in retry-after",
            retry_after=max(0.001, round(self._seconds_left(rate), 3)),
        )

    def _seconds_left(self, rate: Rate) -> float:
        end_us = rate.bound.span.end_us
        return _SOON if end_us is None else max(0, end_us - self._clock.now_us()) / 1e6


def _amount(rate: Rate, call: Call) -> int:
    """What a call takes; of tokens never more than the whole limit, or a long one could never be made."""
    if rate.unit is not Unit.TOKENS:
        return 1
    return min(rate.most, len(call.body) // BYTES_PER_TOKEN + (call.asked.limit or 0))


def _remaining(found: tuple[int, Rate]) -> int:
    return found[0]
