"""Structured logs on standard error: one line for each ended call, and what the program itself has to say.

Owns what a line says. Prompts and answers never come this way: the record has none. Secrets are taken out of every text
that somebody else wrote. We and our libraries log by the standard library; what does is bridged in and looks the same.
"""

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import BinaryIO, TypeAlias

import orjson

from gateway.core.calls import CallRecord, End
from gateway.core.keys import Secret
from gateway.core.money import usd_text
from gateway.telemetry.console import Console
from gateway.telemetry.lines import LineWriter
from gateway.telemetry.scrub import Scrubber

Event: TypeAlias = dict[str, object]
Render: TypeAlias = Callable[[Event], bytes]

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
        line: Event = {
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
    render = as_json if format == "json" else Console(colors=target.isatty())
    line_of = _CallLine(render, scrubber)
    writer = LineWriter[CallRecord | bytes](target, lambda item: item if isinstance(item, bytes) else line_of(item))
    return Logs(render, writer, scrubber)


def as_json(event: Event) -> bytes:
    """One JSON object and a newline. What JSON has no word for is told by its `str`."""
    try:
        return orjson.dumps(event, str, _ONE_LINE)
    except TypeError:  # a lone surrogate, or a name that is no text: both escaped by the standard library
        return json.dumps(event, default=str, skipkeys=True).encode() + b"\n"


class _Bridge(logging.Handler):
    """Log records of the standard library, in our shape. The traceback shows no local variables: prompts and keys."""

    def __init__(self, render: Render, write: Callable[[bytes], None], scrubber: Scrubber) -> None:
        super().__init__()
        self._render = render
        self._write = write
        self._scrub = scrubber.text

    def emit(self, record: logging.LogRecord) -> None:
        event: Event = {
            "timestamp": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "event": self._scrub(record.getMessage()),
            "logger": record.name,
        }
        if record.exc_info:
            event["exception"] = self._scrub(logging.Formatter().formatException(record.exc_info))
        self._write(self._render(event))
