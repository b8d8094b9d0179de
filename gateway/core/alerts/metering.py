"""`metering_gap`: our own figures cannot be trusted: tokens without a cost, answers without usage, more and more
estimates, rows that do not reach the ledger. Silent failures are what users of such systems complain of most."""

from dataclasses import dataclass, replace

from gateway.core.alerts.event import Severity
from gateway.core.alerts.facts import DAY_US, MINUTE_US, Minute, Sums, sums_of
from gateway.core.alerts.finding import Finding, Told, concerned, hour_of, span_text
from gateway.core.alerts.sliding import Recent, Sliding
from gateway.core.scopes import EVERYTHING, Scope
from gateway.core.value import value

_SUBJECTS = 5_000
_DAYS = 7
_SIGNS = ("unpriced", "unmetered", "estimated")
_TOLD = {
    "unpriced": "have no known cost",
    "unmetered": "came without usage",
    "estimated": "are estimates",
}


@value(frozen=True)
class MeteringGap:
    """Shares of the answers of the last minutes, by subject; and how far the ledger is behind, for everything."""

    name: str
    scope: Scope = Scope((("target", "*"),))
    minutes: int = 15
    answers: int = 10
    """Fewer tell nothing."""
    unpriced: float = 0.05
    """The share of answers without a known cost that is told."""
    unmetered: float = 0.05
    """… of answers without any usage."""
    estimated: float = 0.25
    """… by which the share of estimates lies above that of the last seven days."""
    behind_s: float = 60.0
    """How long a record may wait for the ledger."""

    @property
    def history_days(self) -> int:
        return _DAYS

    def watch(self) -> "MeteringGapWatch":
        return MeteringGapWatch(self)


@dataclass(slots=True)
class _Metered:
    """The last minutes of one subject, and its share of estimates on days before."""

    answers: Sliding
    counts: dict[str, Sliding]
    day: int
    today: tuple[int, int] = (0, 0)
    """Answers and estimates."""
    share: float | None = None
    """Of estimates, over the days before; a day counts a seventh."""

    def add(self, sums: Sums, minute: int) -> None:
        day = minute * MINUTE_US // DAY_US
        if day != self.day:
            self._end_day(day)
        self.today = self.today[0] + sums.answers, self.today[1] + sums.estimated_calls
        counted = (sums.unpriced_calls, sums.unmetered_calls, sums.estimated_calls)
        for span, count in ((self.answers, sums.answers), *zip(self.counts.values(), counted, strict=True)):
            span.advance(minute)
            span.add(count)

    def _end_day(self, day: int) -> None:
        answers, estimated = self.today
        if answers:
            new = estimated / answers
            self.share = new if self.share is None else self.share + (new - self.share) / _DAYS
        self.day, self.today = day, (0, 0)


class MeteringGapWatch:
    """The shares of the subjects that answered last."""

    def __init__(self, rule: MeteringGap) -> None:
        self._rule = rule
        self._told = Told()
        self._metered: Recent[str, _Metered] = Recent(_SUBJECTS)
        self._behind_s: float | None = None

    def see(self, minute: Minute) -> list[Finding]:
        found, number = [], minute.start_us // MINUTE_US
        for subject, sums in sums_of(minute.calls, self._rule.scope).items():
            metered = self._metered.get(subject)
            if metered is None:
                spans = {sign: Sliding(self._rule.minutes) for sign in _SIGNS}
                metered = _Metered(Sliding(self._rule.minutes), spans, minute.start_us // DAY_US)
                self._metered.put(subject, metered)
            metered.add(sums, number)
            found += self._judged(subject, metered, minute.end_us)
        return found + self._behind(minute)

    def _bound(self, sign: str, metered: _Metered) -> float:
        if sign == "estimated":
            return (metered.share or 0.0) + self._rule.estimated
        return self._rule.unpriced if sign == "unpriced" else self._rule.unmetered

    def _judged(self, subject: str, metered: _Metered, at_us: int) -> list[Finding]:
        answers = metered.answers.sum
        if answers < self._rule.answers:
            return []
        found = []
        for sign, span in metered.counts.items():
            # Without days before nobody can say that a share has risen.
            known = sign != "estimated" or metered.share is not None
            passed = known and span.sum / answers > self._bound(sign, metered)
            if passed and self._told.first(subject, f"{hour_of(at_us - 1)}/{sign}"):
                found.append(self._gap(subject, metered, sign, at_us))
        return found

    def _gap(self, subject: str, metered: _Metered, sign: str, at_us: int) -> Finding:
        count, answers, bound = metered.counts[sign].sum, metered.answers.sum, self._bound(sign, metered)
        return self._finding(
            subject,
            f"{hour_of(at_us - 1)}/{sign}",
            at_us,
            self._sentence(subject, metered, sign),
            {"sign": sign, "calls": count, "answers": answers, "bound": round(bound, 4)},
        )

    def _sentence(self, subject: str, metered: _Metered, sign: str) -> str:
        count, answers, bound = metered.counts[sign].sum, metered.answers.sum, self._bound(sign, metered)
        share = count / answers if answers else 0.0
        return (
            f"{subject}: {count} of {answers} answers in {span_text(self._rule.minutes)} {_TOLD[sign]}, {share:.1%}; "
            f"the bound is {bound:.1%}"
        )

    def _behind(self, minute: Minute) -> list[Finding]:
        self._behind_s = minute.behind_s
        late = minute.behind_s
        window = f"{hour_of(minute.start_us)}/behind"
        if late is None or late <= self._rule.behind_s or not self._told.first(EVERYTHING, window):
            return []
        because = (
            f"rows do not move: a record has waited {late:.0f} s for the ledger, and {self._rule.behind_s:.0f} s are "
            "allowed; see `tollkeeper doctor`"
        )
        facts: dict[str, str | int | float | None] = {"sign": "behind", "behind_s": late, "bound": self._rule.behind_s}
        return [replace(self._finding(EVERYTHING, window, minute.end_us, because, facts), of_calls=False)]

    def _finding(
        self, subject: str, window: str, at_us: int, because: str, facts: dict[str, str | int | float | None]
    ) -> Finding:
        return Finding(
            rule=self._rule.name,
            kind="metering_gap",
            type="metering.gap",
            subject=subject,
            window=window,
            severity=Severity.WARNING,
            at_us=at_us,
            because=because,
            facts=facts,
            concerns=concerned(subject),
        )

    def explain(self, subject: str) -> str:
        """The shares and their bounds; of everything: how far the ledger is behind."""
        metered = self._metered.get(subject)
        if metered is None and subject == EVERYTHING:
            late = "was not measured" if self._behind_s is None else f"is {self._behind_s:.0f} s"
            return f"how far the ledger is behind {late}; {self._rule.behind_s:.0f} s are allowed"
        if metered is None:
            return f"{subject} has not answered yet"
        said = "; ".join(self._sentence(subject, metered, sign) for sign in _SIGNS)
        return f"{said}; told from {self._rule.answers} answers on"
