"""kill -9 at random under load, of workers that serve together; at named moments it is `test_kill_points`.

Several workers make it cheap: one that was killed is back in a fraction of a second, and the others replay its journal
meanwhile. After it all the books must agree (`tests/e2e/books.py`). Known faults 29, 52, 53, 55, 59.
"""

import asyncio
import random
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.databases import new_database, operator
from tests.e2e.books import books_agree
from tests.e2e.counting import TAGS, Clients, counting
from tests.e2e.gateway import Served, serving, until
from tests.e2e.upstream import PATIENCE
from tests.e2e.workers import SETTLED, a_segment_turns, age, journals, kill, replayed, workers_of

SETTINGS = """\
server: {{keys: optional}}
database: {{url: env:BOOKS, journal_max: 72MiB}}
providers: {{up: {{kind: openai, base_url: "{url}/v1"}}}}
prices: {{up/*: {{usd_per_million: {{input: "2", output: "10"}}}}}}
"""
WORKERS = 6
DEATHS = 20
"""Of workers, at least."""
UNREPLAYED = 2 * WORKERS
"""Journals, with those at work: killing pauses while there are more, or the bound would make calls be refused. How fast
a machine replays is not asked here."""
ANSWERED = 200
"""Calls, at least; an idle machine answers thousands meanwhile."""
SCRAPES = 10
CLIENTS = 12


async def kill_at_random(
    gateway: Served, seconds: float, seen_enough: Callable[[], bool], chance: random.Random
) -> int:
    """One worker after the other, now and then all at once, at least once while a segment changes; how many died.

    For so many seconds, and longer where a crowded machine is slow to put new ones in their place."""
    killed = turning = 0
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while loop.time() < deadline or not turning or killed < DEATHS or not seen_enough():
        # Those that have not worked for a while are left alone: their deaths would make their parent wait.
        settled = [pid for pid in workers_of(gateway) if age(pid) > SETTLED]
        if not settled or len(journals(gateway)) > UNREPLAYED:
            await asyncio.sleep(0.01)
            continue
        if not turning or chance.random() < 0.1:
            turning += await a_segment_turns(gateway)
        victims = settled if chance.random() < 0.2 else [chance.choice(settled)]
        killed += kill(*victims)
        await asyncio.sleep(chance.uniform(0.0, 0.3))
    return killed


async def scrape(gateway: Served, totals: list[float], stopping: asyncio.Event) -> None:
    """How many calls the metrics count, from whichever worker, again and again."""
    async with httpx.AsyncClient(base_url=gateway.address, timeout=PATIENCE, trust_env=False) as client:
        while not stopping.is_set():
            try:
                text = (await client.get("/metrics", headers={"connection": "close"})).text
            except httpx.TransportError:
                continue  # its worker was killed
            ended = [line for line in text.splitlines() if line.startswith("tollkeeper_calls_total")]
            totals.append(sum(float(line.rpartition(" ")[2]) for line in ended))
            await asyncio.sleep(0.02)


@pytest.mark.anyio
@pytest.mark.parametrize("seconds", [5.0])
async def test_workers_that_are_killed_at_random_under_load(database_url: str, seconds: float, tmp_path: Path) -> None:
    """Every call at the upstream has exactly one attempt row, whatever died when; nothing is lost and nothing twice."""
    chance = random.Random(7)
    if database_url.startswith("postgresql"):
        seconds /= 2
    with (
        counting(tmp_path) as upstream,
        serving(tmp_path, SETTINGS.format(url=upstream.url), "--workers", str(WORKERS), BOOKS=database_url) as gateway,
    ):
        until(lambda: len(workers_of(gateway)) == WORKERS, "all workers")
        clients, stopping = Clients(gateway.port, "up/any", TAGS), asyncio.Event()
        totals: list[float] = []

        def seen_enough() -> bool:
            return len(clients.answered) >= ANSWERED and len(totals) >= SCRAPES

        calling = asyncio.create_task(clients.call_until(stopping, CLIENTS))
        scraping = asyncio.create_task(scrape(gateway, totals, stopping))
        async with asyncio.timeout(60):
            killed = await kill_at_random(gateway, seconds, seen_enough, chance)
        stopping.set()
        await calling
        await scraping
        until(lambda: replayed(gateway, WORKERS), "the journals of the dead", within=30)
        gateway.stop()
        asked = upstream.asked()
        with operator(database_url) as sql:
            ends = books_agree(sql, asked, clients)
            assert sql.count("journal_marks") == 0, "a mark outlives its journal"
    assert list((tmp_path / "journal").iterdir()) == []
    assert killed >= DEATHS
    assert totals == sorted(totals), "a counter fell, though nothing began anew"
    # A killed worker takes with it what it had not shown: all of the last moments, more of them on a busy machine.
    assert len(clients.answered) - 300 * killed < totals[-1] <= ends.total()
    assert ends["completed"] >= len(clients.answered)
    assert ends.keys() <= {"completed", "interrupted", "cut_by_client"}
    assert 0 < ends["interrupted"] <= len(clients.cut)


@pytest.mark.anyio
async def test_workers_that_are_told_to_end_under_load_lose_nothing(tmp_path: Path) -> None:
    """SIGTERM: whatever the upstream was asked is answered to its last byte and has its row; the exit code is 0."""
    books = new_database(tmp_path)
    with (
        counting(tmp_path) as upstream,
        serving(tmp_path, SETTINGS.format(url=upstream.url), "--workers", "3", BOOKS=books) as gateway,
    ):
        clients, stopping = Clients(gateway.port, "up/any", TAGS), asyncio.Event()
        calling = asyncio.create_task(clients.call_until(stopping, CLIENTS))
        async with asyncio.timeout(PATIENCE):
            while len(clients.answered) < 300:
                await asyncio.sleep(0.01)
        gateway.program.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(gateway.program.wait, PATIENCE)
        stopping.set()
        await calling
        assert code == 0, gateway.log[-2000:]
    asked = upstream.asked()
    assert set(asked) == clients.answered.keys()
    with operator(books) as sql:
        assert books_agree(sql, asked, clients) == {"completed": len(asked)}
    assert list((tmp_path / "journal").iterdir()) == []
