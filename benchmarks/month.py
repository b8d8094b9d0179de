"""A month of simulated traffic: fifty keys with their days and weeks, and things that go wrong at known minutes.

Everything comes from the seed. Knows no rule.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import cos, exp, log, pi
from random import Random

from gateway.core.alerts.facts import DAY_US, MINUTE_US, CallSeen, Minute, PriceSeen
from gateway.core.money import NANO_PER_USD

START_US = 1_793_577_600_000_000
"""2026-11-02T00:00:00Z, a Monday."""
DAYS = 30
KEYS = 50
TARGETS = {"openai/large": 10.0, "openai/small": 1.0, "claude/large": 12.0, "claude/small": 2.0}
"""USD for a million tokens of the prompt; generated ones cost four times that."""
_DAY = 1440
_COMPACTED = 200_000
"""Tokens at which an agent sums up what it has and goes on with less."""
_PER_TOKEN = NANO_PER_USD / 1e6


@dataclass
class Key:
    """Who calls, and how."""

    name: str
    target: str
    calls_a_day: float
    tokens: float
    """Median length of a prompt."""
    people: float
    """0: around the clock, 1: office hours alone."""
    weekend: float
    """Of a working day's traffic."""
    batch: int
    """Calls of the nightly batch, all of nearly the same size."""
    agents: bool
    """Its calls come in sessions whose prompts grow."""
    seen: Mapping[str, str] = field(default_factory=dict)
    restless: float = 0.25
    """Scatter of its days (log-normal sigma); hours scatter a little more."""
    mood: float = 0.0

    def call_nano(self) -> float:
        """About what one call costs."""
        return self.tokens * 1.5 * TARGETS[self.target] * _PER_TOKEN

    def usd_a_day(self) -> float:
        return (self.calls_a_day * (1 + 4 * self.agents) + self.batch * 0.5) * self.call_nano() / NANO_PER_USD


@dataclass
class Incident:
    """Something that goes wrong at a known minute."""

    kind: str
    victim: str
    """A key's name, or a target."""
    begin: int
    """Minutes since the month's beginning."""
    end: int
    pace: float
    """Calls in a minute; the factor of a price; the daily growth of a creep."""
    size: float = 0.0
    nano: float = 0.0
    """What it has cost up to now beyond what would have been spent."""
    tenth_dollar: int | None = None
    """The minute in which that reached ten dollars."""
    coming: dict[int, float] = field(default_factory=dict)
    """What it will cost, by minute."""

    def cost(self, nano: float, minute: int) -> None:
        self.coming[minute] = self.coming.get(minute, 0.0) + nano

    def reach(self, minute: int) -> None:
        """That minute is over."""
        self.nano += self.coming.pop(minute, 0.0)
        if self.tenth_dollar is None and self.nano >= 10 * NANO_PER_USD:
            self.tenth_dollar = minute


class Month:
    """The minutes of a month with their calls, in order."""

    def __init__(self, seed: int, days: int = DAYS, keys: int = KEYS, *, calm: bool = False) -> None:
        """`calm`: nothing goes wrong."""
        self.random = Random(seed)  # noqa: S311  the same month for the same seed
        self.days = days
        self.keys = [self._steady(), *(self._key(number) for number in range(1, keys))]
        self.incidents = [] if calm else self._incidents()
        self._minutes: dict[int, list[CallSeen]] = {}

    def minutes(self) -> Iterator[Minute]:
        for day in range(self.days):
            for key in self.keys:
                self._day(key, day)
            for incident in self.incidents:
                self._incident(incident, day)
            for minute in range(day * _DAY, (day + 1) * _DAY):
                calls = self._minutes.pop(minute, ())
                prices = {call.seen["target"] or "": self._price(call.seen["target"] or "", minute) for call in calls}
                seen = tuple(PriceSeen(target, "input", f"{price:.4f}") for target, price in prices.items())
                for incident in self.incidents:
                    incident.reach(minute)
                yield Minute(START_US + minute * MINUTE_US, calls, (), seen)

    def key(self, name: str) -> Key:
        return next(key for key in self.keys if key.name == name)

    def _steady(self) -> Key:
        """A small service whose days are alike: in it ten dollars of creep are something."""
        seen = {"key": "key-00", "model": "small", "target": "openai/small"}
        return Key("key-00", "openai/small", 60, 17_000, 0.5, 0.7, 0, False, seen, 0.12)

    def _key(self, number: int) -> Key:
        random = self.random
        target = random.choice(list(TARGETS))
        usd = exp(random.gauss(log(6), 1.3))
        if usd > 20:
            target = random.choice(["openai/large", "claude/large"])
        calls = min(usd * exp(random.gauss(log(12), 0.7)), random.uniform(100, 200))
        tokens = min(usd / calls / 1.5 / TARGETS[target] * 1e6, 60_000)
        agents = random.random() < 0.3
        name = f"key-{number:02}"
        key = Key(
            name, target, 0, tokens, random.random(), random.uniform(0.15, 1), 0, agents,
            {"key": name, "model": target.partition("/")[2], "target": target},
            random.uniform(0.1, 0.35),
        )  # fmt: skip
        if random.random() < 0.2:
            key.batch = round(calls * random.uniform(0.3, 1.5))
        key.calls_a_day = calls / (5 if agents else 1)
        return key

    def _price(self, target: str, minute: int) -> float:
        price = TARGETS[target]
        for incident in self.incidents:
            if incident.kind == "price change" and incident.victim == target and minute >= incident.begin:
                price *= incident.pace
        return price

    # --- what is usual ---------------------------------------------------------------------------------------------

    def _day(self, key: Key, day: int) -> None:
        random = self.random
        key.mood = 0.5 * key.mood + random.gauss(0, key.restless * 0.87)
        busy = exp(key.mood) * (key.weekend if day % 7 > 4 else 1)
        for hour in range(24):
            office = max(0.0, cos((hour + random.random() - 13.5) / 24 * 2 * pi)) ** 1.5 * 2.6
            rate = key.calls_a_day / 24 * (key.people * office + (1 - key.people)) * busy
            for _ in range(poisson(random, rate * exp(random.gauss(0, key.restless * 1.2)))):
                self._arrive(key, day * _DAY + hour * 60 + random.randrange(60))
        if key.batch:
            begin, size = day * _DAY + 120 + random.randrange(20), round(key.batch * exp(random.gauss(0, 0.1)))
            for number in range(size):
                tokens = key.tokens * 0.5 * random.uniform(0.98, 1.02)
                self._call(key, begin + number * 45 // size, tokens)

    def _arrive(self, key: Key, minute: int, incident: Incident | None = None) -> None:
        random = self.random
        tokens = key.tokens * exp(random.gauss(0, 0.6))
        if not key.agents:
            self._call(key, minute, tokens, incident=incident)
            return
        session = f"s{random.randrange(10**9)}"
        tokens *= 0.4
        for _ in range(1 + min(40, int(random.expovariate(1 / 5)))):
            self._call(key, minute, tokens, session, incident)
            tokens += key.tokens * random.uniform(0.02, 0.25)
            if tokens > _COMPACTED:
                tokens = key.tokens * 0.4
            minute += random.choice((0, 0, 1, 1, 2))

    def _call(
        self, key: Key, minute: int, tokens: float, session: str | None = None, incident: Incident | None = None,
        generated: float = 0.125,
    ) -> None:  # fmt: skip
        """Generated tokens: a share of the prompt's, half of the cost on average."""
        random = self.random
        written = max(1, round(tokens * generated * exp(random.gauss(0, 0.5))))
        price = self._price(key.target, minute)
        nano = (tokens + 4 * written) * price * _PER_TOKEN
        seen = {**key.seen, "session": session} if session else key.seen
        call = CallSeen(START_US + minute * MINUTE_US, seen, round(nano), max(1, round(tokens)), written)
        self._minutes.setdefault(minute, []).append(call)
        if incident is not None:
            incident.cost(nano, minute)
        elif price != TARGETS[key.target]:
            change = next(one for one in self.incidents if one.victim == key.target)
            change.cost(nano * (1 - TARGETS[key.target] / price), minute)

    # --- what goes wrong -------------------------------------------------------------------------------------------

    def _incidents(self) -> list[Incident]:
        """Two loops, two stolen keys, a price change and a creep, at any hour from the ninth day on."""
        random = self.random
        victims = random.sample(self.keys[1:], 5)
        kinds = ("same prompt", "growing prompt", "stolen", "stolen", "price change")
        made = []
        for kind, key in zip(kinds, victims, strict=True):
            begin = random.randrange(8 * _DAY, (self.days - 2) * _DAY)
            pace = random.uniform(10, 60) if kind != "growing prompt" else random.uniform(2, 6)
            if kind == "price change":
                made.append(Incident(kind, key.target, begin, self.days * _DAY, random.choice((1.5, 2.0, 3.0))))
                continue
            usd = random.uniform(0.03, 0.3)
            size = usd * NANO_PER_USD / (1.5 * TARGETS[key.target] * _PER_TOKEN)
            made.append(Incident(kind, key.name, begin, begin + random.randrange(90, 300), pace, size))
        begin = random.randrange(9, 14) * _DAY
        made.append(Incident("creep", self.keys[0].name, begin, self.days * _DAY, random.uniform(0.15, 0.3)))
        return made

    def _incident(self, incident: Incident, day: int) -> None:
        random = self.random
        first, last = max(incident.begin, day * _DAY), min(incident.end, (day + 1) * _DAY)
        if last <= first or incident.kind == "price change":
            return
        key = self.key(incident.victim)
        if incident.kind == "creep":
            grown = incident.pace * min(12, day - incident.begin // _DAY + 1)
            for _ in range(poisson(random, key.calls_a_day * grown * (key.weekend if day % 7 > 4 else 1))):
                self._arrive(key, day * _DAY + min(_DAY - 1, int(random.gauss(810, 180)) % _DAY), incident)
            return
        for minute in range(first, last):
            for _ in range(poisson(random, incident.pace)):
                self._wrong(incident, key, minute)

    def _wrong(self, incident: Incident, key: Key, minute: int) -> None:
        random = self.random
        if incident.kind == "stolen":
            self._call(key, minute, incident.size * exp(random.gauss(0, 0.8)), None, incident)
        elif incident.kind == "same prompt":
            self._call(key, minute, incident.size * random.uniform(0.995, 1.005), "loop", incident)
        else:
            incident.size += random.uniform(1000, 4000)
            self._call(key, minute, incident.size, "grows", incident, 0.02)


def poisson(random: Random, mean: float) -> int:
    """How many, where so many are expected."""
    if mean > 40:
        return max(0, round(random.gauss(mean, mean**0.5)))
    left, count = exp(-mean), 0
    product = random.random()
    while product > left:
        product *= random.random()
        count += 1
    return count


assert DAY_US == _DAY * MINUTE_US
