"""A journal is read whatever has happened to its files."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.calls import CallRecord
from gateway.core.errors import Fault
from gateway.storage import frames
from gateway.storage.frames import FRAME_MAX, encode_closing, encode_opening
from gateway.storage.journal_folder import Lock, damaged
from gateway.storage.journal_reader import Batch, ClaimedJournal, JournalReader, Mark, claim_dead
from tests.storage import samples
from tests.storage.samples import a_record, an_opening

SPARE = bytes(3000)


def segment(directory: Path, number: int, data: bytes) -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / f"{number:08d}.seg"
    path.write_bytes(data)
    return path


def closing(call: str) -> bytes:
    return encode_closing(a_record(call), FRAME_MAX)


def opening(call: str, index: int = 0) -> bytes:
    return encode_opening(an_opening(call, index))


def ids(records: tuple[CallRecord, ...]) -> list[str]:
    return [record.facts.id for record in records]


@dataclass
class Written:
    """A segment's bytes, and which call each closing frame in it ends."""

    data: bytes
    spans: list[tuple[int, int, str]]

    def whole(self, damaged: set[int]) -> list[str]:
        """The calls whose closing frames hold none of these bytes."""
        return [call for start, end, call in self.spans if not any(start <= byte < end for byte in damaged)]


def written(prefix: str, calls: int) -> Written:
    data, spans = b"", []
    for number in range(calls):
        call = f"{prefix}{number}"
        data += opening(call)
        spans.append((len(data), len(data) + len(closing(call)), call))
        data += closing(call)
    return Written(data, spans)


FIRST, SECOND = written("a", 4), written("b", 4)


@given(st.integers(0, len(SECOND.data)))
def test_a_dead_journal_cut_anywhere_gives_every_whole_frame(length: int) -> None:
    with TemporaryDirectory() as folder:
        segment(Path(folder), 1, FIRST.data + SPARE)
        segment(Path(folder), 2, SECOND.data[:length] + SPARE)
        reader = JournalReader(Path(folder), live=False)
        batch = reader.read(Mark())
        assert ids(batch.records) == ids_of(FIRST) + [call for _, end, call in SECOND.spans if end <= length]
        ends = {0, *(frame.end for frame in frames.frames_in(SECOND.data))}
        assert (batch.torn, batch.corrupt) == (length not in ends, 0)
        again = reader.read(batch.mark)
        assert (again.records, again.torn, again.corrupt, again.mark) == ((), 0, 0, batch.mark)


@given(st.sets(st.integers(0, len(FIRST.data) * 8 - 1), min_size=1, max_size=4), st.booleans(), st.integers(1, 9))
def test_flipped_bits_cost_the_frames_they_are_in_and_no_other(bits: set[int], live: bool, limit: int) -> None:
    damaged = bytearray(FIRST.data)
    for bit in bits:
        damaged[bit // 8] ^= 1 << bit % 8
    with TemporaryDirectory() as folder:
        segment(Path(folder), 1, bytes(damaged) + SPARE)
        segment(Path(folder), 2, SECOND.data + SPARE)
        read, mark, corrupt = [], Mark(), 0
        reader = JournalReader(Path(folder), live=live)
        while (batch := reader.read(mark, limit)).records:
            assert len(batch.records) <= limit
            assert batch.mark > mark
            read += ids(batch.records)
            mark = batch.mark
            corrupt += batch.corrupt
        assert read == FIRST.whole({bit // 8 for bit in bits}) + ids_of(SECOND)
        assert 1 <= corrupt + batch.corrupt <= len(bits)


@given(st.integers(0, len(SECOND.data) * 8 - 1))
def test_damage_at_the_end_of_a_live_journal_waits_until_more_is_written(bit: int) -> None:
    damaged = bytearray(SECOND.data)
    damaged[bit // 8] ^= 1 << bit % 8
    with TemporaryDirectory() as folder:
        segment(Path(folder), 1, bytes(damaged) + SPARE)
        reader = JournalReader(Path(folder))
        first = reader.read(Mark())
        segment(Path(folder), 1, bytes(damaged) + closing("c") + SPARE)
        second = reader.read(first.mark)
        assert ids(first.records + second.records) == [*SECOND.whole({bit // 8}), "c"]
        assert first.corrupt + second.corrupt == 1
        assert first.torn + second.torn == 0


@given(st.lists(st.binary(max_size=200), max_size=4), st.booleans())
def test_no_files_make_reading_fail(contents: list[bytes], live: bool) -> None:
    with TemporaryDirectory() as folder:
        for number, data in enumerate(contents, start=1):
            segment(Path(folder), number, data)
        reader = JournalReader(Path(folder), live=live)
        batch = reader.read(Mark())
        assert batch.records == ()
        assert reader.interrupted() == ()
        assert reader.backlog_bytes(Mark()) <= sum(map(len, contents))


@given(st.lists(samples.records, max_size=5, unique_by=lambda record: record.facts.id))
def test_records_come_back_equal_and_in_order(records: list[CallRecord]) -> None:
    with TemporaryDirectory() as folder:
        segment(Path(folder), 1, b"".join(encode_closing(record, FRAME_MAX) for record in records) + SPARE)
        batch = JournalReader(Path(folder)).read(Mark())
        assert list(batch.records) == records
        assert batch.oldest_us == min((record.ended_us for record in records), default=None)


def ids_of(part: Written) -> list[str]:
    return [call for _, _, call in part.spans]


def test_a_live_journal_goes_on_where_the_mark_is(tmp_path: Path) -> None:
    reader = JournalReader(tmp_path)
    segment(tmp_path, 1, FIRST.data + SPARE)
    segment(tmp_path, 2, SPARE)
    first = reader.read(Mark())
    assert ids(first.records) == ids_of(FIRST)
    assert first.mark == Mark(1, len(FIRST.data))
    segment(tmp_path, 1, FIRST.data + closing("x") + SPARE)
    segment(tmp_path, 2, SECOND.data + SPARE)
    second = reader.read(first.mark)
    assert ids(second.records) == ["x", *ids_of(SECOND)]
    assert second.mark == Mark(2, len(SECOND.data))
    assert second.corrupt == second.torn == 0


def test_backlog_counts_what_lies_behind_the_mark(tmp_path: Path) -> None:
    segment(tmp_path, 1, FIRST.data + SPARE)
    segment(tmp_path, 2, SECOND.data + SPARE)
    segment(tmp_path, 3, SPARE)
    reader = JournalReader(tmp_path)
    assert reader.backlog_bytes(Mark()) == len(FIRST.data) + len(SECOND.data)
    assert reader.backlog_bytes(Mark(1, len(FIRST.data) - 5)) == 5 + len(SECOND.data)
    assert reader.backlog_bytes(reader.read(Mark()).mark) == 0


def test_only_segments_before_the_marks_own_are_deleted(tmp_path: Path) -> None:
    paths = [segment(tmp_path, number, SECOND.data + SPARE) for number in (1, 2, 3)]
    JournalReader(tmp_path).delete_before(Mark(2, len(SECOND.data)))
    assert [path.exists() for path in paths] == [False, True, True]


def test_interrupted_are_the_attempts_of_calls_that_never_closed(tmp_path: Path) -> None:
    first = opening("open") + opening("closed") + closing("closed") + opening("open", 1) + opening("later")
    segment(tmp_path, 1, first + SPARE)
    # What is still open is carried: the same openings once more, before anything new.
    carried = opening("open") + opening("open", 1) + opening("later")
    segment(tmp_path, 2, carried + closing("later") + opening("last") + opening("torn")[:-1] + SPARE)
    interrupted = JournalReader(tmp_path, live=False).interrupted()
    assert interrupted == (
        (an_opening("open", 0), an_opening("open", 1)),
        (an_opening("last"),),
    )


def test_carried_openings_stand_for_those_of_deleted_segments(tmp_path: Path) -> None:
    segment(tmp_path, 1, opening("open") + closing("closed") + SPARE)
    segment(tmp_path, 2, opening("open") + closing("other") + SPARE)
    segment(tmp_path, 3, opening("open") + closing("another") + SPARE)
    reader = JournalReader(tmp_path, live=False)
    reader.delete_before(Mark(3, 0))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["00000002.seg", "00000003.seg"]
    assert reader.interrupted() == ((an_opening("open"),),)


def test_a_spare_segment_of_a_dead_journal_ends_nothing(tmp_path: Path) -> None:
    """Known fault 59: a mark in it would have given up the segment that has what never ended."""
    segment(tmp_path, 1, closing("closed") + opening("open") + SPARE)
    segment(tmp_path, 2, SPARE)
    reader = JournalReader(tmp_path, live=False)
    batch = reader.read(Mark())
    assert (ids(batch.records), batch.mark.segment, batch.torn) == (["closed"], 1, 0)
    assert reader.read(batch.mark) == Batch((), batch.mark, 0, 0, 0, None)
    reader.delete_before(batch.mark)
    assert reader.interrupted() == ((an_opening("open"),),)


def test_who_died_while_carrying_has_what_was_open_in_the_segment_before(tmp_path: Path) -> None:
    """Known fault 59: killed in the middle of the write, of which the system then takes a part."""
    segment(tmp_path, 1, opening("one") + opening("two") + SPARE)
    segment(tmp_path, 2, opening("one") + opening("two")[:-1] + SPARE)
    reader = JournalReader(tmp_path, live=False)
    batch = reader.read(Mark())
    assert (batch.mark.segment, batch.torn) == (2, 1)
    reader.delete_before(batch.mark)
    assert reader.interrupted() == ((an_opening("one"),), (an_opening("two"),))


def test_a_segment_whose_first_byte_is_gone_is_read_all_the_same(tmp_path: Path) -> None:
    segment(tmp_path, 1, closing("a") + SPARE)
    segment(tmp_path, 2, b"\0" + closing("lost")[1:] + closing("b") + SPARE)
    batch = JournalReader(tmp_path, live=False).read(Mark())
    assert (ids(batch.records), batch.corrupt + batch.torn) == (["a", "b"], 1)


def test_a_frame_that_makes_no_sense_is_counted(tmp_path: Path) -> None:
    strange = _frame(frames.VERSION, frames.CLOSING, b"[1,2]") + _frame(frames.VERSION, b"?", b"[]")
    segment(tmp_path, 1, closing("a") + strange + closing("b") + SPARE)
    batch = JournalReader(tmp_path).read(Mark())
    assert (ids(batch.records), batch.corrupt) == (["a", "b"], 2)


def test_journals_of_the_dead_are_claimed_once(tmp_path: Path) -> None:
    segment(tmp_path / "dead", 1, FIRST.data + SPARE)
    segment(tmp_path / "own", 1, SPARE)
    segment(tmp_path / "live", 1, SPARE)
    owner = Lock(tmp_path / "live")
    (claimed,) = claim_dead(tmp_path, [tmp_path / "own"])
    assert (claimed.id, claimed.directory) == ("dead", tmp_path / "dead")
    assert claim_dead(tmp_path, [tmp_path / "own"]) == []
    claimed.release()
    (claimed,) = claim_dead(tmp_path, [tmp_path / "own"])
    assert ids(claimed.reader.read(Mark()).records) == ids_of(FIRST)
    claimed.remove()
    assert not (tmp_path / "dead").exists()
    assert claim_dead(tmp_path, [tmp_path / "own"]) == []
    owner.release()


# --- what nobody can read ---------------------------------------------------------------------------------------------


def test_segments_with_damage_are_kept_aside_not_deleted(tmp_path: Path) -> None:
    """Known fault 55: what a disk spoilt is there for whoever can make sense of it; a torn end is no damage."""
    spoilt = closing("a") + b"\0" + closing("lost")[1:] + closing("b") + SPARE
    senseless = closing("c") + _frame(frames.VERSION, frames.CLOSING, b"[1,2]") + SPARE
    segment(tmp_path / "j", 1, spoilt)
    segment(tmp_path / "j", 2, closing("sound") + SPARE)
    segment(tmp_path / "j", 3, senseless)
    segment(tmp_path / "j", 4, closing("d") + closing("torn")[:-1] + SPARE)
    (claimed,) = claim_dead(tmp_path)
    batch = claimed.reader.read(Mark())
    assert (ids(batch.records), batch.corrupt, batch.torn) == (["a", "b", "sound", "c", "d"], 2, 1)
    claimed.reader.delete_before(Mark(2, 0))
    claimed.remove()
    aside = tmp_path / "j.damaged"
    assert {path.name: path.read_bytes() for path in aside.iterdir()} == {
        "00000001.seg": spoilt,
        "00000003.seg": senseless,
    }
    assert damaged(tmp_path) == [aside]
    assert claim_dead(tmp_path) == [], "it is no journal any more"


def test_whoever_goes_on_behind_damage_keeps_it_too(tmp_path: Path) -> None:
    """Another process had read it, and died before the segment was done with."""
    spoilt = closing("lost")[:-1] + b"\0" + closing("a") + SPARE
    segment(tmp_path / "j", 1, spoilt)
    segment(tmp_path / "j", 2, closing("b") + SPARE)
    (claimed,) = claim_dead(tmp_path)
    assert ids(claimed.reader.read(Mark(2, 0)).records) == ["b"]
    claimed.remove()
    assert [path.name for path in (tmp_path / "j.damaged").iterdir()] == ["00000001.seg"]


def test_a_live_journal_keeps_what_it_could_not_read(tmp_path: Path) -> None:
    segment(tmp_path / "j", 1, closing("lost")[:-1] + b"\0" + closing("a") + SPARE)
    segment(tmp_path / "j", 2, closing("b") + SPARE)
    reader = JournalReader(tmp_path / "j")
    batch = reader.read(Mark())
    assert (ids(batch.records), batch.corrupt) == (["a", "b"], 1)
    reader.delete_before(batch.mark)
    assert [path.name for path in (tmp_path / "j.damaged").iterdir()] == ["00000001.seg"]
    assert [path.name for path in (tmp_path / "j").glob("*.seg")] == ["00000002.seg"]


# --- frames of a version that this release does not know --------------------------------------------------------------

UNKNOWN = max(frames.KNOWN_VERSIONS) + 1


def _frame(version: int, kind: bytes, payload: bytes) -> bytes:
    checksum = crc32(payload, frames._seed(version, kind, len(payload)))
    return frames._HEADER.pack(frames.MAGIC, version, kind, len(payload), checksum) + payload


def test_newer_frames_are_counted_and_kept_aside_not_deleted(tmp_path: Path) -> None:
    """Nothing is lost by going back to an older release: the newer one replays them when it is back."""
    newer = _frame(UNKNOWN, frames.CLOSING, b"\x00 of a format to come")
    kept = closing("a") + newer + closing("b") + SPARE
    segment(tmp_path / "j", 1, kept)
    segment(tmp_path / "j", 2, closing("c") + newer + SPARE)
    segment(tmp_path / "j", 3, closing("d") + SPARE)
    (claimed,) = claim_dead(tmp_path)
    batch = claimed.reader.read(Mark())
    assert (ids(batch.records), batch.newer, batch.corrupt) == (["a", "b", "c", "d"], 2, 0)
    claimed.reader.delete_before(Mark(2, 0))
    claimed.remove()
    aside = tmp_path / f"j.v{UNKNOWN}"
    assert sorted(path.name for path in aside.glob("*.seg")) == ["00000001.seg", "00000002.seg"]
    assert (aside / "00000001.seg").read_bytes() == kept
    assert not (tmp_path / "j").exists()
    assert claim_dead(tmp_path) == [], "only a release that knows them claims them"


def test_what_a_newer_release_is_replaying_is_not_moved_under_its_feet(tmp_path: Path) -> None:
    segment(tmp_path / "j", 1, _frame(UNKNOWN, frames.CLOSING, b"x") + SPARE)
    (tmp_path / f"j.v{UNKNOWN}").mkdir()
    newer = Lock(tmp_path / f"j.v{UNKNOWN}")
    claimed = ClaimedJournal(tmp_path / "j")
    with pytest.raises(Fault, match="in use"):
        claimed.remove()
    assert (tmp_path / "j" / "00000001.seg").exists()
    newer.release()
