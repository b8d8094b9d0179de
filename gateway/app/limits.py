"""From settings to limits: those of the file's scopes, and those of its keys."""

from gateway.core.limits import Limit
from gateway.core.scopes import scope_of
from gateway.settings import Settings


def declared_limits(settings: Settings) -> tuple[Limit, ...]:
    """In the order of the file. A key's own is named `key:NAME`, which no other limit is."""
    of_scopes = [
        Limit(name, scope_of(given.scope), given.rpm, given.tpm, given.in_flight, "file")
        for name, given in settings.limits.items()
    ]
    of_keys = [
        Limit(f"key:{name}", scope_of([("key", name)]), given.rpm, given.tpm, given.in_flight, "file")
        for name, given in settings.keys.items()
        if (given.rpm, given.tpm, given.in_flight) != (None, None, None)
    ]
    return (*of_scopes, *of_keys)
