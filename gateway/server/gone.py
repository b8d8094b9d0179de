"""What an application is told that answers a client who has left (ASGI 2.4)."""


class ClientLeft(OSError):
    """Nobody is there to be answered."""
