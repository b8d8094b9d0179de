"""The ticket and the opening frames: nothing goes upstream before the journal knows of it (promises §1).

The only place that writes opening frames. Their amount is 0 until budgets exist.
"""

from decimal import Decimal

from gateway.core.calls import AttemptOpened, CallFacts
from gateway.core.pricing import Price, PriceBook, per_million_text
from gateway.core.routing import Target
from gateway.ports import Clock, Journal
from gateway.proxy.call import Admitted, Arrival, OpenAttempt, Ticket

BYTES_PER_TOKEN = 4
"""The rule of thumb for a prompt whose answer we may not live to see."""


class Hold:
    """Step four, and again before each further attempt."""

    def __init__(self, journal: Journal, prices: PriceBook, clock: Clock) -> None:
        self._journal = journal
        self._prices = prices
        self._clock = clock
        self._looked_up: dict[str, tuple[Price | None, str | None]] = {}
        prices.watch(self._looked_up.clear)

    def call(self, arrival: Arrival, admitted: Admitted) -> Ticket:
        """Room for the closing frame, and the ticket that owes it. Raises `Fault` (unavailable)."""
        self._journal.reserve(arrival.id)
        caller = admitted.caller
        facts = CallFacts(
            id=arrival.id,
            started_us=arrival.started_us,
            path=arrival.path,
            key_id=caller.key_id,
            key=caller.key,
            team=caller.team,
            labels=caller.labels,
        )
        return Ticket(facts=facts, begun=arrival.begun, received=arrival.begun)

    def attempt(self, ticket: Ticket, target: Target) -> OpenAttempt:
        """Writes the opening frame; the ticket now owes this attempt's end too. Raises `Fault` (unavailable)."""
        price, input_rate = self._price(target)
        opened = AttemptOpened(
            call=ticket.facts,
            index=len(ticket.attempts),
            target=target.name,
            provider=target.provider.name,
            started_us=self._clock.now_us(),
            price_book=price.book if price is not None else None,
            estimated_input=len(ticket.body) // BYTES_PER_TOKEN,
            input_usd_per_million=input_rate,
        )
        self._journal.open_attempt(opened)
        begun = self._clock.monotonic()
        if ticket.asked is None:
            ticket.asked = begun
        ticket.open = OpenAttempt(opened, target, price, begun)
        return ticket.open

    def _price(self, target: Target) -> tuple[Price | None, str | None]:
        """The target's price, and what a million fresh prompt tokens cost, as text."""
        found = self._looked_up.get(target.name)
        if found is None:
            price = self._prices.find(target)
            rate = None
            if price is not None and price.unknown_because is None:
                rate = Decimal(0) if price.free else price.rates.get("input")
            found = (price, None if rate is None else per_million_text(rate))
            if len(self._looked_up) >= 10_000:  # model names come from clients
                self._looked_up.clear()
            self._looked_up[target.name] = found
        return found
