"""Whose journal is whose."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from gateway.core.errors import Fault, Kind
from gateway.storage.journal_folder import (
    Lock,
    bytes_of,
    delete_directory,
    forget,
    gone,
    journals,
    kept_aside,
    make_directory,
    new_journal_id,
)

HOLD = """
import sys
from pathlib import Path
from gateway.storage.journal_folder import make_directory
lock = make_directory(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    directory = tmp_path / "journal"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"held\n"
        with pytest.raises(Fault) as refusal:
            Lock(directory)
        owner.kill()
    assert refusal.value.kind is Kind.CONFLICT
    assert str(owner.pid) in refusal.value.message
    Lock(directory).release()


def test_one_journal_is_claimed_once_within_a_process_too(tmp_path: Path) -> None:
    lock = make_directory(tmp_path / "journal")
    with pytest.raises(Fault, match="in use"):
        Lock(tmp_path / "journal")
    lock.release()


def test_a_journal_that_is_gone_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(Fault) as refusal:
        Lock(tmp_path / "journal")
    assert refusal.value.kind is Kind.NOT_FOUND


def test_ids_are_unique_and_sort_by_time() -> None:
    ids = [new_journal_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert [i.split("-")[0] for i in ids] == sorted(i.split("-")[0] for i in ids)


def test_only_whole_journals_are_listed(tmp_path: Path) -> None:
    assert journals(tmp_path / "never made") == []
    for name in ("b", "a", ".being-made", ".gone-c", "a.v1", "a.v200"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "00000001.seg").write_bytes(b"1234")
    (tmp_path / "dead-letter.jsonl").write_text("{}")
    assert [path.name for path in journals(tmp_path)] == ["a", "a.v1", "b"]
    assert bytes_of(tmp_path) == 12
    assert kept_aside(tmp_path / "a", 200) == kept_aside(tmp_path / "a.v1", 200) == tmp_path / "a.v200"


def test_a_deletion_cut_short_is_finished(tmp_path: Path) -> None:
    make_directory(tmp_path / "a").release()
    delete_directory(tmp_path / "a")
    (tmp_path / ".gone-b").mkdir()
    (tmp_path / ".gone-b" / "00000001.seg").write_bytes(b"x")
    assert journals(tmp_path) == []
    assert sorted(gone(tmp_path)) == ["a", "b"]
    assert [list(path.iterdir()) for path in tmp_path.iterdir()] == [[], []]


def test_what_was_being_made_when_its_process_died_goes(tmp_path: Path) -> None:
    """Killed before it was locked, and before it was shown; one whose maker lives stays."""
    for name in (".0a", ".0b", ".0c"):
        (tmp_path / name).mkdir()
    Lock(tmp_path / ".0b").release()
    maker = Lock(tmp_path / ".0c")
    assert sorted(gone(tmp_path)) == ["0a", "0b"]
    forget(tmp_path, ["0a", "0b"])
    assert [path.name for path in tmp_path.iterdir()] == [".0c"]
    maker.release()


def test_a_journal_is_made_whatever_another_process_takes_for_dead(tmp_path: Path) -> None:
    """Between its making and its locking it looks like one that a crash left."""
    made = Event()

    def look() -> set[str]:
        found: set[str] = set()
        while not made.is_set():
            found.update(gone(tmp_path))
        return found

    with ThreadPoolExecutor() as others:
        looking = [others.submit(look) for _ in range(2)]
        names = [f"{number:03x}" for number in range(300)]
        try:
            locks = [make_directory(tmp_path / name) for name in names]
        finally:
            made.set()
        assert any(look.result() for look in looking), "never mistaken"
    assert [path.name for path in journals(tmp_path)] == names
    for lock in locks:
        lock.release()


def test_a_name_stays_until_it_is_forgotten(tmp_path: Path) -> None:
    """Whoever is killed before the mark in the ledger is dropped leaves it to the next one."""
    assert gone(tmp_path / "never made") == []
    for name in ("a", "b"):
        make_directory(tmp_path / name).release()
        delete_directory(tmp_path / name)
    assert sorted(gone(tmp_path)) == sorted(gone(tmp_path)) == ["a", "b"]
    forget(tmp_path, ["a", "never seen"])
    forget(tmp_path, ["a"])
    assert gone(tmp_path) == ["b"]
