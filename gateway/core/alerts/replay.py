"""A rule over the past: when it would have fired, and why, by the same code that watches the present."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace

from gateway.core.alerts.courses import Courses
from gateway.core.alerts.facts import Minute
from gateway.core.alerts.finding import Finding, Rule, Watch
from gateway.core.value import value


@value(frozen=True)
class Replayed:
    """What came of it."""

    findings: Sequence[Finding]
    """In order, one for each subject and window."""
    minutes: int
    """In which there was something to see, the history before the period included."""
    calls: int
    watch: Watch
    """As it stands at the end; it explains what did not fire."""


class Replay:
    """Takes one minute after the other."""

    def __init__(self, rule: Rule, since_us: int, courses: Courses | None = None) -> None:
        """Findings before `since_us` are left out: the minutes before are there to learn from. `courses`: works out
        where budgets stood, for minutes that do not say it."""
        self._since_us = since_us
        self._courses = courses
        self._watch = rule.watch()
        self._findings: list[Finding] = []
        self._minutes = 0
        self._calls = 0

    def see(self, minute: Minute) -> None:
        if self._courses is not None:
            minute = replace(minute, budgets=self._courses.add(minute.calls, minute.end_us))
        self._minutes += 1
        self._calls += len(minute.calls)
        self._findings += [one for one in self._watch.see(minute) if one.at_us > self._since_us]

    def over(self) -> Replayed:
        """Everything that was found."""
        return Replayed(tuple(self._findings), self._minutes, self._calls, self._watch)


def replay(rule: Rule, minutes: Iterable[Minute], since_us: int = 0, courses: Courses | None = None) -> Replayed:
    """A rule over a sequence of minutes."""
    run = Replay(rule, since_us, courses)
    for minute in minutes:
        run.see(minute)
    return run.over()


async def replay_async(
    rule: Rule, minutes: AsyncIterator[Minute], since_us: int = 0, courses: Courses | None = None
) -> Replayed:
    """… over minutes that are read meanwhile."""
    run = Replay(rule, since_us, courses)
    async for minute in minutes:
        run.see(minute)
    return run.over()
