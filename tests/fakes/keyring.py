"""An in-memory `KeyRing`."""

from gateway.core.keys import Caller, Key, caller_of, digest


class MemoryKeyRing:
    """The keys it was given, at a moment of the test's choosing."""

    def __init__(self, *keys: Key, now_us: int = 0) -> None:
        self.keys = list(keys)
        self.now_us = now_us

    def find(self, secret: str) -> Caller | None:
        presented = digest(secret)
        for key in self.keys:
            if presented in (key.digest, key.old_digest):
                return caller_of(key, presented, self.now_us)
        return None

    @property
    def any(self) -> bool:
        return bool(self.keys)
