"""Parts of an upgrade: patient with whoever is in the way, one upgrader at a time."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from types import ModuleType

import pytest
from sqlalchemy import Connection, text

from gateway.core.errors import Fault, Kind
from gateway.storage.backends import backend_of
from gateway.storage.parts import Part, carry_out, have_begun, parts_of, turn
from tests.databases import Operator


def lock_calls(connection: Connection) -> None:
    connection.execute(text("LOCK TABLE calls IN ACCESS EXCLUSIVE MODE"))


def fail(connection: Connection) -> None:
    connection.execute(text("SELECT 1 FROM nowhere"))


LOCK = Part("lock", alone=True, act=lock_calls)


def test_a_revision_without_parts_has_none() -> None:
    assert parts_of(ModuleType("plain"), "sqlite") == []


def test_a_part_makes_way_for_readers_and_comes_again(url: str, pg: Operator) -> None:
    """Whoever comes to the table while it waits has to wait as long."""
    pg.run("BEGIN")
    pg.run("SELECT 1 FROM calls")
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        assert pg.one("SELECT count(*) FROM calls") == 0  # nobody is in the way of others meanwhile
        pg.run("COMMIT")
        pauses.append(seconds)

    carry_out(LOCK, backend_of(url), pause)
    assert len(pauses) == 1


def test_a_part_gives_up_one_day_and_says_why(url: str, pg: Operator) -> None:
    pg.run("BEGIN")
    pg.run("SELECT 1 FROM calls")
    with pytest.raises(Fault) as refusal:
        carry_out(LOCK, backend_of(url), tries=1)
    assert refusal.value.kind is Kind.UNAVAILABLE
    assert "somebody reads" in refusal.value.message
    assert "repeat" in str(refusal.value.hint)


def test_what_fails_otherwise_is_not_repeated(database_url: str) -> None:
    def pause(seconds: float) -> None:
        raise AssertionError

    with pytest.raises(Fault, match="nowhere"):
        carry_out(Part("wrong", alone=False, act=fail), backend_of(database_url), pause)


def test_one_upgrader_waits_for_the_other(url: str, pg: Operator) -> None:
    took_turn = Event()

    def come_second() -> None:
        with turn(backend_of(url)):
            took_turn.set()

    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with ThreadPoolExecutor(1) as pool:
        with turn(backend_of(url)):
            second = pool.submit(come_second)
            while not pg.one(waiting):
                assert not second.done()
            assert not took_turn.is_set()
        second.result(30)
    assert took_turn.is_set()


def test_what_has_begun_is_seen(database_url: str, sql: Operator) -> None:
    def begun() -> bool:
        with backend_of(database_url).transaction() as connection:
            return have_begun(connection)

    assert not begun()
    if sql.dialect == "postgresql":
        sql.run("ALTER TABLE keys ADD CONSTRAINT upgrade_keys CHECK (id <> '') NOT VALID")
        assert begun()
