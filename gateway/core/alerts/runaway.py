"""`runaway`: one session or key has got into a loop (known fault 51: retry spirals, token explosions).

Four signs over the last ten minutes: calls of nearly the same size again and again, failures repeated, a prompt that
grows without end, more calls than ever before. Prompts are not stored, so "nearly the same" means the same model and a
prompt of the same length within 2 %. Each sign has a floor, and must pass what the same key has done on days before.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import log
from typing import TypeAlias

from gateway.core.alerts.event import Severity
from gateway.core.alerts.facts import DAY_US, MINUTE_US, CallSeen, Minute
from gateway.core.alerts.finding import Finding, Told, concerned, day_of, dollars
from gateway.core.alerts.sliding import Recent, Sliding
from gateway.core.money import NANO_PER_USD, Nano
from gateway.core.scopes import Scope, subject_of
from gateway.core.value import value

WINDOW = 10
"""Minutes."""
_KEYS, _SESSIONS = 2_000, 5_000
_SIZES = 64
"""Sizes of prompts that are counted apart, of one subject."""
_PER_SIZE = 1 / log(1.02)
_DAYS = 14
_YOUNG_DAYS = 2
_YOUNG = 5
"""How many times the floor a sign must pass while a key has less history than that."""
_SIGNS = ("repeats", "failures", "growth", "calls")
_GROWN_CALLS = 40
_STEADY = 0.3
"""The part of `beyond` that is asked of a prompt's length: agents cut what they carry at the same length again and
again, so that a little beyond it says as much as twice the calls."""
_BY_KEY = Scope((("key", "*"),))
_BY_SESSION = Scope((("key", "*"), ("session", "*")))

_Caller: TypeAlias = tuple[str, str | None]
"""A key's name and a session of it, or null for the whole key."""


@value(frozen=True)
class Runaway:
    """One session or key in a loop."""

    name: str
    repeats: int = 40
    """Calls of nearly the same size in ten minutes, and four in five of all."""
    failures: int = 30
    """Failed calls in ten minutes, and four in five of all."""
    grown_tokens: int = 100_000
    """Of a session's prompt, grown from call to call over forty calls, to four times what it was or by half as many."""
    calls: int = 100
    """In ten minutes, of whatever kind."""
    beyond: float = 2.0
    """How many times what the key did on its busiest day but one of the last fourteen; prompts scatter less, see
    `_STEADY`."""
    min_nano: Nano = 2 * NANO_PER_USD
    """In ten minutes; only failures are told whatever they cost."""

    @property
    def history_days(self) -> int:
        return _DAYS

    def watch(self) -> "RunawayWatch":
        return RunawayWatch(self)


class Peaks:
    """The highest figure of each sign on each of the last days."""

    __slots__ = ("_by_day", "_first")

    def __init__(self, day: int) -> None:
        self._by_day: dict[int, list[int]] = {}
        self._first = day

    def learn(self, day: int, figures: Iterable[int]) -> None:
        highest = self._by_day.setdefault(day, [0] * len(_SIGNS))
        for place, figure in enumerate(figures):
            highest[place] = max(highest[place], figure)
        while len(self._by_day) > _DAYS:
            del self._by_day[min(self._by_day)]

    def usual(self, day: int, sign: int) -> int:
        """Of the days before: the highest but one; of one day alone twice its peak, for one day says little."""
        before = sorted(figures[sign] for on, figures in self._by_day.items() if on < day)
        if len(before) < 2:
            return 2 * before[0] if before else 0
        return before[-2]

    def days(self, day: int) -> int:
        return min(day - self._first, _DAYS)


@dataclass(slots=True)
class _Size:
    """Calls of one model whose prompts have nearly the same length."""

    calls: Sliding
    tokens: int


class _Run:
    """The last ten minutes of one subject."""

    __slots__ = ("calls", "cost", "failures", "first_tokens", "grown", "sizes", "tokens")

    def __init__(self) -> None:
        self.calls, self.failures, self.cost = Sliding(WINDOW), Sliding(WINDOW), Sliding(WINDOW)
        self.sizes: Recent[tuple[str, int], _Size] = Recent(_SIZES)
        self.first_tokens = 0
        self.tokens = 0
        self.grown = 0
        """How many calls in a row had a prompt no shorter than the one before."""

    def advance(self, minute: int) -> None:
        self.calls.advance(minute)
        self.failures.advance(minute)
        self.cost.advance(minute)

    def add(self, call: CallSeen, minute: int) -> int:
        """Count a call; how many of the last ten minutes are like it."""
        self.calls.add(1)
        self.cost.add(call.cost_nano or 0)
        if call.failed:
            self.failures.add(1)
        if not call.input_tokens:
            return 0
        self._grow(call.input_tokens)
        return self._alike(call.seen.get("model") or "", call.input_tokens, minute)

    def _grow(self, tokens: int) -> None:
        if tokens >= 0.98 * self.tokens and self.tokens:
            self.grown += 1
        else:
            self.first_tokens, self.grown = tokens, 0
        self.tokens = tokens

    def _alike(self, model: str, tokens: int, minute: int) -> int:
        """Two neighbouring sizes count together, for a length may lie on the border between them."""
        place = round(log(tokens) * _PER_SIZE)
        own = self.sizes.get((model, place))
        if own is None:
            own = _Size(Sliding(WINDOW), tokens)
            self.sizes.put((model, place), own)
        own.calls.advance(minute)
        own.calls.add(1)
        beside = 0
        for other in (place - 1, place + 1):
            near = self.sizes.get((model, other))
            if near is not None:
                near.calls.advance(minute)
                beside = max(beside, near.calls.sum)
        return own.calls.sum + beside


class RunawayWatch:
    """The runs of the keys and sessions that called last, and the peaks of the keys."""

    def __init__(self, rule: Runaway) -> None:
        self._rule = rule
        self._told = Told()
        self._runs: Recent[_Caller, _Run] = Recent(_KEYS + _SESSIONS)
        self._peaks: Recent[tuple[str, bool], Peaks] = Recent(2 * _KEYS)

    def see(self, minute: Minute) -> list[Finding]:
        number = minute.start_us // MINUTE_US
        seen: dict[_Caller, tuple[CallSeen, int]] = {}
        for call in minute.calls:
            key, session = call.seen.get("key"), call.seen.get("session")
            if key is None:
                continue
            callers: list[_Caller] = [(key, None), (key, session)] if session else [(key, None)]
            for caller in callers:
                alike = self._run(caller, number).add(call, number)
                seen[caller] = call, max(alike, seen[caller][1] if caller in seen else 0)
        found = []
        for caller, (call, alike) in seen.items():
            finding = self._judged(caller, call, alike, minute.end_us)
            if finding is not None:
                found.append(finding)
        return found

    def _run(self, caller: _Caller, minute: int) -> _Run:
        run = self._runs.get(caller)
        if run is None:
            run = _Run()
            self._runs.put(caller, run)
        run.advance(minute)
        return run

    def _judged(self, caller: _Caller, call: CallSeen, alike: int, at_us: int) -> Finding | None:
        """Sessions are held against what the key's sessions did before, keys against what they did themselves."""
        key, session = caller
        run, day = self._run(caller, at_us // MINUTE_US - 1), (at_us - 1) // DAY_US
        owner = key, session is not None
        peaks = self._peaks.get(owner)
        if peaks is None:
            peaks = Peaks(day)
            self._peaks.put(owner, peaks)
        young = session is None and peaks.days(day) < _YOUNG_DAYS
        signs = _figures(self._rule, run, alike, session is not None, _YOUNG if young else 1)
        hit = next((place for place, sign in enumerate(signs) if self._fires(sign, peaks, day, place)), None)
        figures = [sign.figure for sign in signs]
        if hit is None:
            peaks.learn(day, figures)
            return None
        usual = peaks.usual(day, hit)
        figures[hit] = min(figures[hit], round(signs[hit].bound(usual)))
        peaks.learn(day, figures)
        subject = subject_of(_BY_KEY if session is None else _BY_SESSION, call.seen) or ""
        if not self._told.first(subject, day_of(at_us - 1)):
            return None
        return self._finding(subject, call, signs[hit], usual, at_us)

    def _fires(self, sign: "_Sign", peaks: Peaks, day: int, place: int) -> bool:
        if not sign.holds or sign.figure < sign.floor:
            return False
        costly = sign.cost_nano >= self._rule.min_nano or sign.name == "failures"
        return costly and sign.figure >= sign.bound(peaks.usual(day, place))

    def _finding(self, subject: str, call: CallSeen, sign: "_Sign", usual: int, at_us: int) -> Finding:
        bound = sign.bound(usual)
        return Finding(
            rule=self._rule.name,
            kind="runaway",
            type="spend.runaway",
            subject=subject,
            window=day_of(at_us - 1),
            severity=Severity.CRITICAL,
            at_us=at_us,
            because=f"{subject}: {sign.told()}, {dollars(sign.cost_nano)} in {WINDOW} minutes; the bound is "
            f"{bound:,.0f}, the larger of {sign.floor:,} and {sign.beyond:g} times the usual {usual:,.0f}",
            facts={"sign": sign.name, "figure": sign.figure, "bound": bound, "cost_nano": sign.cost_nano},
            concerns={
                name: has for name in ("key", "session", "model", "target") if (has := call.seen.get(name)) is not None
            },
        )

    def explain(self, subject: str) -> str:
        """The figures of the last ten minutes in which it called."""
        parts = concerned(subject)
        run = self._runs.get((parts.get("key", ""), parts.get("session")))
        if run is None:
            return f"{subject} has not called lately"
        return (
            f"{subject}: {run.calls.sum} calls in {WINDOW} minutes, {run.failures.sum} of them failed, for "
            f"{dollars(run.cost.sum)}; its prompt has grown {run.grown} times, from {run.first_tokens:,} to "
            f"{run.tokens:,} tokens; told from {self._rule.repeats} alike, {self._rule.failures} failed, "
            f"{self._rule.grown_tokens:,} tokens or {self._rule.calls} calls on, "
            f"{self._rule.beyond:g} times the key's usual, and {dollars(self._rule.min_nano)}"
        )


@value(frozen=True)
class _Sign:
    """One sign of a loop, as far as it is there."""

    name: str
    figure: int
    floor: int
    holds: bool
    """What is not a matter of how much."""
    calls: int
    """Of which it is a sign."""
    cost_nano: Nano
    beyond: float
    """How many times the usual figure it must be."""

    def bound(self, usual: float) -> float:
        return max(float(self.floor), self.beyond * usual)

    def told(self) -> str:
        """As a part of a sentence."""
        if self.name == "repeats":
            return f"{self.figure} of {self.calls} calls had nearly the same size"
        if self.name == "growth":
            return f"its prompt has grown in {self.calls} calls in a row, to {self.figure:,} tokens"
        return f"{self.figure} of {self.calls} calls failed" if self.name == "failures" else f"{self.calls} calls"


def _figures(rule: Runaway, run: _Run, alike: int, one_session: bool, times: int) -> list[_Sign]:
    """In the order of `_SIGNS`; every floor so many times as high as the rule has it."""
    calls, failures, cost = run.calls.sum, run.failures.sum, run.cost.sum
    beyond, steady = rule.beyond, 1 + _STEADY * (rule.beyond - 1)
    far = run.tokens >= 4 * run.first_tokens or run.tokens - run.first_tokens >= rule.grown_tokens / 2
    grows = one_session and run.grown >= _GROWN_CALLS and far
    return [
        _Sign("repeats", alike, times * rule.repeats, alike >= 0.8 * calls, calls, cost, beyond),
        _Sign("failures", failures, times * rule.failures, failures >= 0.8 * calls, calls, cost, beyond),
        _Sign("growth", run.tokens if one_session else 0, times * rule.grown_tokens, grows, run.grown, cost, steady),
        _Sign("calls", calls, times * rule.calls, True, calls, cost, beyond),
    ]
