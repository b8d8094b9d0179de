"""What the database says: its schema, its clock beside ours, its connections, its keys, and how far figures hold."""

import asyncio
from collections.abc import AsyncIterator

from gateway.cli import when
from gateway.cli.budget_uncertain import LATE_US
from gateway.cli.doctor.finding import Finding, failed, fault, ok, warning
from gateway.control.times import DAY_US
from gateway.core.errors import Fault
from gateway.core.money import Nano, usd_text
from gateway.settings import Settings
from gateway.storage.accounts import Accounts
from gateway.storage.checkup import CONNECTIONS, Checkup, Server, check_up
from gateway.storage.engine import Database, begun, current, differences, head
from gateway.storage.keys import KeyRepository
from gateway.storage.reports import Reports

_PATIENCE = 10.0
"""Seconds for one question to the database."""
_SKEW_US = 5_000_000
"""By how much two clocks may differ, and a call lie in the future."""
_SOON_US = 7 * DAY_US
_MANY_ESTIMATED = 0.05
"""The share of estimated calls from which on somebody should look."""
_BORN_US = 1_767_225_600_000_000
"""2026-01-01: no clock that is right says an earlier time."""

NOTHING_KNOWN = Checkup(newest_call_us=None, kept_since_us=0, server=None)


async def schema(url: str) -> Finding:
    """Whether the database can be reached and is of our revision."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await asyncio.to_thread(_schema, url)
    except TimeoutError:
        return failed("database", f"no answer within {_PATIENCE:g} s", "see whether its server works")
    except Fault as error:
        return fault("database", error)


def _schema(url: str) -> Finding:
    found, wanted = current(url), head()
    if found is None:
        return ok("database", "none yet: the first start makes it")
    if found != wanted:
        advice = "run `tollkeeper db upgrade`, or start: `serve` does it"
        left = "; an upgrade has begun and goes on, or was stopped" if begun(url) else ""
        return failed("database", f"it is of revision {found}, this version needs {wanted}{left}", advice)
    if departs := differences(url):
        seen = f"it departs from what this version expects: {'; '.join(departs)}"
        return failed("database", seen, "`tollkeeper db check` lists it; restore a backup, or undo what was changed")
    return ok("database", f"of revision {found}, as this version expects")


async def check(db: Database | None, settings: Settings) -> AsyncIterator[Finding]:
    """Everything that is asked of a database that is as it should be; without one there is the clock alone."""
    now = when.now_us()
    if db is None:
        yield clock(NOTHING_KNOWN, now)
        return
    try:
        checkup = await check_up(db, _PATIENCE)
        yield clock(checkup, now)
        if checkup.server is not None:
            yield server(checkup.server)
        yield await _figures(db, now)
        yield await _keys(db, settings, now)
        yield await _leases(db, now)
    except Fault as error:
        yield fault("database", error)


def clock(checkup: Checkup, now: int) -> Finding:
    """This machine's clock against the newest call and the server's clock."""
    if now < _BORN_US:
        return failed("clock", f"it says {when.shown(now)} UTC", "set it; calls are counted by the hour of their start")
    if checkup.server is not None and abs(checkup.server.clock_us - now) > _SKEW_US:
        apart = f"{abs(checkup.server.clock_us - now) / 1e6:,.0f} s"
        return warning("clock", f"{apart} away from the database server's", "let NTP set both")
    newest = checkup.newest_call_us
    if newest is not None and newest > now + _SKEW_US:
        seen = f"the newest call in the ledger started at {when.shown(newest)} UTC, which is yet to come"
        return warning("clock", seen, "the clock was set back: see whether it is right now")
    return ok("clock", f"{when.shown(now)} UTC" + ("" if newest is None else ", after every call in the ledger"))


def server(seen: Server) -> Finding:
    """Whether a PostgreSQL server has room for us and keeps what it confirms."""
    if not seen.durable:
        advice = "set it to on: what the ledger has confirmed leaves the journal"
        return warning("database server", "synchronous_commit is off", advice)
    left = seen.connections_allowed - seen.connections
    text = f"{seen.connections} of {seen.connections_allowed} connections in use, a gateway takes up to {CONNECTIONS}"
    if left < CONNECTIONS:
        return warning("database server", text, "raise max_connections, or put a pooler before it")
    return ok("database server", text)


async def _figures(db: Database, now: int) -> Finding:
    report = await Reports(db, _PATIENCE).usage([], now - DAY_US, now)
    return figures(report.totals.calls, report.totals.unpriced_calls, report.totals.estimated_calls)


def figures(calls: int, unpriced: int, estimated: int) -> Finding:
    """How much of the last 24 hours is known."""
    if not calls:
        return ok("figures", "no calls in the last 24 hours")
    seen = (
        f"of {calls:,} calls in the last 24 hours {unpriced:,} ({unpriced / calls:.1%}) have no known cost,"
        f" {estimated:,} ({estimated / calls:.1%}) estimated usage"
    )
    if unpriced:
        advice = (
            "`tollkeeper usage --by target --since 1d` shows whose; state a price, then `tollkeeper prices reprice`"
        )
        return warning("figures", seen, advice)
    if estimated > _MANY_ESTIMATED * calls:
        return warning(
            "figures", seen, "`tollkeeper calls` shows the basis: cut calls, or providers that state no usage"
        )
    return ok("figures", seen)


async def _keys(db: Database, settings: Settings, now: int) -> Finding:
    stored = [key for key in await KeyRepository(db).all() if key.revoked_us is None]
    ends = {key.name: key.expires_us for key in stored if key.expires_us is None or key.expires_us > now}
    for name, key in settings.keys.items():
        ends[name] = None if key.expires_at is None else int(key.expires_at.timestamp()) * 1_000_000
    return keys(ends, now)


def keys(ends: dict[str, int | None], now: int) -> Finding:
    """Which keys end soon; the settings file may hold some that have ended."""
    ending = sorted((end, name) for name, end in ends.items() if end is not None and end < now + _SOON_US)
    if not ending:
        return ok("keys", f"{len(ends)} in force, none ends within 7 days")
    told = [f"{name} {'ends' if end > now else 'ended'} {when.shown(end, seconds=False)} UTC" for end, name in ending]
    return warning("keys", "; ".join(told), "make new ones: `tollkeeper key create`")


async def _leases(db: Database, now: int) -> Finding:
    leases = await Accounts(db, "doctor").leases(now - LATE_US)
    return leased({lease.owner for lease in leases if lease.granted}, sum(lease.granted for lease in leases))


def leased(owners: set[str], nano: Nano) -> Finding:
    """Whether processes that are gone still have money of budgets, because nobody has replayed their journals."""
    if not owners:
        return ok("budgets", "nothing is leased by processes that are gone")
    seen = f"{', '.join(sorted(owners))} had ${usd_text(nano)} of budgets when it was last seen"
    advice = (
        "start a gateway where its journal lies; if that is gone: `tollkeeper budget uncertain --write-off PROCESS`"
    )
    return warning("budgets", seen, advice)
