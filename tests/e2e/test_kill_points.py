"""kill -9 at named moments between a request's arrival and the commit of its row, beside clients that go on calling.

Both workers die each time, on both kinds of database. When all is done the books must agree (`tests/e2e/books.py`):
those of the calls that died at a named moment, and of all others. Known faults 29, 52, 53, 55, 59.
"""

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.databases import KINDS, fresh, operator
from tests.e2e.books import books_agree, held
from tests.e2e.counting import TAGS, Clients, calling, cost_nano_of, counting, usage_of
from tests.e2e.gateway import Served, serving, until
from tests.e2e.raw import Answers, body_for, post
from tests.e2e.upstream import PATIENCE, Line, Request, Upstream, completion, hello, open_ended, whole
from tests.e2e.workers import a_segment_turns, begin_of, journals, kill, replayed, segments_of, settled, workers_of

SETTINGS = """\
server: {{keys: optional}}
database: {{url: env:BOOKS, journal_max: 24MiB}}
providers:
  up: {{kind: openai, base_url: "{up}/v1"}}
  counted: {{kind: openai, base_url: "{counted}/v1"}}
  full: {{kind: openai, base_url: "http://127.0.0.1:{full}/v1"}}
prices: {{up/*: {price}, counted/*: {price}, full/*: {price}}}
"""
PRICE = '{usd_per_million: {input: "2", output: "10"}}'
WORKERS = 2
CLIENTS = 3
NAMED = 1_000_000
"""The first number of a call that a test makes itself; those of the clients stay below it."""


@dataclass
class Points:
    """A gateway whose workers die in every test, and whoever it works for."""

    gateway: Served
    upstream: Upstream
    books: str
    numbers: "count[int]" = field(default_factory=lambda: count(NAMED))
    asked: list[int] = field(default_factory=list)
    """Of the named calls, those that the scripted upstream was asked for."""

    def call(self, line: socket.socket, model: str, *, stream: bool = False) -> tuple[int, Answers]:
        """Send a call; its number, and where its answer comes."""
        number = next(self.numbers)
        line.sendall(post(body_for(model, user=str(number), stream=stream)))
        return number, Answers(line)

    def plays(self, model: str, script: Any) -> str:
        """As `Upstream.plays`, and whoever asks is noted down."""

        def noted(request: Request, line: Line) -> None:
            self.asked.append(int(request.json["user"]))
            script(request, line)

        return f"up/{self.upstream.plays(model, noted)}"

    def kill_all(self, *, rested: bool = True) -> None:
        """`rested`: after they have lived long enough for their parent to replace them at once."""
        if rested:
            until(lambda: settled(self.gateway, WORKERS), "workers that have settled")
        victims = workers_of(self.gateway)
        kill(*victims)
        until(lambda: not set(victims) & set(workers_of(self.gateway)), "their burial")

    def rows(self, number: int) -> list[tuple[Any, ...]]:
        """End, basis, attempts and cost in the ledger."""
        with operator(self.books) as sql:
            return list(
                sql.rows(
                    'SELECT c."end", c.usage_basis, count(a.call_id), c.cost_nano FROM calls c LEFT JOIN attempts a'
                    ' ON a.call_id = c.id WHERE c.end_user = :user GROUP BY c.id, c."end", c.usage_basis, c.cost_nano',
                    user=str(number),
                )
            )

    def row(self, number: int) -> tuple[Any, ...]:
        """The one row that a call has when the dead are replayed."""
        (row,) = until(lambda: self.rows(number), f"a row of {number}")
        return row

    def replayed(self) -> None:
        until(lambda: replayed(self.gateway, WORKERS), "the journals of the dead")


@pytest.fixture(scope="module", params=KINDS)
def points(
    request: pytest.FixtureRequest, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Points]:
    """Clients call as long as it lives. `full` is a provider whose door nobody opens."""
    folder = tmp_path_factory.mktemp("points")
    with (
        fresh(request.param, folder, lambda: request.getfixturevalue("postgres")) as books,
        counting(folder) as counted,
        socket.socket() as full,
        socket.socket() as queued,
    ):
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        queued.connect(full.getsockname())
        settings = SETTINGS.format(up=upstream.url, counted=counted.url, full=full.getsockname()[1], price=PRICE)
        with serving(folder, settings, "--workers", str(WORKERS), BOOKS=books) as gateway:
            points = Points(gateway, upstream, books)
            clients = Clients(gateway.port, "counted/any", TAGS)
            with calling(clients, CLIENTS):
                yield points
            points.replayed()
            with operator(books) as sql:
                died = sql.one("SELECT count(*) FROM calls WHERE \"end\" = 'interrupted'")
            # Whoever dies between a commit and showing its counts takes these along, never more than happened.
            assert 0 < gateway.metric("tollkeeper_calls_total", end="interrupted") <= died
            gateway.stop()
        with operator(books) as sql:
            ends = books_agree(sql, [*counted.asked(), *points.asked], clients)
            assert sql.count("journal_marks") == 0, "a mark outlives its journal"
        assert list((folder / "journal").iterdir()) == []
        assert ends["completed"] >= len(clients.answered) > 100
        assert ends["interrupted"] > 0


def honest(request: Request, line: Line) -> None:
    """A whole answer or a stream, with the usage that belongs to the call's number."""
    usage = usage_of(int(request.json["user"]))
    if request.json.get("stream"):
        hello(usage=usage)(request, line)
    else:
        line.send(whole(completion(usage=usage)))


INTERRUPTED = ("interrupted", "estimated", 1)


@pytest.mark.parametrize("stream", [False, True])
def test_between_the_first_byte_and_the_last(points: Points, stream: bool) -> None:
    """One call at each named moment, and all die at once: each leaves the row that its moment deserves."""
    asked, sent, go_on = Event(), Event(), Event()

    def working(_: Request, __: Line) -> None:
        asked.set()
        assert go_on.wait(PATIENCE)

    def lacking(_: Request, line: Line) -> None:
        line.send(whole(completion())[:-1])
        sent.set()
        line.wait_until_left()

    until(lambda: settled(points.gateway, WORKERS), "workers that have settled")
    with (
        points.gateway.connect() as before,
        points.gateway.connect() as behind,
        points.gateway.connect() as under,
        points.gateway.connect() as middle,
        points.gateway.connect() as last,
        points.gateway.connect() as done,
    ):
        early = next(points.numbers)
        before.sendall(post(body_for(points.plays("kill-early", honest), user=str(early)))[:-5])
        opened, _ = points.call(behind, "full/model")
        at_work, _ = points.call(under, points.plays("kill-asked", working))
        streaming, came = points.call(middle, points.plays("kill-middle", open_ended), stream=True)
        assert came.head()[0] == 200
        assert b"four" in came.piece()
        lacks_a_byte, _ = points.call(last, points.plays("kill-last", lacking))
        assert asked.wait(PATIENCE)
        assert sent.wait(PATIENCE)
        until(lambda: written(points.gateway, opened), "the opening frame")
        # The closing frame of this one was written before its last byte left: a worker may die as soon as it has.
        whole_one, came = points.call(done, points.plays("kill-done", honest), stream=stream)
        to_the_end(came, stream)
        points.kill_all(rested=False)
        go_on.set()
        assert before.recv(1) == b""
    points.replayed()
    assert points.row(whole_one) == ("completed", "provider", 1, cost_nano_of(whole_one))
    for number in (opened, at_work, streaming, lacks_a_byte):
        assert points.row(number)[:3] == INTERRUPTED, number
    assert points.rows(early) == []
    assert not written(points.gateway, early)
    assert not {early, opened} & set(points.asked)


def to_the_end(came: Answers, stream: bool) -> None:
    if not stream:
        came.whole()
        return
    came.head()
    while came.piece():
        continue


def written(gateway: Served, number: int) -> list[Path]:
    """The segments with a frame about this caller."""
    return [path for path in segments_of(gateway) if f'"{number}"'.encode() in begin_of(path)]


def test_while_a_segment_turns(points: Points) -> None:
    """What is open is carried over into the next one; whoever dies meanwhile leaves both, and one call."""
    with points.gateway.connect() as line:
        number, came = points.call(line, points.plays("kill-turn", open_ended), stream=True)
        assert came.head()[0] == 200
        until(lambda: settled(points.gateway, WORKERS), "workers that have settled")
        journal = until(lambda: written(points.gateway, number), "its opening frame")[0].parent
        until(lambda: asyncio.run(a_segment_turns(points.gateway, journal)), "its next segment")
        points.kill_all(rested=False)
    points.replayed()
    assert points.row(number)[:3] == INTERRUPTED


# --- around the commit ----------------------------------------------------------------------------------------------


def test_around_the_commit_and_during_the_replay(points: Points) -> None:
    """Before the commit, after it, and again and again while the dead are replayed: each call comes once."""
    gateway, model = points.gateway, points.plays("kill-commit", honest)
    until(lambda: settled(gateway, WORKERS), "workers that have settled")
    with held(points.books):
        with gateway.connect() as line:
            before = [whole_call(points, model) for _ in range(6)]
            streaming, came = points.call(line, points.plays("kill-open", open_ended), stream=True)
            assert came.head()[0] == 200
            dead = set(journals(gateway))
            points.kill_all()
        assert [points.rows(number) for number in before] == [[]] * 6
        for _ in range(2):  # those who replay die too
            until(lambda: claims(gateway, dead), "a claim on the journals of the dead")
            points.kill_all(rested=False)
    points.replayed()
    then = whole_call(points, model)
    row = points.row(then)
    points.kill_all(rested=False)
    points.replayed()
    for number in (*before, then):
        assert points.row(number) == ("completed", "provider", 1, cost_nano_of(number))
    assert points.row(then) == row
    assert points.row(streaming)[:3] == INTERRUPTED


def whole_call(points: Points, model: str) -> int:
    """A call that has its answer to the last byte."""
    with points.gateway.connect() as line:
        number, came = points.call(line, model)
        assert came.whole()[0] == 200
    return number


def claims(gateway: Served, dead: set[str]) -> set[int]:
    """The workers that replay journals of the dead."""
    return {pid for journal, pid in journals(gateway).items() if journal in dead} & set(workers_of(gateway))
