"""A key ring in memory."""

from collections.abc import Callable, Sequence

from gateway.core.keys import Caller, Key, caller_of, digest, in_force


class MemoryKeyRing:
    """`ports.KeyRing` over keys that are handed to it, and changed by handing it others."""

    def __init__(self, now_us: Callable[[], int], keys: Sequence[Key] = ()) -> None:
        self.keys = list(keys)
        self._now_us = now_us

    def find(self, secret: str) -> Caller | None:
        presented = digest(secret)
        for key in self.keys:
            if presented in (key.digest, key.old_digest):
                return caller_of(key) if in_force(key, presented, self._now_us()) else None
        return None

    @property
    def any(self) -> bool:
        return bool(self.keys)
