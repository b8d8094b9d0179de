"""A clock that stands still until it is moved."""

from datetime import UTC, datetime

START = datetime(2026, 10, 31, 8, 0, 0, tzinfo=UTC)


class FakeClock:
    """`ports.Clock` under the test's hand."""

    def __init__(self, start: datetime = START) -> None:
        self._now_us = round(start.timestamp()) * 1_000_000
        self._monotonic = 1000.0

    def now_us(self) -> int:
        return self._now_us

    def monotonic(self) -> float:
        return self._monotonic

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self._now_us += round(seconds * 1_000_000)
        self._monotonic += seconds
