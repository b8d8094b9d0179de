"""Scheduled reports as the file states them: how often, when, of what, and to whom.

Dimensions are told here a second time, because the settings lie below what owns them; a test holds both together.
"""

import re
from dataclasses import dataclass

from gateway.settings import rules
from gateway.settings.budgets import time_zone
from gateway.settings.problems import Wrong
from gateway.settings.rules import quoted, scalar
from gateway.settings.schema import Default, Section, listing, setting

EVERY = ("day", "week", "month")
DIMENSIONS = ("key", "team", "model", "target", "provider", "path", "end")

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


def _minute(text: str) -> int:
    read = _CLOCK.fullmatch(text)
    if read is None:
        raise Wrong(f"{quoted(text)} is no time of day", 'write it like "08:00"')
    return int(read[1]) * 60 + int(read[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSettings(Section):
    """A summary of each period, sent when it is over."""

    every: str = setting(rules.choice(*EVERY), "How often; weeks begin on Monday.", Default.REQUIRED)
    channels: tuple[str, ...] = setting(
        listing(rules.line_of_text, "list of channels"), "Who gets it; nobody: it is listed, and that is all.", "[]"
    )
    at: int = setting(
        scalar('time of day, `"08:00"`', _minute), "When it is made, on the first day after the period.", "08:00"
    )
    timezone: str = setting(time_zone, "Whose calendar and clock it follows.", "UTC")
    by: tuple[str, ...] | None = setting(
        listing(rules.choice(*DIMENSIONS), "list of dimensions"), "A table of each of these.", shown="`[team, model]`"
    )
    top: int = setting(rules.integer(1, 50), "Lines of each table.", "5")
    line: int | None = None
