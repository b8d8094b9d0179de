"""Moments as a command line takes and shows them, in UTC. How they are written is the business of `control.times`."""

import re
import time
from datetime import UTC, datetime

from gateway.control import times
from gateway.core.errors import Fault, Kind

_FORMS = "write how long from now on (30d, 12h), or 2026-12-31, or 2026-12-31T08:00:00Z"


def now_us() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def coming_us(text: str, option: str, now: int) -> int:
    """A moment after now: a duration from now on, a date or a time. Raises `Fault` (invalid) that names the option."""
    if re.fullmatch(times.DURATION, text):
        moment = now + times.duration_us(text, option)
    else:
        try:
            moment = times.past_us(text, option, now)
        except Fault as fault:  # whose hint is about durations that have passed
            raise Fault(fault.kind, fault.message, hint=_FORMS, param=option) from None
    if moment <= now:
        raise Fault(Kind.INVALID, f"{text!r} is not in the future", param=option)
    return moment


def shown(moment_us: int | None, *, seconds: bool = True) -> str:
    """A moment as a table shows it, `2026-10-31 08:00:00`, UTC; `–` without one."""
    if moment_us is None:
        return "–"
    moment = datetime.fromtimestamp(moment_us // 1_000_000, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}" if seconds else f"{moment:%Y-%m-%d %H:%M}"
