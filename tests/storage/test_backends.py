"""Which kind of database a URL means."""

from pathlib import Path

import pytest

from gateway.core.errors import Fault, Kind
from gateway.storage.backends import backend_of


@pytest.mark.parametrize(
    ("url", "dialect", "place"),
    [
        ("sqlite+aiosqlite:////data/t.db", "sqlite", "the database at /data/t.db"),
        ("postgresql+psycopg://me:hunter2@db.example/books", "postgresql", "the database books at db.example"),
    ],
)
def test_the_kind_and_the_place_behind_a_url(url: str, dialect: str, place: str) -> None:
    """Known fault 79: a place that people are shown holds no password."""
    backend = backend_of(url)
    assert (backend.dialect, backend.place) == (dialect, place)


def test_nothing_is_opened_and_nothing_is_made(tmp_path: Path) -> None:
    assert not backend_of(f"sqlite+aiosqlite:///{tmp_path}/t.db").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_another_kind_is_refused() -> None:
    with pytest.raises(Fault) as refusal:
        backend_of("mysql://h/d")
    assert refusal.value.kind is Kind.INVALID
