"""Ports of the loopback for whoever must know one before anybody listens there, or needs one where nobody does."""

import random
import socket

_PORTS = range(20_000, 32_000)
"""Below those that a system gives away by itself: what runs beside a test, another test run too, takes none of them."""
_CHANCE = random.SystemRandom()


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    while True:
        port = _CHANCE.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
