"""`latency` and `errors`: calls are slow, or fail, over the last minutes."""

from collections import deque
from collections.abc import Mapping

from gateway.core.alerts.event import Severity
from gateway.core.alerts.facts import MINUTE_US, Minute, Sums, sums_of
from gateway.core.alerts.finding import Finding, Told, concerned, hour_of, span_text
from gateway.core.alerts.sliding import Recent, Sliding
from gateway.core.scopes import Scope
from gateway.core.sketch import Sketch
from gateway.core.value import value

_SUBJECTS = 2_000
_BY_TARGET = Scope((("target", "*"),))
_MEASURES: Mapping[str, str] = {"ttft": "time to the first token", "duration": "duration"}


@value(frozen=True)
class Latency:
    """A percentile of the calls of the last minutes."""

    name: str
    above_ms: float
    """Told above this."""
    measure: str = "ttft"
    """`ttft` (streams only) or `duration`."""
    percentile: int = 95
    minutes: int = 10
    calls: int = 20
    """Fewer tell nothing."""
    scope: Scope = _BY_TARGET

    @property
    def history_days(self) -> int:
        return 1

    def watch(self) -> "LatencyWatch":
        return LatencyWatch(self)


class LatencyWatch:
    """The sketches of the last minutes, by subject."""

    def __init__(self, rule: Latency) -> None:
        self._rule = rule
        self._told = Told()
        self._sketches: Recent[str, deque[tuple[int, Sketch]]] = Recent(_SUBJECTS)

    def see(self, minute: Minute) -> list[Finding]:
        found, number = [], minute.start_us // MINUTE_US
        for subject, sums in sums_of(minute.calls, self._rule.scope).items():
            sketches = self._sketches.get(subject)
            if sketches is None:
                sketches = deque()
                self._sketches.put(subject, sketches)
            sketches.append((number, self._measured(sums)))
            while sketches[0][0] <= number - self._rule.minutes:
                sketches.popleft()
            finding = self._judged(subject, sketches, minute.end_us)
            if finding is not None:
                found.append(finding)
        return found

    def _measured(self, sums: Sums) -> Sketch:
        return sums.ttft_ms if self._rule.measure == "ttft" else sums.duration_ms

    def _judged(self, subject: str, sketches: deque[tuple[int, Sketch]], at_us: int) -> Finding | None:
        slow, count = self._percentile(sketches)
        window = hour_of(at_us - 1)
        if slow is None or count < self._rule.calls or slow <= self._rule.above_ms:
            return None
        if not self._told.first(subject, window):
            return None
        return Finding(
            rule=self._rule.name,
            kind="latency",
            type="latency.slow",
            subject=subject,
            window=window,
            severity=Severity.WARNING,
            at_us=at_us,
            because=self._sentence(subject, slow, count),
            facts={"measure": self._rule.measure, "ms": round(slow, 1), "bound": self._rule.above_ms, "calls": count},
            concerns=concerned(subject),
        )

    def _percentile(self, sketches: deque[tuple[int, Sketch]]) -> tuple[float | None, int]:
        whole = Sketch()
        for _, sketch in sketches:
            whole.merge(sketch)
        return whole.quantile(self._rule.percentile / 100), whole.count

    def _sentence(self, subject: str, slow: float, count: int) -> str:
        rule = self._rule
        return (
            f"{subject}: the {rule.percentile}th percentile of the {_MEASURES[rule.measure]} of {count} calls in "
            f"{span_text(rule.minutes)} is {slow:,.0f} ms; the bound is {rule.above_ms:,.0f} ms"
        )

    def explain(self, subject: str) -> str:
        """The percentile, and how many calls it takes."""
        slow, count = self._percentile(self._sketches.get(subject) or deque())
        if slow is None:
            return f"{subject}: no call was measured lately"
        return f"{self._sentence(subject, slow, count)}, told from {self._rule.calls} calls on"


@value(frozen=True)
class Errors:
    """The share of the calls of the last minutes that failed or that the upstream cut."""

    name: str
    share: float = 0.2
    """Told from this on."""
    minutes: int = 10
    calls: int = 20
    """Fewer tell nothing."""
    scope: Scope = _BY_TARGET

    @property
    def history_days(self) -> int:
        return 1

    def watch(self) -> "ErrorsWatch":
        return ErrorsWatch(self)


class ErrorsWatch:
    """Calls and errors of the last minutes, by subject."""

    def __init__(self, rule: Errors) -> None:
        self._rule = rule
        self._told = Told()
        self._counts: Recent[str, tuple[Sliding, Sliding]] = Recent(_SUBJECTS)

    def see(self, minute: Minute) -> list[Finding]:
        found = []
        for subject, sums in sums_of(minute.calls, self._rule.scope).items():
            spans = self._counts.get(subject)
            if spans is None:
                spans = Sliding(self._rule.minutes), Sliding(self._rule.minutes)
                self._counts.put(subject, spans)
            for span, count in zip(spans, (sums.calls, sums.errors), strict=True):
                span.advance(minute.start_us // MINUTE_US)
                span.add(count)
            finding = self._judged(subject, *spans, minute.end_us)
            if finding is not None:
                found.append(finding)
        return found

    def _judged(self, subject: str, calls: Sliding, errors: Sliding, at_us: int) -> Finding | None:
        window = hour_of(at_us - 1)
        if calls.sum < self._rule.calls or errors.sum < self._rule.share * calls.sum or not errors.sum:
            return None
        if not self._told.first(subject, window):
            return None
        return Finding(
            rule=self._rule.name,
            kind="errors",
            type="provider.errors",
            subject=subject,
            window=window,
            severity=Severity.CRITICAL if errors.sum >= 0.9 * calls.sum else Severity.WARNING,
            at_us=at_us,
            because=self._sentence(subject, calls, errors),
            facts={"errors": errors.sum, "calls": calls.sum, "bound": self._rule.share},
            concerns=concerned(subject),
        )

    def _sentence(self, subject: str, calls: Sliding, errors: Sliding) -> str:
        share = errors.sum / calls.sum if calls.sum else 0.0
        return (
            f"{subject}: {errors.sum} of {calls.sum} calls in {span_text(self._rule.minutes)} failed, {share:.1%}; "
            f"the bound is {self._rule.share:.1%}"
        )

    def explain(self, subject: str) -> str:
        """The share, and how many calls it takes."""
        spans = self._counts.get(subject)
        if spans is None:
            return f"{subject} has not called yet"
        return f"{self._sentence(subject, *spans)}, told from {self._rule.calls} calls on"
