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
            arrival.id, arrival.started_us, arrival.path, caller.key_id, caller.key, caller.team, caller.labels
        )
        return Ticket(facts, arrival.begun, arrival.begun)

    def attempt(self, ticket: Ticket, target: Target) -> OpenAttempt:
        """Writes the opening frame; the ticket now owes this attempt's end too. Raises `Fault` (unavailable)."""
        name = target.name
        price, input_rate = self._looked_up.get(name) or self._look_up(name, target)
        opened = AttemptOpened(
            ticket.facts,
            len(ticket.attempts),
            name,
            target.provider.name,
            self._clock.now_us(),
            price.book if price is not None else None,
            len(ticket.body) // BYTES_PER_TOKEN,
            input_rate,
        )
        self._journal.open_attempt(opened)
        begun = self._clock.monotonic()
        if ticket.asked is None:
            ticket.asked = begun
        ticket.open = OpenAttempt(opened, target, price, begun)
        return ticket.open

    def _look_up(self, name: str, target: Target) -> tuple[Price | None, str | None]:
        """The target's price, and what a million fresh prompt tokens cost, as text."""
        price = self._prices.find(target)
        rate = None
        if price is not None and price.unknown_because is None:
            rate = Decimal(0) if price.free else price.rates.get("input")
        if len(self._looked_up) >= 10_000:  # model names come from clients
            self._looked_up.clear()
        found = self._looked_up[name] = (price, None if rate is None else per_million_text(rate))
        return found
