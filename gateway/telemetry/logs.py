"""Structured logs on standard error: one line for each ended call, and what the program itself has to say.

Owns the shape of a line, JSON or console. Prompts and answers never come this way: the record has none. Secrets are
taken out of every text that somebody else wrote. Lines of other libraries are bridged in, so that they look the same.
"""

import json
import logging
import sys
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, BinaryIO

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

from gateway.core.calls import CallRecord, End
from gateway.core.keys import Secret
from gateway.core.money import usd_text
from gateway.telemetry.lines import LineWriter
from gateway.telemetry.scrub import Scrubber

Render = Callable[[EventDict], bytes]

_ONE_LINE = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z

_OURS = logging.getLogger("gateway")
_WORTH_A_LOOK = frozenset({End.REFUSED, End.FAILED, End.CUT_BY_UPSTREAM, End.CUT_BY_BUDGET, End.INTERRUPTED})


class _Stamp:
    """RFC 3339 in UTC from microseconds; calls come many a second, so the text of the second is kept."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def __call__(self, at_us: int) -> str:
        second, fraction = divmod(at_us, 1_000_000)
        if second != self._second:
            self._second, self._text = second, f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"
        return f"{self._text}.{fraction:06d}Z"


class _CallLine:
    """What one line says about an ended call. Used by one thread."""

    def __init__(self, render: Render, scrubber: Scrubber) -> None:
        self._render = render
        self._name = scrubber.name
        self._text = scrubber.text
        self._stamp = _Stamp()

    def __call__(self, record: CallRecord) -> bytes:
        facts, attempts, timings, name = record.facts, record.attempts, record.timings, self._name
        last = attempts[-1] if attempts else None
        # Adding up attempts is worth its time only where there is more than one.
        metered = last if last is not None and len(attempts) == 1 else record
        line: EventDict = {
            "timestamp": self._stamp(record.ended_us or facts.started_us),
            "level": "warning" if record.end in _WORTH_A_LOOK else "info",
            "event": "call",
            "id": facts.id,
            "path": facts.path,
            "key": facts.key,
            "team": facts.team,
            "model": facts.model and name(facts.model),
            "target": last and name(last.target),
            "stream": facts.stream,
            "end": record.end,
            "status": record.status,
            "error": record.error and self._text(record.error),
            "attempts": len(attempts),
            "usage": metered.usage.counts(),
            "usage_basis": metered.usage_basis,
            "cost_usd": usd_text(record.cost_nano),
            "overhead_ms": timings.overhead_ms,
            "ttft_ms": timings.ttft_ms,
            "duration_ms": timings.duration_ms,
        }
        return self._render(line)


class CallLog:
    """The observer that has one line written per ended call. The record is frozen, so its line can wait."""

    def __init__(self, write: Callable[[CallRecord], None]) -> None:
        self.call_ended = write


class Logs:
    """The logging of this process: `calls` is an observer, `dropped` counts lines nobody read, `stop` flushes."""

    def __init__(self, render: Render, writer: LineWriter[CallRecord | bytes], scrubber: Scrubber) -> None:
        self.calls = CallLog(writer.write)
        self._writer = writer
        self._bridge = _Bridge(render, writer.write, scrubber)
        self._before = (logging.root.handlers, logging.root.level, _OURS.level)
        _direct([self._bridge], logging.WARNING, logging.INFO)

    @property
    def dropped(self) -> int:
        return self._writer.dropped

    def stop(self) -> None:
        """Write what is queued and give logging back as it was found."""
        _direct(*self._before)
        structlog.reset_defaults()
        self._writer.stop()


def _direct(handlers: list[logging.Handler], others: int, ours: int) -> None:
    """Where records of the standard library's loggers go, and from which level on."""
    logging.root.handlers = handlers
    logging.root.setLevel(others)
    _OURS.setLevel(ours)


def configure(format: str = "json", *, secrets: tuple[Secret, ...] = (), stream: BinaryIO | None = None) -> Logs:
    """Set up logging for this process. `format`: json or console; `secrets` are blanked wherever they appear."""
    scrubber = Scrubber(secrets)
    target = stream or sys.stderr.buffer
    render = as_json if format == "json" else _Console(colors=target.isatty())
    line_of = _CallLine(render, scrubber)
    writer = LineWriter[CallRecord | bytes](target, lambda item: item if isinstance(item, bytes) else line_of(item))
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(),
            _Clean(scrubber),
            lambda _logger, _method, event: render(event),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: _Outlet(writer.write),
        cache_logger_on_first_use=False,
    )
    return Logs(render, writer, scrubber)


def as_json(event: EventDict) -> bytes:
    """One JSON object and a newline. What JSON has no word for is told by its `str`."""
    try:
        return orjson.dumps(event, str, _ONE_LINE)
    except TypeError:  # a lone surrogate, or a name that is no text: both escaped by the standard library
        return json.dumps(event, default=str, skipkeys=True).encode() + b"\n"


class _Console:
    """Lines for a person at a terminal. Escapes what would move the cursor or forge another line."""

    def __init__(self, *, colors: bool) -> None:
        # The default formatter shows local variables: prompts and keys among them.
        self._render = structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=structlog.dev.plain_traceback, sort_keys=False
        )

    def __call__(self, event: EventDict) -> bytes:
        shown = {name: _printable(name, value) for name, value in event.items() if value is not None}
        return f"{self._render(None, '', shown)}\n".encode("utf-8", "backslashreplace")


def _printable(name: str, value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    text = str(value)
    if name == "exception" or text.isprintable():
        return text
    return text.encode("unicode_escape").decode("ascii")


class _Clean:
    """The processor that takes secrets out of an event, whatever was passed to the logger."""

    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber = scrubber

    def __call__(self, _logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]) -> EventDict:
        return {name: self._scrubber.value(name, value) for name, value in event.items()}


class _Outlet:
    """What structlog takes for a logger: every level ends in the same queue."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = write


class _Bridge(logging.Handler):
    """Log records of other libraries, in our shape."""

    def __init__(self, render: Render, write: Callable[[bytes], None], scrubber: Scrubber) -> None:
        super().__init__()
        self._render = render
        self._write = write
        self._scrub = scrubber.text

    def emit(self, record: logging.LogRecord) -> None:
        event: EventDict = {
            "timestamp": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "event": self._scrub(record.getMessage()),
            "logger": record.name,
        }
        if record.exc_info:
            event["exception"] = self._scrub(logging.Formatter().formatException(record.exc_info))
        self._write(self._render(event))
