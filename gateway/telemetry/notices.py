"""The log of a process that only watches over others: a line now and then, in the shape of all other lines.

Written on the spot, because a process that forks must not have the thread that writes elsewhere.
"""

import logging
import sys
from datetime import UTC, datetime

from gateway.telemetry.console import Console
from gateway.telemetry.logs import Event, Render, as_json


def log_without_threads(format: str) -> None:
    """Set up logging for this process. `format`: json or console."""
    logging.root.handlers = [_Notices(as_json if format == "json" else Console(colors=sys.stderr.isatty()))]
    logging.root.setLevel(logging.WARNING)
    logging.getLogger("gateway").setLevel(logging.INFO)


class _Notices(logging.Handler):
    def __init__(self, render: Render) -> None:
        super().__init__()
        self._render = render

    def emit(self, record: logging.LogRecord) -> None:
        at, level = datetime.fromtimestamp(record.created, UTC), record.levelname.lower()
        event: Event = {"timestamp": at, "level": level, "event": record.getMessage(), "logger": record.name}
        try:
            sys.stderr.buffer.write(self._render(event))
            sys.stderr.buffer.flush()
        except OSError:
            return  # nobody reads it, and nothing here depends on that
