"""A database that takes nothing for a while, or one call never: calls go on, everybody can see it, each comes once.

What is away is in `test_postgres`, what is held in `test_kills`. Known faults 29, 52, 53, 55.
"""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.terminal import invoke
from tests.databases import new_database, new_postgres, operator
from tests.e2e.books import held
from tests.e2e.gateway import Served, serving, until
from tests.postgres_server import PostgresServer

MODEL = "up/books"
BOUND = (sys.executable, "-m", "tests.e2e.bound")
COST_NANO = 3_000_000


def call(gateway: Served, user: str = "somebody", model: str = MODEL) -> str:
    """The id of a call that was answered."""
    answer = gateway.post(model, user=user)
    assert answer.status_code == 200, answer.text
    id: str = answer.headers["x-tollkeeper-call-id"]
    return id


def check(gateway: Served, name: str) -> dict[str, Any]:
    """What `/readyz` says of one of its checks; calls are taken all the time."""
    answer = gateway.admin.get("/readyz")
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()["checks"][name]
    return said


# --- what passes ------------------------------------------------------------------------------------------------------


@contextmanager
def full(url: str) -> Iterator[None]:
    """A server without room for another row: the code that it gives then, and its words."""
    with operator(url) as sql:
        sql.run(
            "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$"
        )
        sql.run("CREATE TRIGGER full_disk BEFORE INSERT ON calls EXECUTE FUNCTION no_room()")
        yield
        sql.run("DROP TRIGGER full_disk ON calls")


@contextmanager
def read_only(url: str, server: PostgresServer) -> Iterator[None]:
    """As hosts make a database whose disk fills up, or one that follows another: everybody has to connect again."""
    name = url.rpartition("/")[2]
    server.sql(f"ALTER DATABASE {name} SET default_transaction_read_only TO on")
    server.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")  # noqa: S608
    yield
    server.sql(f"ALTER DATABASE {name} SET default_transaction_read_only TO off")


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """SQLite's files and their folder may be read only. The journal's folder is another."""
    places = [folder, *folder.glob("tollkeeper.db*")]
    modes = [place.stat().st_mode for place in places]
    for place, mode in zip(places, modes, strict=True):
        place.chmod(mode & 0o7555)
    try:
        yield
    finally:
        for place, mode in zip(places, modes, strict=True):
            place.chmod(mode)


def trouble_of(gateway: Served) -> str:
    """What `/readyz` has against the database; nothing if it has not."""
    said = check(gateway, "database")
    return "" if said["ok"] else str(said["detail"])


def goes_on(gateway: Served, trouble: AbstractContextManager[None], words: str, ids: list[str]) -> None:
    """Calls in trouble and after it, with what is said of them meanwhile; `ids`: those that came before."""
    with trouble:
        ids += [call(gateway) for _ in range(3)]
        until(lambda: re.match(f"the journal is taking over: .*{words}", trouble_of(gateway)), "the trouble to be seen")
        assert gateway.metric("tollkeeper_journal_backlog_bytes") > 0
        assert gateway.metric("tollkeeper_journal_oldest_frame_age_seconds") > 0
        assert len(gateway.calls()) == len(ids) - 3, "reading goes on"
    ids += [call(gateway) for _ in range(2)]
    assert sorted(row["id"] for row in gateway.rows(len(ids))) == sorted(ids)
    until(lambda: not trouble_of(gateway), "the all-clear")
    assert check(gateway, "figures")["ok"]
    assert (gateway.metric("tollkeeper_journal_backlog_bytes"), gateway.metric("tollkeeper_ledger_dead_letters")) == (
        0,
        0,
    )


def books_have(url: str, ids: list[str]) -> None:
    """Each of these calls once, with its attempt and its share of the sums, and no other."""
    count = len(ids)
    with operator(url) as sql:
        assert [id for (id,) in sql.rows("SELECT id FROM calls ORDER BY id")] == sorted(ids)
        assert sql.count("attempts") == count
        assert sql.rows("SELECT sum(calls), sum(cost_nano) FROM rollups_hourly") == [(count, count * COST_NANO)]


def test_a_server_whose_disk_is_full_for_a_while(settings: str, postgres: PostgresServer, tmp_path: Path) -> None:
    """No room is no fault of the row that comes then: nothing is refused for good."""
    with new_postgres(postgres) as books, serving(tmp_path, settings, BOOKS=books) as gateway:
        ids = [call(gateway)]
        gateway.rows(1)
        goes_on(gateway, full(books), "No space left on device", ids)
        books_have(books, ids)


def test_a_server_that_may_only_be_read_for_a_while(settings: str, postgres: PostgresServer, tmp_path: Path) -> None:
    """Who has connected meanwhile may only read as long as that connection lasts: it takes no restart to end it."""
    books = postgres.new_database()
    with serving(tmp_path, settings, BOOKS=books) as gateway:
        ids = [call(gateway)]
        gateway.rows(1)
        goes_on(gateway, read_only(books, postgres), "is read-only", ids)
    books_have(books, ids)
    postgres.drop(books)


def test_a_file_that_may_only_be_read_for_a_while(settings: str, tmp_path: Path) -> None:
    """SQLite opens such a file for reading without a word: who has done so must open it again to write."""
    books = new_database(tmp_path)
    ids: list[str] = []
    with serving(tmp_path, settings, program=BOUND, BOOKS=books) as gateway:
        goes_on(gateway, unwritable(tmp_path), "readonly database", ids)
    books_have(books, ids)
    with (
        unwritable(tmp_path),
        pytest.raises(AssertionError, match="cannot be used"),
        serving(tmp_path, settings, program=BOUND, BOOKS=books),
    ):
        raise AssertionError("unreachable")


# --- what does not ----------------------------------------------------------------------------------------------------

POISON = {
    "sqlite": "CREATE TRIGGER no_poison BEFORE INSERT ON calls WHEN NEW.end_user = 'poison'"
    " BEGIN SELECT RAISE(ABORT, 'no_poison'); END",
    "postgresql": "ALTER TABLE calls ADD CONSTRAINT no_poison CHECK (end_user <> 'poison')",
}


def test_a_call_that_the_database_refuses_holds_no_other_up(database_url: str, settings: str, tmp_path: Path) -> None:
    """It is kept with its reason, counted, and told wherever somebody looks."""
    with operator(database_url) as sql:
        sql.run(POISON[sql.dialect])
    with serving(tmp_path, settings, BOOKS=database_url) as gateway:
        with held(database_url):  # so that all of them come in one batch
            ids = [call(gateway), call(gateway)]
            poison = call(gateway, "poison")
            ids += [call(gateway), call(gateway)]
        gateway.rows(4)
        ids.append(call(gateway))
        gateway.rows(5)
        figures = check(gateway, "figures")
        assert not figures["ok"]
        assert figures["detail"].startswith("1 calls were refused by the database")
        assert gateway.metric("tollkeeper_ledger_dead_letters") == 1
        assert check(gateway, "database")["ok"]
        assert gateway.metric("tollkeeper_journal_backlog_bytes") == 0
    books_have(database_url, ids)
    (line,) = (tmp_path / "journal" / "dead-letter.jsonl").read_text(encoding="utf-8").splitlines()
    letter = json.loads(line)
    assert "no_poison" in letter["reason"]
    assert (letter["record"]["facts"]["id"], letter["record"]["facts"]["end_user"]) == (poison, "poison")
    assert letter["record"]["attempts"][0]["cost_nano"] == COST_NANO
    doctor = invoke(tmp_path, "doctor", "--config", str(tmp_path / "tollkeeper.yaml"), BOOKS=database_url)
    assert doctor.exit_code == 1
    assert "1 calls were refused by the database" in doctor.stdout
