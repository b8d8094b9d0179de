"""How a gateway is: what `/readyz` and `/metrics` say of the database, the journal and the providers."""

from collections.abc import Callable, Collection

from gateway.app.team import Team
from gateway.control.dependencies import Check, Health, Probe
from gateway.jobs.ledger import LedgerJob
from gateway.storage.journal import JournalWriter
from gateway.storage.journal_folder import bytes_of
from gateway.telemetry.metrics import StorageStats


class Condition:
    """Of this process, weighed with that of the other workers where there are some."""

    def __init__(
        self,
        journal: JournalWriter,
        ledger: LedgerJob,
        providers: Collection[str],
        lines_dropped: Callable[[], int],
        team: Team | None,
    ) -> None:
        """`lines_dropped`: how many log lines were given up."""
        self._journal = journal
        self._ledger = ledger
        self._providers = providers
        self._lines_dropped = lines_dropped
        self._team = team

    def health(self) -> Health:
        """What `/readyz` asks."""
        return Health(
            database=self._probe("database", self._database),
            journal=self._probe("journal", self._own_journal),
            providers=self._probe("providers", self._own_providers),
        )

    def checks(self) -> dict[str, Check]:
        """The state of this process alone."""
        return {"database": self._database(), "journal": self._own_journal(), "providers": self._own_providers()}

    def storage(self) -> StorageStats:
        """What `/metrics` says of journal and ledger of this process alone."""
        lag = self._ledger.stats()
        return StorageStats(
            backlog_bytes=lag.backlog_bytes,
            oldest_frame_age_seconds=lag.oldest_age_seconds,
            journal_bytes=self._journal.stats().bytes_on_disk,
            dead_letters=lag.dead_letters,
            corrupt_frames=lag.corrupt,
            torn_frames=lag.torn,
            log_lines_dropped=self._lines_dropped(),
        )

    def _probe(self, name: str, own: Callable[[], Check]) -> Probe:
        async def probe() -> Check:
            return own() if self._team is None else self._team.weighed(name, own())

        return probe

    def _database(self) -> Check:
        lag = self._ledger.stats()
        if lag.last_error is not None:
            return Check(False, f"the journal is taking over: {lag.last_error}")
        return Check(True, "the database takes every call")

    def _own_journal(self) -> Check:
        stats = self._journal.stats()
        if stats.trouble is not None:
            return Check(False, stats.trouble)
        return Check(True, f"{bytes_of(self._journal.directory.parent)} of {stats.max_bytes} bytes on disk")

    def _own_providers(self) -> Check:
        if not self._providers:
            return Check(False, "no provider is configured")
        return Check(True, ", ".join(self._providers))
