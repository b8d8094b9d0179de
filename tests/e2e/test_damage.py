"""A journal that the disk has damaged when its process is dead: what is whole arrives, what is not is told."""

from collections.abc import Callable
from pathlib import Path

from gateway.storage.frames import CLOSING, Frame, call_id, frames_in
from tests.databases import new_database, operator
from tests.e2e.gateway import serving, until
from tests.e2e.test_bad_databases import call, check, metric
from tests.e2e.test_kills import held
from tests.e2e.workers import segments_of

Damage = Callable[[bytearray, Frame], None]


def flip(data: bytearray, frame: Frame) -> None:
    """One bit in the middle is not what it was."""
    data[(frame.start + frame.end) // 2] ^= 0x10


def tear(data: bytearray, frame: Frame) -> None:
    """The disk has the beginning only, and behind it what was preallocated: zeros."""
    middle = (frame.start + frame.end) // 2
    data[middle : frame.end] = bytes(frame.end - middle)


def damage(segment: Path, id: str, do: Damage, *, opening: bool = False) -> None:
    """Of a call's frames the closing one, and the opening one as well if it is told so."""
    data = bytearray(segment.read_bytes())
    found = [frame for frame in frames_in(bytes(data)) if call_id(frame.payload) == id]
    assert len(found) == 2
    for frame in found:
        if opening or frame.kind == CLOSING:
            do(data, frame)
    segment.write_bytes(data)


def test_damage_costs_the_calls_that_it_is_in_and_no_other(settings: str, tmp_path: Path) -> None:
    """Known faults 52, 59: flipped bits amid a segment and a torn end; whatever that costs, nobody is left unaware."""
    books = new_database(tmp_path)
    with serving(tmp_path, settings, BOOKS=books) as gateway:
        with held(books):  # so that all of them are in the journal alone
            ids = [call(gateway) for _ in range(7)]
            gateway.kill()
        (segment,) = [path for path in segments_of(gateway) if any(frames_in(path.read_bytes()))]
    damage(segment, ids[2], flip)
    damage(segment, ids[4], flip, opening=True)
    damage(segment, ids[6], tear)
    ended, cut, lost = [ids[0], ids[1], ids[3], ids[5]], [ids[2], ids[6]], ids[4]
    with serving(tmp_path, settings, BOOKS=books) as gateway:
        rows = {row["id"]: row for row in gateway.rows(6)}
        ended.append(call(gateway))
        rows |= {row["id"]: row for row in gateway.rows(7)}
        assert lost not in rows
        until(lambda: metric(gateway, "journals_left") == 0, "the end of the replay")
        assert metric(gateway, "journal_corrupt_frames_total") == 2
        assert metric(gateway, "journal_torn_frames_total") == 1
        assert check(gateway, "figures")["detail"].startswith("2 places in a journal were damaged since the start;")
        assert "is damaged in 2 places" in gateway.log
    assert {(rows[id]["end"], rows[id]["usage_basis"], rows[id]["cost_usd"]) for id in ended} == {
        ("completed", "provider", "0.003000000")
    }
    assert {(rows[id]["end"], rows[id]["usage_basis"]) for id in cut} == {("interrupted", "estimated")}
    with operator(books) as sql:
        assert sql.rows("SELECT count(*), count(DISTINCT id), sum(attempts) FROM calls") == [(7, 7, 7)]
        assert sql.rows("SELECT sum(calls), sum(attempts) FROM rollups_hourly") == [(7, 7)]
        assert sql.one("SELECT sum(cost_nano) FROM calls") == sql.one("SELECT sum(cost_nano) FROM rollups_hourly")
    assert not list((tmp_path / "journal").iterdir())
