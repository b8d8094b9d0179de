"""An in-memory `Observer`."""

from gateway.core.calls import CallRecord


class Witness:
    """Keeps what it saw."""

    def __init__(self) -> None:
        self.seen: list[CallRecord] = []

    def call_ended(self, record: CallRecord) -> None:
        self.seen.append(record)
