"""A journal in memory: what was opened, what was closed, and a bound on how much of it waits."""

from gateway.core.calls import AttemptOpened, CallRecord
from gateway.core.errors import Fault, Kind


class MemoryJournal:
    """Holds `room` calls, open ones and ended ones that were not taken yet."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.room = room
        self.openings: list[AttemptOpened] = []
        """Every attempt that was ever opened, in order."""
        self.records: list[CallRecord] = []
        """The ended calls that nobody has taken yet, in order."""
        self.open_calls: set[str] = set()
        self.syncs = 0

    def reserve(self, call_id: str) -> None:
        if call_id in self.open_calls:
            return
        if len(self.open_calls) + len(self.records) >= self.room:
            raise Fault(Kind.UNAVAILABLE, "the journal has no room", retry_after=1.0)
        self.open_calls.add(call_id)

    def open_attempt(self, opened: AttemptOpened) -> None:
        self.reserve(opened.call.id)
        self.openings.append(opened)

    def close_call(self, record: CallRecord) -> None:
        self.reserve(record.facts.id)
        self.open_calls.remove(record.facts.id)
        self.records.append(record)

    async def synced(self) -> None:
        self.syncs += 1

    def take(self) -> list[CallRecord]:
        """Take the ended calls over, as the ledger does; their room is free again."""
        taken, self.records = self.records, []
        return taken
