"""Every limit of the server: how much it takes, and how long it waits. Knows nothing of how they are kept."""

from dataclasses import dataclass

MAX_HEAD = 64 * 1024
"""Bytes of a request's target and fields together; more is refused with 431."""
MAX_FIELDS = 200
"""Fields of one head; more are refused with 431."""
MAX_TARGET = 16 * 1024
"""Bytes of a request's target; more is refused with 414."""
MAX_BODY_WAITING = 128 * 1024
"""Bytes of a body that wait for the application, beyond which the client is held back. Less than the 256,000
that uvloop reads at once, and it reads on within one turn: no second piece waits beside the first."""
MAX_PIPELINED = 64 * 1024
"""Bytes of further requests that wait for the one that runs, beyond which the client is held back."""
MAX_DRAINED = 256 * 1024
"""Bytes of a body that nobody wants, read for the sake of the connection; with more to come it is closed."""
CHUNK_OVERHEAD = 16
"""Bytes of chunk sizes, extensions and trailers that a chunked body may have for each of its own ..."""
FREE_OVERHEAD = 16 * 1024
"""... and beside that; more is refused with 400."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the server waits for, in seconds."""

    head: float = 30
    """For a whole head, from its first byte; then 408."""
    idle: float = 75
    """For the next request; longer than clients keep theirs, so that none sends into a closing connection."""
    body: float = 60
    """For the next byte of a body that the application is waiting for; then 408, unless an answer has begun."""
    stall: float = 300
    """For a client to take any byte of those that wait for it; then it is cut."""
    look: float = 30
    """Between two looks at whether it does."""
    drain: float = 5
    """For the rest of a body that nobody wants; then the connection is closed."""
    linger: float = 5
    """For a client to hear a last answer while it is still sending."""
    grace: float = 30
    """For calls in flight when the server stops; then they are cancelled."""
    last_words: float = 0.5
    """For an idle TLS client to confirm the end of its line when the server stops."""
    handshake: float = 10
    """For a TLS handshake."""
