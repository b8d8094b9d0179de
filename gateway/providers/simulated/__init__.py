"""A provider that costs nothing: OpenAI's wire format from this process, for the demo and for load tests.

Every answer is labelled as simulated, and is the same for the same seed, number of the call and body.
Must not know prices, keys or how an answer is metered.
"""

from gateway.providers.simulated.behaviour import Simulation
from gateway.providers.simulated.upstream import SimulatedAnswer, SimulatedUpstream

__all__ = ["SimulatedAnswer", "SimulatedUpstream", "Simulation"]
