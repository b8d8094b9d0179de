"""The sentence: what happens to a call, in which order, and nothing else.

Whoever is recognised is owed a row. Every way out of here ends in `settle`.
"""

import asyncio
from collections.abc import Callable

from gateway.core.calls import End
from gateway.core.errors import Fault, Kind
from gateway.proxy.admit import Admit
from gateway.proxy.authenticate import Authenticate
from gateway.proxy.call import Arrival, Ticket
from gateway.proxy.forward import Forward
from gateway.proxy.hold import Hold
from gateway.proxy.pace import Pace
from gateway.proxy.relay import Relay, Reply
from gateway.proxy.route import Route
from gateway.proxy.settle import Outcome, Settle

CLIENT_LEFT = "the client left; the upstream was aborted"
GOING_DOWN = "the gateway went down; the upstream was aborted"


class Pipeline:
    """One instance for each process; one run for each call."""

    def __init__(
        self,
        authenticate: Authenticate,
        admit: Admit,
        pace: Pace,
        route: Route,
        hold: Hold,
        forward: Forward,
        relay: Relay,
        settle: Settle,
        crashed: Callable[[BaseException], None],
    ) -> None:
        self.authenticate = authenticate
        self.admit = admit
        self.pace = pace
        self.route = route
        self.hold = hold
        self.forward = forward
        self.relay = relay
        self.settle = settle
        self.crashed = crashed

    async def __call__(self, arrival: Arrival) -> Reply:
        """The answer to a call, whatever happens. Raises only `Fault` (bad key, no room) and cancellation.

        A cancellation says why in its message: `CLIENT_LEFT`, or nothing if we go down.
        """
        admitted = self.authenticate(arrival.headers, arrival.peer)
        ticket = self.hold.call(arrival, admitted)
        try:
            call = await self.admit(admitted, arrival, ticket)
            if self.pace.needed():
                await self.pace(call, ticket)
            plan = await self.route(call.asked.model)
            if self.hold.needed(call, plan):
                plan = await self.hold(call, plan, ticket)
            answered = await self.forward(call, plan, ticket)
            return await self.relay(answered, call, ticket)
        except Fault as fault:
            return await self.relay.refuse(fault, arrival.id, ticket)
        except asyncio.CancelledError as cancelled:
            self._abandon(ticket, *(cancelled.args or (GOING_DOWN,)))
            raise
        except Exception as error:  # noqa: BLE001  a fault of ours: told to the operator, and the call gets its row
            self.crashed(error)
            await self._settle_open(ticket, f"internal: {type(error).__name__}")
            return await self.relay.refuse(Fault(Kind.INTERNAL, "the gateway failed at this call"), arrival.id, ticket)

    def _abandon(self, ticket: Ticket, why: str) -> None:
        if not ticket.settled:
            end = End.CUT_BY_CLIENT if why == CLIENT_LEFT else End.INTERRUPTED
            work = self.settle.abandon(ticket, Outcome(end, None, why), None)
            self.settle.in_background(ticket, end, why, work)

    async def _settle_open(self, ticket: Ticket, why: str) -> None:
        if ticket.open is not None:
            await self.settle.attempt(ticket, Outcome(End.FAILED, None, why))
