"""Log lines for a person at a terminal: when, how grave, what, and then what else is known, as name=value.

Text that others wrote can neither move the cursor nor look like another line.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

_DIM, _BOLD, _CYAN, _PLAIN = "\x1b[2m", "\x1b[1m", "\x1b[36m", "\x1b[0m"
_LEVELS = {"debug": _DIM, "info": "\x1b[32m", "warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_AHEAD = frozenset({"timestamp", "level", "event"})
_BELOW = "exception"


class Console:
    """Makes a line, with its newline, of an event: a mapping with `timestamp`, `level` and `event` at least."""

    def __init__(self, *, colors: bool) -> None:
        self._colors = colors

    def __call__(self, event: Mapping[str, object]) -> bytes:
        level = str(event["level"])
        ahead = (
            self._in(_DIM, _moment(event["timestamp"])),
            f"[{self._in(_LEVELS.get(level, ''), level)}]",
            self._in(_BOLD, _printable(str(event["event"]))),
        )
        known = (
            f"{self._in(_CYAN, name)}={_shown(value)}"
            for name, value in event.items()
            if value is not None and name not in _AHEAD and name != _BELOW
        )
        below = (f"    {_printable(line)}" for line in str(event.get(_BELOW) or "").splitlines())
        return ("\n".join((" ".join((*ahead, *known)), *below)) + "\n").encode("utf-8", "backslashreplace")

    def _in(self, color: str, text: str) -> str:
        return f"{color}{text}{_PLAIN}" if self._colors else text


def _moment(at: object) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}" if isinstance(at, datetime) else str(at)


def _shown(value: object) -> str:
    """In quotes where it would not be seen where it ends."""
    text = _printable(str(value))
    return repr(text) if isinstance(value, str) and (not text or any(mark in text for mark in " ='\"")) else text


def _printable(text: str) -> str:
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
