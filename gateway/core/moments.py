"""Times as the contract writes them: RFC 3339 in UTC."""

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment(us: int) -> str:
    """Microseconds since 1970 UTC as RFC 3339."""
    time = EPOCH + timedelta(microseconds=us)
    return time.isoformat(timespec="microseconds" if time.microsecond else "seconds").replace("+00:00", "Z")
