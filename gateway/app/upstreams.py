"""All providers as one: real ones over HTTP, simulated ones in this process. Opens nothing."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass

from gateway.app.configured import Configured, authoriser_of
from gateway.core.routing import Retries
from gateway.ports import Clock, UpstreamAnswer, UpstreamRequest
from gateway.providers.proxies import from_environment
from gateway.providers.simulated import SimulatedUpstream, Simulation
from gateway.providers.transport import Address, HttpTransport


@dataclass(frozen=True, slots=True)
class Upstreams:
    """`ports.Upstream` over all providers: real ones over HTTP, simulated ones in this process."""

    real: HttpTransport
    simulated: SimulatedUpstream
    simulations: Mapping[str, Simulation]

    def ask(self, request: UpstreamRequest, retries: Retries) -> Awaitable[UpstreamAnswer]:
        if request.target.provider.name in self.simulations:
            return self.simulated.ask(request, retries)
        return self.real.ask(request, retries)

    async def fetch(self, provider: str, path: str, timeout: float) -> tuple[int, bytes]:
        """A GET below a provider's base URL. Raises `UpstreamFault`."""
        if provider in self.simulations:
            return 200, self.simulated.listing(provider)
        return await self.real.fetch(provider, path, timeout)


def upstreams_of(configured: Mapping[str, Configured], clock: Clock) -> Upstreams:
    """The providers of the settings, by name."""
    simulations = {name: one.simulation for name, one in configured.items() if one.simulation is not None}
    addresses = {
        name: Address(one.base_url, authoriser_of(one)) for name, one in configured.items() if one.base_url is not None
    }
    return Upstreams(
        HttpTransport(addresses, proxies=from_environment), SimulatedUpstream(simulations, clock), simulations
    )
