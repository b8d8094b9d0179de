"""kill -9 at every step between a request's arrival and the commit of its row, under load and at named moments.

Several workers make it cheap: one that was killed is back in a fraction of a second, and the others replay its journal
meanwhile. After it all the books must agree (`tests/e2e/books.py`). Known faults 29, 52, 53, 55, 59.
"""

import asyncio
import random
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from tests.databases import new_database, operator, url_of
from tests.e2e.books import books_agree
from tests.e2e.counting import Clients, counting
from tests.e2e.gateway import Served, serving, until
from tests.e2e.raw import Answers, body_for, post
from tests.e2e.upstream import (
    EVENTS,
    PATIENCE,
    Line,
    Request,
    Upstream,
    answers,
    chunk,
    completion,
    event,
    hello,
    whole,
)
from tests.e2e.workers import SETTLED, age, journals, kill, replayed, segments_of, settled, workers_of

SETTINGS = """\
server: {{keys: optional}}
database: {{url: env:BOOKS, journal_max: 72MiB}}
providers: {{up: {{kind: openai, base_url: "{url}/v1"}}}}
prices: {{up/*: {{usd_per_million: {{input: "2", output: "10"}}}}}}
"""
SEAT = int.from_bytes(b"tollkeep")
"""The number of the writers' lock in PostgreSQL."""
WORKERS = 6
DEATHS = 20
"""Of workers, at least."""
ANSWERED = 200
"""Calls, at least; an idle machine answers thousands meanwhile."""
SCRAPES = 10
CLIENTS = 12
TAGS = ",".join(f"label{number}={'x' * 250}" for number in range(12))
"""Some three kilobytes in every frame: a segment of three mebibytes is full within a second."""


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
        if not settled:
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


async def a_segment_turns(gateway: Served) -> bool:
    """Waits for the moment in which a journal goes on in another segment; false if there is none in half a second."""

    def begun() -> set[str]:
        found = set()
        for path in segments_of(gateway):
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


# --- at named moments -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def points(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two workers that die in every test; `full` is a provider whose door nobody opens."""
    with socket.socket() as full, socket.socket() as queued:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        queued.connect(full.getsockname())
        settings = POINTS.format(url=upstream.url, full=full.getsockname()[1])
        with serving(tmp_path_factory.mktemp("points"), settings, "--workers", "2") as gateway:
            until(lambda: len(workers_of(gateway)) == 2, "both workers")
            yield gateway


POINTS = """\
providers:
  up: {{kind: openai, base_url: "{url}/v1"}}
  full: {{kind: openai, base_url: "http://127.0.0.1:{full}/v1"}}
prices:
  up/*: {{usd_per_million: {{input: "2", output: "10"}}}}
"""


def kill_all(gateway: Served, *, rested: bool = True) -> None:
    """All workers die at once. `rested`: after they have lived long enough for their parent to replace them at once."""
    if rested:
        until(lambda: settled(gateway, 2), "workers that have settled")
    victims = workers_of(gateway)
    kill(*victims)
    until(lambda: not set(victims) & set(workers_of(gateway)), "their burial")


def row_of(gateway: Served, user: str) -> tuple[str, str, int, int | None]:
    """End, basis, attempts and cost of the one row that a caller's call has when all journals are replayed."""
    until(lambda: replayed(gateway, 2), "the journals of the dead")
    with operator(url_of(gateway.data / "tollkeeper.db")) as sql:
        until(lambda: sql.rows("SELECT 1 FROM calls WHERE end_user = :user", user=user), f"a row of {user}")
        (row,) = sql.rows(
            'SELECT c."end", c.usage_basis, count(a.call_id), c.cost_nano FROM calls c LEFT JOIN attempts a'
            " ON a.call_id = c.id WHERE end_user = :user GROUP BY c.id",
            user=user,
        )
    end, basis, attempts, cost = row
    return end, basis, attempts, cost


def in_journals(gateway: Served, user: str) -> bool:
    """Whether a frame about this caller has been written."""
    return any(user.encode() in path.read_bytes() for path in segments_of(gateway))


def ask(gateway: Served, line: socket.socket, model: str, user: str, *, stream: bool = False) -> Answers:
    line.sendall(post(body_for(model, user=user, stream=stream)))
    return Answers(line)


def test_before_the_opening_frame_nothing_has_happened(points: Served, upstream: Upstream) -> None:
    upstream.plays("kill-early", answers(whole(completion())))
    with points.connect() as line:
        request = post(body_for("up/kill-early", user="early"))
        line.sendall(request[:-5])
        until(lambda: points.post("up/kill-early", user="other").status_code == 200, "a call to pass by")
        kill_all(points)
        assert line.recv(1) == b""
    assert row_of(points, "other")[:2] == ("completed", "provider")
    assert not in_journals(points, '"early"')
    assert "early" not in {request.json["user"] for request in upstream.asked("kill-early")}


def test_after_the_opening_frame_a_call_is_interrupted_though_nobody_was_asked(points: Served) -> None:
    with points.connect() as line:
        ask(points, line, "full/model", "opened")
        until(lambda: in_journals(points, "opened"), "the opening frame")
        kill_all(points)
    assert row_of(points, "opened")[:3] == ("interrupted", "estimated", 1)
    with operator(url_of(points.data / "tollkeeper.db")) as sql:
        rows = sql.one("SELECT count(*) FROM calls WHERE \"end\" = 'interrupted'")
    until(lambda: points.metric("tollkeeper_calls_total", end="interrupted") == rows, "their count, on each worker")


def test_while_the_upstream_works(points: Served, upstream: Upstream) -> None:
    asked, go_on = Event(), Event()

    def script(_: Request, line: Line) -> None:
        asked.set()
        assert go_on.wait(PATIENCE)

    upstream.plays("kill-asked", script)
    with points.connect() as line:
        ask(points, line, "up/kill-asked", "asked")
        assert asked.wait(PATIENCE)
        kill_all(points)
        go_on.set()
    assert row_of(points, "asked")[:3] == ("interrupted", "estimated", 1)


def test_in_the_middle_of_a_stream(points: Served, upstream: Upstream) -> None:
    upstream.plays("kill-middle", open_ended)
    with points.connect() as line:
        came = ask(points, line, "up/kill-middle", "middle", stream=True)
        assert came.head()[0] == 200
        assert b"four" in came.piece()
        kill_all(points)
    assert row_of(points, "middle")[:3] == ("interrupted", "estimated", 1)


def test_before_the_last_byte(points: Served, upstream: Upstream) -> None:
    sent = Event()

    def script(_: Request, line: Line) -> None:
        line.send(whole(completion())[:-1])
        sent.set()
        line.wait_until_left()

    upstream.plays("kill-last", script)
    with points.connect() as line:
        ask(points, line, "up/kill-last", "last")
        assert sent.wait(PATIENCE)
        kill_all(points)
    assert row_of(points, "last")[:3] == ("interrupted", "estimated", 1)


@pytest.mark.parametrize("stream", [False, True])
def test_who_has_the_last_byte_has_a_row(stream: bool, points: Served, upstream: Upstream) -> None:
    """The closing frame was written before that byte left: the worker may die as soon as it has."""
    user = f"done-{stream}"
    upstream.plays("kill-done", hello() if stream else answers(whole(completion())))
    until(lambda: settled(points, 2), "workers that have settled")
    with points.connect() as line:
        came = ask(points, line, "up/kill-done", user, stream=stream)
        if stream:
            came.head()
            while came.piece():
                continue
        else:
            came.whole()
        kill_all(points)
    assert row_of(points, user) == ("completed", "provider", 1, 3_000_000)


def open_ended(_: Request, line: Line) -> None:
    line.send(EVENTS, chunk(event("four")))
    line.wait_until_left()


# --- around the commit ----------------------------------------------------------------------------------------------


@contextmanager
def held(url: str) -> Iterator[None]:
    """No writer gets at the database while the block runs."""
    begin = "BEGIN IMMEDIATE" if url.startswith("sqlite") else f"BEGIN; SELECT pg_advisory_xact_lock({SEAT})"
    with operator(url) as sql:
        sql.run(begin)
        try:
            yield
        finally:
            sql.run("ROLLBACK")


def ledger(url: str) -> list[tuple[Any, ...]]:
    """Caller, end, attempts and cost of every call, by caller."""
    with operator(url) as sql:
        return list(sql.rows('SELECT end_user, "end", attempts, cost_nano FROM calls ORDER BY end_user'))


def test_around_the_commit_and_during_the_replay(database_url: str, upstream: Upstream, tmp_path: Path) -> None:
    """Before the commit, after it, and again and again while the dead are replayed: each call comes once."""
    upstream.plays("kill-commit", answers(whole(completion())))
    upstream.plays("kill-open", open_ended)
    settings = SETTINGS.format(url=upstream.url)
    expected: list[tuple[Any, ...]] = []
    with serving(tmp_path, settings, "--workers", "2", BOOKS=database_url) as gateway:
        until(lambda: settled(gateway, 2), "both workers")
        with held(database_url):
            for number in range(6):
                assert gateway.post("up/kill-commit", user=f"before-{number}").status_code == 200
                expected.append((f"before-{number}", "completed", 1, 3_000_000))
            with gateway.connect() as line:
                assert ask(gateway, line, "up/kill-open", "open", stream=True).head()[0] == 200
                dead = set(journals(gateway))
                kill_all(gateway)
            for _ in range(2):  # those who replay die too
                until(lambda: claims(gateway, dead), "a claim on the journals of the dead")
                kill_all(gateway, rested=False)
        until(lambda: len(ledger(database_url)) == 7, "all rows")
        until(lambda: replayed(gateway, 2), "the journals of the dead")
        assert gateway.post("up/kill-commit", user="then").status_code == 200
        until(lambda: len(ledger(database_url)) == 8, "the commit")
        kill_all(gateway)
        expected.append(("then", "completed", 1, 3_000_000))
        until(lambda: replayed(gateway, 2), "the journals of the dead")
    rows = ledger(database_url)
    assert [row for row in rows if row[0] != "open"] == sorted(expected)
    ((_, end, attempts, _),) = [row for row in rows if row[0] == "open"]
    assert (end, attempts) == ("interrupted", 1)
    with operator(database_url) as sql:
        assert (sql.count("attempts"), sql.one("SELECT sum(calls) FROM rollups_hourly")) == (8, 8)


def claims(gateway: Served, dead: set[str]) -> set[int]:
    """The workers that replay journals of the dead."""
    return {pid for journal, pid in journals(gateway).items() if journal in dead} & set(workers_of(gateway))
