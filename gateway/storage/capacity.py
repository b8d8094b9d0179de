"""Whether a database has room for the connections of all processes that are about to start. Only says so."""

from typing import Final

from gateway.storage.backends import backend_of

CONNECTIONS: Final = 5
"""What one process takes at most: four that read, one that writes."""


def too_many(url: str, processes: int) -> str | None:
    """A warning if so many processes could take more connections than the database gives to everybody; else null.

    Raises `Fault` (unavailable) if the database cannot be asked.
    """
    backend = backend_of(url)
    seats = backend.seats()
    needed = processes * CONNECTIONS
    if seats is None or needed <= seats:
        return None
    return (
        f"{processes} processes may take {needed} connections, and {backend.place} has {seats} for all its clients:"
        " raise its max_connections, or take fewer --workers"
    )
