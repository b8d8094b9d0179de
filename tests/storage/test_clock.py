"""The time of day."""

import time

from gateway.storage.clock import wall_clock_us


def test_microseconds_since_1970() -> None:
    before = int(time.time())
    assert before <= wall_clock_us() / 1e6 <= time.time() + 1
