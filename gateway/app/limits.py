"""From settings to limits: those of the file's scopes, and those of its keys."""

from collections.abc import Callable

from gateway.app.budgets import places
from gateway.control.limits_desk import LimitDesk
from gateway.core.keys import own
from gateway.core.limits import Limit
from gateway.core.scopes import of_key, scope_of
from gateway.settings import KeySettings, Settings
from gateway.storage.engine import Database
from gateway.storage.limits import LimitRepository, LimitStore


def declared_limits(settings: Settings) -> tuple[Limit, ...]:
    """In the order of the file. A key's own is named `key:NAME`, which no other limit is."""
    of_scopes = [
        Limit(name, scope_of(given.scope), given.rpm, given.tpm, given.in_flight, "file")
        for name, given in settings.limits.items()
    ]
    of_keys = [
        Limit(own(name), of_key(name), given.rpm, given.tpm, given.in_flight, "file")
        for name, given in settings.keys.items()
        if _limits_something(given)
    ]
    return (*of_scopes, *of_keys)


def limit_desk(settings: Settings, database: Database, now_us: Callable[[], int]) -> LimitDesk:
    """Those of the file, and the stored ones."""
    repository, declared = LimitRepository(database, now_us), declared_limits(settings)
    return LimitDesk(
        repository=repository,
        store=LimitStore(repository, declared, settings.budgets.max_subjects),
        declared=declared,
        places=limit_places(settings),
    )


def limit_places(settings: Settings) -> dict[str, str | None]:
    """Which limits the file declares, and where: `tollkeeper.yaml, line 12`."""
    of_keys = {own(name): given.line for name, given in settings.keys.items() if _limits_something(given)}
    return places(settings, {name: given.line for name, given in settings.limits.items()} | of_keys)


def _limits_something(given: KeySettings) -> bool:
    return (given.rpm, given.tpm, given.in_flight) != (None, None, None)
