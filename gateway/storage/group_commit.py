"""Many callers, one `fdatasync`: whoever waits meanwhile shares the next one.

Owns the thread that waits for the disk, so that the event loop never does. Knows nothing of what is synced.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Result = TypeVar("_Result")


class GroupCommit:
    """Runs `sync` in a thread of its own, one at a time."""

    def __init__(self, sync: Callable[[], None]) -> None:
        self._sync = sync
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def synced(self) -> None:
        """Return when a sync that began after this call has ended. Raises what it raised."""
        if self._next is None:
            self._next = asyncio.create_task(self._round(self._running))
        # Shielded: one caller who gives up must not take the sync away from the others.
        await asyncio.shield(self._next)

    async def _round(self, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait([before])
        self._running, self._next = self._next, None
        await self.in_thread(self._sync)

    async def in_thread(self, work: Callable[[], _Result]) -> _Result:
        """Something else that waits for the disk, between two syncs."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Wait for what is under way, then let the thread go."""
        self._thread.shutdown()
