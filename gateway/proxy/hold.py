"""The ticket, the money set aside for it, and the opening frames (promises §1, §2).

Nothing goes upstream before the journal knows of it, and nothing under a hard budget before all that it can cost is
held in every budget that binds it. The only place that writes opening frames.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TypeAlias

from gateway.core.accounts import MOST, Account, places_of
from gateway.core.actions import InForce
from gateway.core.budgets import NOTHING_BINDS, Binding, Bound, Budgets, Exhausted
from gateway.core.calls import AttemptOpened, CallFacts
from gateway.core.errors import Fault, Kind
from gateway.core.escrow import Lack, Obstacle
from gateway.core.money import Nano
from gateway.core.pricing import Price, PriceBook, per_million_text
from gateway.core.routing import Plan, Target
from gateway.core.value import value
from gateway.ports import Clock, Escrow, Journal
from gateway.proxy.call import Admitted, Arrival, Call, Held, OpenAttempt, Ticket
from gateway.proxy.quote import Quote, Quotes
from gateway.proxy.shortage import over_cap, refusal_of_lack, unbounded
from gateway.wire.openai import Endpoint
from gateway.wire.openai_reach import Reach, reach_of

BYTES_PER_TOKEN = 4
"""The rule of thumb for a prompt whose answer we may not live to see."""


@value(frozen=True)
class Terms:
    """How far a hold goes."""

    attempts: int = 3
    """Targets that one call may be tried at."""
    min_output_tokens: int = 128
    """A limit is never lowered below this, nor below what was asked for."""


class Hold:
    """Step four, and again before each further attempt."""

    def __init__(
        self,
        journal: Journal,
        prices: PriceBook,
        clock: Clock,
        escrow: Escrow,
        budgets: Callable[[], Budgets],
        route: Callable[[str], Awaitable[Plan]],
        terms: Terms,
        refused: Callable[[Account], None] = lambda _account: None,
        actions: Callable[[], InForce] = InForce,
    ) -> None:
        """`budgets`: those in force now; `route`: where another model leads, for whatever downgrades; `refused` is told
        of an account that is spent; `actions`: what alert rules have done, as it is in force now."""
        self._refused = refused
        self._actions = actions
        self._journal = journal
        self._prices = prices
        self._clock = clock
        self._escrow = escrow
        self._budgets = budgets
        self._route = route
        self._terms = terms
        self._quotes = Quotes(prices)
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

    async def __call__(self, call: Call, plan: Plan, ticket: Ticket) -> Plan:
        """The plan, as far as it can be paid; what its first attempt can cost is set aside. Only where it is `needed`.

        Raises `Fault`: budget spent, held by others, price unknown, over the call's own cap, unavailable.
        """
        embeds = call.arrival.endpoint is Endpoint.EMBEDDINGS
        own = reach_of(call.body, generates=not embeds)
        ticket.max_cost_nano = call.max_cost_nano
        actions = self._actions()
        for ordered in actions.models_for(ticket.facts, call.caller.may_use) if actions.downgrades else ():
            if (instead := await self._downgraded(ticket, ordered, embeds)) is not None:
                plan = instead
                break
        while True:
            ticket.reach = reach = self._limited(own, plan, ticket)
            wanted = self._at_once(reach, plan, ticket)
            if isinstance(wanted, Plan):
                return wanted  # nearly always
            short = await self._hold(wanted.binding, wanted.quote, reach, ticket)
            if short is None:
                return wanted.plan
            cheaper = short.lack.bound.budget.downgrade_to
            if not _downgrades(short.lack) or cheaper is None or ticket.downgraded_from is not None:
                raise short.fault
            instead = await self._downgraded(ticket, cheaper, embeds)
            if instead is None:
                raise short.fault
            plan = instead

    @staticmethod
    def _limited(own: Reach, plan: Plan, ticket: Ticket) -> Reach:
        """With the limit that its model states for calls that state none; then it is sent with it."""
        if own.limit is not None or plan.default_limit is None:
            return own
        ticket.lowered = plan.default_limit
        return replace(own, limit=plan.default_limit)

    async def _downgraded(self, ticket: Ticket, cheaper: str, embeds: bool) -> Plan | None:
        """Where the call goes instead; null if nobody there can answer it. Its budgets are those of the model that
        answers: one of the model that was asked for binds it no more. Raises `Fault`: nobody has the model."""
        try:
            plan = self._fitting(await self._route(cheaper), embeds)
        except Fault:
            if not embeds:
                raise
            return None  # nobody knows it as one that embeds
        if plan is None:
            return None
        ticket.downgraded_from = ticket.downgraded_from or ticket.facts.model
        ticket.facts = replace(ticket.facts, model=cheaper)
        ticket.lowered, ticket.bound_at = None, None
        return plan

    def _fitting(self, plan: Plan, embeds: bool) -> Plan | None:
        """Without those that cannot answer such a call: embeddings take a model that is known to make them, and all
        else one that is not. A stored vector of another kind of model would be worth nothing."""
        targets = [target for target in plan.targets if bool(self._prices.facts(target).embeds) is embeds]
        if len(targets) == len(plan.targets):
            return plan
        return replace(plan, targets=tuple(targets)) if targets else None

    def needed(self, call: Call, plan: Plan) -> bool:
        """Whether `__call__` has anything to do: nobody waits for a step that has not."""
        if self._budgets().all or call.max_cost_nano is not None or plan.default_limit is not None:
            return True
        return self._actions().downgrades

    def needs_money(self, ticket: Ticket, target: Target) -> bool:
        """Whether an attempt at this target has to set money aside first, with `money`."""
        held = ticket.held
        if held is None and ticket.max_cost_nano is None and not self._budgets().all:
            return False
        binding = self._binding(ticket, target)
        if held is not None:
            return held.binding is not binding  # the first hold was made for this attempt
        return ticket.max_cost_nano is not None or bool(binding.hard)

    async def money(self, ticket: Ticket, target: Target) -> None:
        """Set aside what an attempt can cost; the ticket has it. Raises `Fault` as `__call__` does."""
        ticket.held = await self._held_for(ticket, target, self._binding(ticket, target))

    def attempt(self, ticket: Ticket, target: Target) -> OpenAttempt:
        """Writes the opening frame; the ticket now owes this attempt's end too, with what is held for it.

        Raises `Fault` (unavailable).
        """
        binding = ticket.binding if ticket.bound_at is target else NOTHING_BINDS
        held = ticket.held
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
            held.nano if held is not None else 0,
            held.accounts if held is not None else (),
            binding.seen_by,
        )
        places = _count_for(ticket, opened, binding) if binding.bounds else NOTHING_BINDS.places
        self._journal.open_attempt(opened)
        begun = self._clock.monotonic()
        if ticket.asked is None:
            ticket.asked = begun
        ticket.open = OpenAttempt(opened, target, price, begun, held, *places)
        ticket.held = None
        return ticket.open

    # --- money ------------------------------------------------------------------------------------------------------

    def _binding(self, ticket: Ticket, target: Target) -> Binding:
        """The budgets that bind an attempt at a target; looked up once for the first one."""
        if ticket.bound_at is not target:
            ticket.binding = self._budgets().binding(ticket.facts, target.name, target.provider.name)
            ticket.bound_at = target
        return ticket.binding

    def _at_once(self, reach: Reach, plan: Plan, ticket: Ticket) -> "Plan | _Wanted":
        """The plan, as far as it can be paid, with its first hold on the ticket; or the hold that has to be waited for.

        Raises `Fault`: price unknown, over the call's own cap.
        """
        binding = self._binding(ticket, plan.targets[0])
        hard = binding.hard
        cap = ticket.max_cost_nano
        if not hard and cap is None:
            return plan
        targets, dearest, why = self._priced(reach, plan)
        if why is not None and (cap is not None or not binding.unpriced_allowed):
            if dearest is None:
                raise _not_quoted(hard, why)
            plan = replace(plan, targets=tuple(targets))
        if dearest is None:
            ticket.held = Held(binding.held_in, 0, None, binding)
            return plan
        if cap is not None:
            self._within_cap(ticket, dearest)
            if not hard:
                return plan
        if self._escrow.take(binding.held_in, dearest.nano):
            ticket.held = Held(binding.held_in, dearest.nano, dearest.output, binding)
            return plan
        return _Wanted(plan, binding, dearest)

    def _priced(self, reach: Reach, plan: Plan) -> tuple[list[Target], Quote | None, str | None]:
        """The targets whose cost can be told, the dearest quote among theirs, and why the first other one has none."""
        priced: list[Target] = []
        dearest: Quote | None = None
        why: str | None = None
        for target in plan.targets[: self._terms.attempts]:
            quote = self._quotes.of(reach, target)
            if isinstance(quote, str):
                why = why or quote
                continue
            priced.append(target)
            if dearest is None or quote.nano > dearest.nano:
                dearest = quote
        return priced, dearest, why

    async def _hold(self, binding: Binding, quote: Quote, reach: Reach, ticket: Ticket) -> "_Short | None":
        """Set aside what a quote says, or less, with a lower limit, where only money that is spent is in the way."""
        accounts = binding.held_in
        amount, limit = quote.nano, None
        while True:
            lack = None if self._escrow.take(accounts, amount) else await self._escrow.hold(binding.hard, amount)
            if lack is None:
                output = quote.output if limit is None else limit * quote.choices + quote.predicted
                ticket.held = Held(accounts, amount, output, binding)
                ticket.lowered = limit if limit is not None else ticket.lowered
                return None
            if lack.obstacle is Obstacle.HELD:
                return self._short(lack, amount)
            limit = self._affordable(quote, lack.left, reach)
            if limit is None:
                return self._short(lack, amount, reach.rigid_because)
            amount = quote.lowered(limit)  # less than before: what is left was less than that

    def _affordable(self, quote: Quote, left: Nano, reach: Reach) -> int | None:
        """The highest limit of an answer that costs no more than what is left; null if none may be set."""
        if quote.each is None or reach.rigid_because is not None:
            return None
        low, high = min(quote.each, self._terms.min_output_tokens), quote.each
        if quote.lowered(low) > left:
            return None
        while low < high:
            middle = (low + high + 1) // 2
            if quote.lowered(middle) <= left:
                low = middle
            else:
                high = middle - 1
        return low

    async def _held_for(self, ticket: Ticket, target: Target, binding: Binding) -> Held | None:
        """The first hold, if it was made in these budgets; else one of its own."""
        hard, accounts = binding.hard, binding.held_in
        held = ticket.held
        if held is not None:
            if held.accounts == accounts:
                return held
            self._escrow.settle(held.accounts, held.nano, 0)
            ticket.held = None
        reach = ticket.reach
        if reach is None or not (hard or ticket.max_cost_nano is not None):
            return None
        if not ticket.attempts and not hard:
            return None  # its cap was looked at with the plan
        quote = self._quotes.of(reach, target, ticket.lowered)
        if isinstance(quote, str):
            if ticket.max_cost_nano is None and binding.unpriced_allowed:
                return Held(accounts, 0, None, binding)
            raise _not_quoted(hard, quote)
        self._within_cap(ticket, quote)
        if not hard:
            return None
        short = await self._hold(binding, quote, reach, ticket)
        if short is not None:
            raise short.fault
        return ticket.held

    @staticmethod
    def _within_cap(ticket: Ticket, quote: Quote) -> None:
        cap = ticket.max_cost_nano
        if cap is not None:
            before = sum((one.cost_nano or one.cost_at_least_nano or 0) + one.reserve_nano for one in ticket.attempts)
            if before + quote.nano > cap:
                raise over_cap(before + quote.nano, cap)

    def _short(self, lack: Lack, amount: Nano, because: str | None = None) -> "_Short":
        limit = lack.bound.budget.limit_at(self._clock.now_us())
        if lack.obstacle is Obstacle.SPENT:
            self._refused(lack.bound.account)
        return _Short(lack, refusal_of_lack(lack, amount, limit, because))

    # --- prices -----------------------------------------------------------------------------------------------------

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


@value(frozen=True)
class _Wanted:
    """A first hold that does not fit what is at hand."""

    plan: Plan
    binding: Binding
    quote: Quote


@value(frozen=True)
class _Short:
    """Money that is lacking, and how it is told."""

    lack: Lack
    fault: Fault


def _downgrades(lack: Lack) -> bool:
    return lack.obstacle is Obstacle.SPENT and lack.bound.budget.exhausted is Exhausted.DOWNGRADE


def _not_quoted(hard: Sequence[Bound], why: str) -> Fault:
    strict = next((bound.budget.name for bound in hard if not bound.budget.unpriced_allowed), None)
    if strict is not None:
        return unbounded(strict, why)
    return Fault(
        Kind.PRICE_UNKNOWN,
        f"nobody can tell whether this call stays below its cap: {why}",
        hint="state a price and a limit (max_tokens), or no cap: x-tollkeeper-max-cost-usd, max_cost_usd of the key",
        param="model",
    )


_Places: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]


def _count_for(ticket: Ticket, opened: AttemptOpened, binding: Binding) -> _Places:
    """The accounts of an attempt are among its call's; where they are there.

    Raises `Fault` (unavailable): more than its frames can hold.
    """
    first = not ticket.accounts and opened.held_in is binding.held_in
    known = binding.accounts if first else tuple(dict.fromkeys((*ticket.accounts, *opened.held_in, *opened.seen_by)))
    if len(known) > MOST:
        message = f"{len(known)} budgets count this call, and no more than {MOST} can"
        raise Fault(Kind.UNAVAILABLE, message, hint="make fewer budgets that overlap")
    ticket.accounts = known
    if first:  # nearly always
        return binding.places
    return places_of(opened.held_in, known), places_of(opened.seen_by, known)
