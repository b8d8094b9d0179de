"""Server-sent events, cut out of whatever reads the network hands over (WHATWG HTML, §9.2).

Observes; never rebuilds: an event is returned with the very bytes it came in. Knows nothing of any dialect.
"""

import re

MAX_EVENT = 8 * 1024 * 1024
"""Bytes. An event longer than this is let through unread: nobody's usage event is, and memory stays flat."""

# Two line ends in a row. A CR at the very end of what has come may be half of a CRLF, so it does not count yet.
_END = re.compile(rb"(?:\r\n|\n|\r(?=[^\n]))(?:\r\n|\n|\r(?=[^\n]))")
_LINE = re.compile(rb"\r\n|\n|\r")


class EventSplitter:
    """Cuts a byte stream into events; any split of the stream into reads gives the same events."""

    __slots__ = ("_held", "_searched", "overlong")

    def __init__(self) -> None:
        self._held = bytearray()
        self._searched = 0
        self.overlong = False
        """True while the bytes of an event past `MAX_EVENT` are being let through."""

    def feed(self, data: bytes) -> list[bytes]:
        """The events that are complete now, each with the blank line that ends it."""
        if not self._held and b"\r" not in data and data[-2:] == b"\n\n":
            if data.find(b"\n\n") == len(data) - 2:
                return [data]  # one read, one event: what tokens look like
            if b"\n\n\n" in data:  # where an event ends is for the pattern to say
                return self._slow(data)
            return [part + b"\n\n" for part in data[:-2].split(b"\n\n")]
        return self._slow(data)

    def _slow(self, data: bytes) -> list[bytes]:
        held = self._held
        held += data
        events: list[bytes] = []
        start = 0
        position = max(self._searched - 3, 0)
        while found := _END.search(held, position):
            events.append(bytes(held[start : found.end()]))
            start = position = found.end()
        if start:
            del held[:start]
            self.overlong = False
        self._searched = len(held)
        if len(held) > MAX_EVENT:
            self.overlong = True
            events.append(bytes(held))
            held.clear()
            self._searched = 0
        return events

    def rest(self) -> bytes:
        """What came after the last complete event; the splitter is empty afterwards."""
        left = bytes(self._held)
        self._held.clear()
        self._searched = 0
        return left


def data_of(event: bytes) -> bytes | None:
    """The payload of an event: its `data` lines joined by newlines; None if it has none (comments, pings)."""
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2 and event[-1:] == b"\n":
        return event[6:-2]
    lines = []
    for line in _LINE.split(event):
        if line == b"data":
            lines.append(b"")
        elif line.startswith(b"data:"):
            lines.append(line[6:] if line[5:6] == b" " else line[5:])
    return b"\n".join(lines) if lines else None
