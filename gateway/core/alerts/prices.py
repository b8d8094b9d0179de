"""`price_unknown` and `price_changed`: what a call costs is not known, or no longer what it was."""

from collections.abc import Mapping
from decimal import Decimal

from gateway.core.alerts.event import Severity
from gateway.core.alerts.facts import DAY_US, Minute, sums_of
from gateway.core.alerts.finding import Finding, Told, concerned, day_of
from gateway.core.alerts.sliding import Recent
from gateway.core.scopes import Scope
from gateway.core.value import value

_TARGETS = 5_000
_BY_TARGET = Scope((("target", "*"),))


@value(frozen=True)
class PriceUnknown:
    """An upstream answered, and nobody knows what that cost (promises §3). Once a day for each target."""

    name: str
    scope: Scope = _BY_TARGET
    calls: int = 1
    """So many in a day tell."""

    @property
    def history_days(self) -> int:
        return 1

    def watch(self) -> "PriceUnknownWatch":
        return PriceUnknownWatch(self)


class PriceUnknownWatch:
    """Counts unpriced calls by subject and day."""

    def __init__(self, rule: PriceUnknown) -> None:
        self._rule = rule
        self._told = Told()
        self._counts: Recent[str, tuple[int, int]] = Recent(_TARGETS)
        """Day and count."""

    def see(self, minute: Minute) -> list[Finding]:
        found, day = [], minute.start_us // DAY_US
        for subject, sums in sums_of(minute.calls, self._rule.scope).items():
            on, count = self._counts.get(subject) or (day, 0)
            count = (count if on == day else 0) + sums.unpriced_calls
            self._counts.put(subject, (day, count))
            if count >= self._rule.calls and self._told.first(subject, day_of(minute.start_us)):
                found.append(self._finding(subject, count, minute))
        return found

    def _finding(self, subject: str, count: int, minute: Minute) -> Finding:
        return Finding(
            rule=self._rule.name,
            kind="price_unknown",
            type="price.unknown",
            subject=subject,
            window=day_of(minute.start_us),
            severity=Severity.WARNING,
            at_us=minute.end_us,
            because=f"{subject}: {count} answered calls today whose cost is unknown, told from {self._rule.calls} on; "
            "set a price with `tollkeeper prices set`",
            facts={"unpriced_calls": count, "bound": self._rule.calls},
            concerns=concerned(subject),
        )

    def explain(self, subject: str) -> str:
        """The count of the last day on which it called."""
        _, count = self._counts.get(subject) or (0, 0)
        return f"{subject}: {count} calls of unknown cost on its last day, told from {self._rule.calls} on"


@value(frozen=True)
class PriceChanged:
    """The unit price of a bucket is no longer what it was at the last call."""

    name: str
    percent: float = 0.0
    """A change up to this, in either direction, tells nobody."""

    @property
    def history_days(self) -> int:
        return 28

    def watch(self) -> "PriceChangedWatch":
        return PriceChangedWatch(self)


class PriceChangedWatch:
    """Remembers the last unit price of each target and bucket."""

    def __init__(self, rule: PriceChanged) -> None:
        self._rule = rule
        self._told = Told()
        self._last: Recent[str, Mapping[str, str]] = Recent(_TARGETS)

    def see(self, minute: Minute) -> list[Finding]:
        found = []
        for price in minute.prices:
            known = self._last.get(price.target) or {}
            before = known.get(price.bucket)
            if before is not None and Decimal(before) == Decimal(price.usd_per_million):
                continue
            self._last.put(price.target, {**known, price.bucket: price.usd_per_million})
            if before is None:
                continue
            finding = self._changed(price.target, price.bucket, before, price.usd_per_million, minute)
            if finding is not None:
                found.append(finding)
        return found

    def _changed(self, target: str, bucket: str, before: str, after: str, minute: Minute) -> Finding | None:
        percent = None if not Decimal(before) else float((Decimal(after) / Decimal(before) - 1) * 100)
        subject = f"target={target}"
        small = percent is not None and abs(percent) <= self._rule.percent
        if small or not self._told.first(subject, f"{day_of(minute.start_us)}/{bucket}/{after}"):
            return None
        by = "" if percent is None else f", {percent:+.1f} %"
        return Finding(
            rule=self._rule.name,
            kind="price_changed",
            type="price.changed",
            subject=subject,
            window=f"{day_of(minute.start_us)}/{bucket}/{after}",
            severity=Severity.WARNING if percent is None or percent > 0 else Severity.INFO,
            at_us=minute.end_us,
            because=f"{subject}: {bucket} costs ${after} for a million, before ${before}{by}; "
            f"changes beyond {self._rule.percent:g} % are told",
            facts={"bucket": bucket, "before": before, "after": after, "percent": percent},
            concerns={"target": target},
        )

    def explain(self, subject: str) -> str:
        """The last unit prices."""
        known = self._last.get(subject.removeprefix("target=")) or {}
        prices = ", ".join(f"{bucket} ${usd}" for bucket, usd in sorted(known.items()))
        return f"{subject}: last seen {prices or 'without a price'}; changes beyond {self._rule.percent:g} % are told"
