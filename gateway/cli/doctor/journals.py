"""What waits in the journals, and what never reached the ledger."""

import asyncio

from gateway.cli import when
from gateway.cli.doctor.finding import Finding, failed, fault, ok, warning
from gateway.core.errors import Fault
from gateway.jobs.ledger import LATE
from gateway.settings import Settings
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.engine import Database
from gateway.storage.journal_survey import Survey, marks_of, survey


async def check(settings: Settings, db: Database | None) -> list[Finding]:
    """The journals, and the calls that the database refused. Without a database nobody knows what of it waits."""
    folder = settings.database.journal
    try:
        marks = {} if db is None else await marks_of(db)
        seen = await asyncio.to_thread(survey, folder, marks)
        letters = await asyncio.to_thread(DeadLetters, folder)
    except (Fault, OSError) as error:
        return [fault("journal", error)]
    most = settings.database.journal_max
    return [journal(seen, most, when.now_us(), marked=db is not None), dead_letters(letters)]


def journal(seen: Survey, most: int, now: int, *, marked: bool = True) -> Finding:
    """How far the ledger is behind; `marked`: whether it has said how far it is."""
    if seen.newer:
        told = f"{', '.join(seen.newer)} can be read by a newer version only"
        return warning("journal", told, "start that version: its calls are in no figure yet")
    if seen.bytes_on_disk >= most:
        return failed("journal", f"it has reached database.journal_max ({most:,} bytes)", "calls are refused: see why")
    since = seen.waiting_since_us if marked else None
    behind = f"{'' if marked else 'up to '}{seen.backlog_bytes:,} bytes not in the ledger yet"
    if since is not None:
        behind += f", the oldest call ended {max(0, now - since) / 1e6:,.0f} s ago"
    if seen.dead:
        told = f"{seen.dead} of {len(seen.journals)} left by processes that are dead; {behind}"
        return warning("journal", told, "start `tollkeeper serve`, which replays them; if it runs, see its log")
    if since is not None and now - since > LATE * 1e6:
        return warning("journal", behind, "the ledger does not follow: see the log, and how slow the database is")
    if seen.damaged:
        told = f"{', '.join(seen.damaged)} hold frames that nobody can read; {behind}"
        return warning("journal", told, "see to the disk; those calls are interrupted or in no figure; move them away")
    return ok("journal", f"{len(seen.journals)} in use, {behind}")


def dead_letters(letters: DeadLetters) -> Finding:
    """Calls that are in no figure, because the database refused them."""
    if letters.count:
        told = f"{letters.count:,} calls were refused by the database and are in no figure"
        return failed("dead letters", told, f"see the reasons in {letters.path}, then move the file away")
    return ok("dead letters", "none")
