"""The time of day, for entries that this package stamps itself."""

import time


def wall_clock_us() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000
