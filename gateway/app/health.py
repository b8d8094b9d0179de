"""How this gateway is: the answers of `/readyz` and the gauges of `/metrics`, from those who know.

What follows from an answer, and who may see it, is up to `control.health`.
"""

import asyncio
from collections.abc import Callable, Collection

from gateway.app.team import Team
from gateway.control.dependencies import Check, Health
from gateway.jobs.ledger import LATE, LedgerLag
from gateway.storage.journal import JournalStats
from gateway.telemetry.metrics import Known, StorageStats


class Condition:
    """Looks each time it is asked: at this process, and at the other workers where there are some."""

    def __init__(
        self,
        *,
        lag: Callable[[], LedgerLag],
        reading: Callable[[], str | None],
        journal: Callable[[], JournalStats],
        bytes_on_disk: Callable[[], int],
        log_lines_dropped: Callable[[], int],
        providers: Collection[str],
        known: Callable[[], Known],
        totals: Callable[[], StorageStats],
        team: Team | None = None,
    ) -> None:
        """`lag`, `reading`, `journal` and `log_lines_dropped` are of this process, all others of all workers.

        `reading`: why the database could not be read just now; null if it could. Without calls nobody writes to it.
        `bytes_on_disk`: of all journals together. `known`: how much is known of the calls since the start. `totals`:
        `storage` of all workers. The last two are asked in a thread: they may ask for this worker's `checks`.
        """
        self._lag = lag
        self._reading = reading
        self._journal = journal
        self._bytes_on_disk = bytes_on_disk
        self._log_lines_dropped = log_lines_dropped
        self._providers = providers
        self._known = known
        self._totals = totals
        self._team = team

    @property
    def health(self) -> Health:
        """What `/readyz` asks."""
        return Health(database=self._of_database, journal=self._of_journal, figures=self._of_figures,
                      providers=self._of_providers)  # fmt: skip

    def checks(self) -> dict[str, Check]:
        """The state of this process alone, for the other workers."""
        return {
            "database": self._own_database(),
            "journal": self._own_journal(),
            "figures": self._own_figures(),
            "providers": self._own_providers(),
        }

    def storage(self) -> StorageStats:
        """How far the durable record of this process is behind."""
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

    # of all workers

    async def _of_database(self) -> Check:
        return self._weighed("database", self._own_database())

    async def _of_journal(self) -> Check:
        check = self._weighed("journal", self._own_journal())
        if not check.ok:
            return check
        totals = await asyncio.to_thread(self._totals)
        behind = f"{totals.backlog_bytes} not in the ledger"
        if totals.oldest_frame_age_seconds:
            behind += f", the oldest call ended {totals.oldest_frame_age_seconds:.1f} s ago"
        return Check(True, f"{check.detail}, {behind}")

    async def _of_figures(self) -> Check:
        """Whether every call reaches the figures, and how much of them is known."""
        check = self._weighed("figures", self._own_figures())
        return Check(check.ok, f"{check.detail}; {_shares(await asyncio.to_thread(self._known))}")

    async def _of_providers(self) -> Check:
        return self._weighed("providers", self._own_providers())

    def _weighed(self, name: str, own: Check) -> Check:
        return own if self._team is None else self._team.weighed(name, own)

    # of this process alone

    def _own_database(self) -> Check:
        lag = self._lag()
        if lag.last_error is not None:
            return Check(False, f"the journal is taking over: {lag.last_error}")
        away = self._reading()
        if away is not None:
            return Check(False, f"the journal would take over: {away}")
        if lag.own_age_seconds > LATE:
            behind = f"the first call that is not in the ledger ended {lag.own_age_seconds:.1f} s ago"
            return Check(False, f"the database is slow: {behind}, {lag.backlog_bytes} bytes wait")
        return Check(True, "the database takes every call")

    def _own_journal(self) -> Check:
        journal = self._journal()
        if journal.trouble is not None:
            return Check(False, journal.trouble)
        return Check(True, f"{self._bytes_on_disk()} of {journal.max_bytes} bytes on disk")

    def _own_figures(self) -> Check:
        lag = self._lag()
        gaps = [
            f"{lag.dead_letters} calls were refused by the database" if lag.dead_letters else "",
            f"{lag.dead_journals} journals of dead processes are not replayed" if lag.dead_journals else "",
            f"{lag.newer} frames can be read by a newer version only" if lag.newer else "",
            f"{lag.corrupt} stretches of journals are damaged and kept beside them" if lag.corrupt else "",
            lag.replay_error or "",
        ]
        missing = "; ".join(filter(None, gaps))
        return Check(not missing, missing or "every call reaches the ledger")

    def _own_providers(self) -> Check:
        if not self._providers:
            return Check(False, "no provider is configured")
        return Check(True, ", ".join(self._providers))


def _shares(known: Known) -> str:
    if not known.calls:
        return "no calls since the start"
    unpriced, estimated = known.unpriced / known.calls, known.estimated / known.calls
    return f"of {known.calls} calls since the start {unpriced:.1%} have no known cost, {estimated:.1%} estimated usage"
