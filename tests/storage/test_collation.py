"""Call ids must sort as bytes do, or a month is no range of them."""

from gateway.storage.backends import backend_of
from gateway.storage.collation import misplaced, trouble
from gateway.storage.engine import differences, upgrade
from tests.databases import operator
from tests.postgres_server import PostgresServer


def test_languages_that_sort_letters_in_pairs_are_told_from_the_others() -> None:
    assert misplaced(["a0-0", "aa-0", "ab-1"], "en_US.utf8") is None
    told = misplaced(["a0-0", "ab-1", "aa-0"], "da_DK.utf8")
    assert told == "its collation da_DK.utf8 sorts ab-1 before aa-0, so that a month is no range of call ids"
    assert "de-0 before dd-0" in str(misplaced(["de-0", "dd-0"], "cy_GB.utf8"))
    assert "9a-0 before 10-0" in str(misplaced(["9a-0", "10-0"], None))


def test_a_database_in_order_has_no_trouble(database_url: str) -> None:
    with backend_of(database_url).transaction() as connection:
        assert trouble(connection) is None


def test_databases_of_the_server_s_languages_are_in_order_and_can_be_upgraded(postgres: PostgresServer) -> None:
    """In English, where the server has it, dashes and digits lie as in bytes; it always has one that is not C."""
    with operator(postgres.url("postgres")) as sql:
        there = {name for (name,) in sql.rows("SELECT collname FROM pg_collation WHERE collprovider = 'c'")}
    for locale in sorted(there & {"en_US.utf8", "C.utf8"}):
        name = f"in_{locale.partition('.')[0].lower()}"
        postgres.sql(f"CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER libc LOCALE '{locale}'")
        upgrade(postgres.url(name))
        assert differences(postgres.url(name)) == []
        postgres.drop(postgres.url(name))
