"""How this gateway is: the answers of `/readyz` and the gauges of `/metrics`, from those who know.

What follows from an answer, and who may see it, is up to `control.health`.
"""

from collections.abc import Callable, Collection

from gateway.control.dependencies import Check, Health
from gateway.jobs.ledger import LedgerLag
from gateway.storage.journal import JournalStats
from gateway.telemetry.metrics import Known, StorageStats


class Condition:
    """Looks each time it is asked."""

    def __init__(
        self,
        *,
        lag: Callable[[], LedgerLag],
        journal: Callable[[], JournalStats],
        known: Callable[[], Known],
        log_lines_dropped: Callable[[], int],
        providers: Collection[str],
    ) -> None:
        """`known`: how much is known of the calls since the start."""
        self._lag = lag
        self._journal = journal
        self._known = known
        self._log_lines_dropped = log_lines_dropped
        self._providers = providers

    @property
    def health(self) -> Health:
        return Health(database=self._of_database, journal=self._of_journal, figures=self._of_figures,
                      providers=self._of_providers)  # fmt: skip

    def storage(self) -> StorageStats:
        """How far the durable record is behind."""
        lag, journal = self._lag(), self._journal()
        return StorageStats(
            backlog_bytes=lag.backlog_bytes,
            oldest_frame_age_seconds=lag.oldest_age_seconds,
            journal_bytes=journal.bytes_on_disk,
            dead_letters=lag.dead_letters,
            corrupt_frames=lag.corrupt,
            torn_frames=lag.torn,
            log_lines_dropped=self._log_lines_dropped(),
            journal_max_bytes=journal.max_bytes,
            journals_left=lag.dead_journals,
            newer_frames=lag.newer,
        )

    async def _of_database(self) -> Check:
        lag = self._lag()
        if lag.last_error is not None:
            return Check(False, f"the journal is taking over: {lag.last_error}")
        return Check(True, "the database takes every call")

    async def _of_journal(self) -> Check:
        journal, lag = self._journal(), self._lag()
        if journal.trouble is not None:
            return Check(False, journal.trouble)
        behind = f"{lag.backlog_bytes} not in the ledger"
        if lag.oldest_age_seconds:
            behind += f", the oldest call ended {lag.oldest_age_seconds:.1f} s ago"
        return Check(True, f"{journal.bytes_on_disk} of {journal.max_bytes} bytes on disk, {behind}")

    async def _of_figures(self) -> Check:
        """Whether every call reaches the figures, and how much of them is known."""
        lag = self._lag()
        gaps = [
            f"{lag.dead_letters} calls were refused by the database" if lag.dead_letters else "",
            f"{lag.dead_journals} journals of dead processes are not replayed" if lag.dead_journals else "",
            f"{lag.newer} frames can be read by a newer version only" if lag.newer else "",
            lag.replay_error or "",
        ]
        missing = "; ".join(filter(None, gaps))
        return Check(not missing, f"{missing or 'every call reaches the ledger'}; {_shares(self._known())}")

    async def _of_providers(self) -> Check:
        if not self._providers:
            return Check(False, "no provider is configured")
        return Check(True, ", ".join(self._providers))


def _shares(known: Known) -> str:
    if not known.calls:
        return "no calls since the start"
    unpriced, estimated = known.unpriced / known.calls, known.estimated / known.calls
    return f"of {known.calls} calls since the start {unpriced:.1%} have no known cost, {estimated:.1%} estimated usage"
