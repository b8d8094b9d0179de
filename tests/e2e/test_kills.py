"""kill -9 at every step between a request's arrival and the commit of its row, under load and at named moments.

Several workers make it cheap: one that was killed is back in a fraction of a second, and the others replay its journal
meanwhile. After it all the books must agree (`tests/e2e/books.py`). Known faults 29, 52, 53, 55, 59.
"""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.databases import operator
from tests.e2e.books import books_agree
from tests.e2e.counting import Clients, counting
from tests.e2e.gateway import Served, serving, until
from tests.e2e.workers import SETTLED, age, kill, replayed, workers_of

SETTINGS = """\
server: {{keys: optional}}
database: {{url: env:BOOKS, journal_max: 48MiB}}
providers: {{up: {{kind: openai, base_url: "{url}/v1"}}}}
prices: {{up/*: {{usd_per_million: {{input: "2", output: "10"}}}}}}
"""
WORKERS = 4
CLIENTS = 12
TAGS = ",".join(f"label{number}={'x' * 250}" for number in range(12))
"""Some three kilobytes in every frame: a segment of three mebibytes is full within a second."""


async def kill_at_random(gateway: Served, seconds: float, chance: random.Random) -> tuple[int, int]:
    """One worker after the other, now and then all at once; how many died, how many of them while a segment changed."""
    killed = turning = 0
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while loop.time() < deadline:
        await asyncio.sleep(chance.uniform(0.0, 0.4))
        alive = workers_of(gateway)
        if len(alive) < 2:
            continue
        if chance.random() < 0.3 and await a_segment_turns(gateway):
            turning += 1
        # Mostly those that have worked for a while: the others' deaths make their parent wait.
        settled = [pid for pid in alive if age(pid) > SETTLED] or alive
        victims = alive if chance.random() < 0.1 else [chance.choice(settled)]
        kill(*victims)
        killed += len(victims)
    return killed, turning


async def a_segment_turns(gateway: Served) -> bool:
    """Waits for the moment in which a journal goes on in another segment; false if there is none in half a second."""

    def begun() -> set[str]:
        found = set()
        for path in (gateway.data / "journal").glob("[0-9a-f]*/*.seg"):
            try:
                with path.open("rb") as segment:
                    if segment.read(1) != b"\0":
                        found.add(str(path))
            except FileNotFoundError:
                continue
        return found

    before = begun()
    for _ in range(100):
        await asyncio.sleep(0.002)
        if begun() - before:
            return True
    return False


@pytest.mark.anyio
@pytest.mark.parametrize("seconds", [10.0])
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
        calling = asyncio.create_task(clients.call_until(stopping, CLIENTS))
        killed, turning = await kill_at_random(gateway, seconds, chance)
        stopping.set()
        await calling
        until(lambda: replayed(gateway, WORKERS), "the journals of the dead", within=30)
        gateway.stop()
        asked = upstream.asked()
        with operator(database_url) as sql:
            ends = books_agree(sql, asked, clients)
    assert list((tmp_path / "journal").iterdir()) == []
    assert killed > 2 * seconds
    assert turning > 0
    assert ends["completed"] >= len(clients.answered) > 50 * seconds
    assert ends.keys() <= {"completed", "interrupted", "cut_by_client"}
    assert 0 < ends["interrupted"] <= len(clients.cut)
    print(Counter(ends), killed, turning, len(asked), len(clients.answered), len(clients.cut))
