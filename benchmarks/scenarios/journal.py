"""Calls that reach the journal and nothing further: the database is locked by somebody else for the whole measure.

That is a thing that happens (a long migration, a careless script), and the one way to see the cost of a call without
rows: nothing is switched off. Afterwards the lock is let go, and every call must become a row.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from benchmarks.aims import CPU_JOURNAL_US
from benchmarks.failed import Failed
from benchmarks.load import Loop
from benchmarks.measure import CLIENTS, Measured, books, caught_up, load, note_bound, warm_up
from benchmarks.report import Figure
from benchmarks.setting import Scenario, Setting
from benchmarks.stage import set_up
from benchmarks.usage import resident_mb

_WAIT = 30.0
"""Seconds to wait for the lock."""


def run(setting: Setting) -> Measured:
    out = Measured()
    with set_up(setting.cores, setting.command) as stage:
        place = stage.place
        warm_up(out, stage, min(1.0, setting.seconds))
        caught_up(place)
        with _locked(place.ledger):
            before = place.rows()
            loaded = load(out, stage, Loop(stage.door, CLIENTS, seconds=setting.seconds), "calls")
            note_bound(out, loaded, "calls/s")
            waiting, journal, memory = (
                place.counts().calls - place.rows(),
                place.journal_bytes(),
                resident_mb(stage.pid),
            )
            if place.rows() != before or not waiting:
                out.wrong.append("rows reached the ledger while it was locked")
        seconds = caught_up(place)
        out.figures += [
            Figure("cpu_us_per_call", "CPU of the gateway per call", loaded.used.cpu_us, "µs", CPU_JOURNAL_US),
            Figure("calls_per_s", f"calls, {CLIENTS} clients", loaded.per_second, "/s"),
            Figure("calls_waiting", "calls in the journal alone at the end", waiting, ""),
            Figure("journal_mb", "  journal on disk", journal / 1e6, "MB"),
            Figure("rss_mb", "  memory", memory, "MB"),
            Figure("caught_up_s", "all in the ledger after the lock was let go", seconds, "s"),
            *books(out, place),
        ]
    return out


@contextlib.contextmanager
def _locked(ledger: Path) -> Iterator[None]:
    """Nobody else writes to the database while the block runs; reading goes on."""
    with contextlib.closing(sqlite3.connect(ledger, timeout=_WAIT, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise Failed(f"the database could not be locked: {error}") from error
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


SCENARIO = Scenario("journal", "Whole answers with the journal only: the database is locked", run, seconds=10)
