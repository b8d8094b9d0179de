"""A journal that is damaged while nobody is there: what can be read arrives, the rest is counted, told and kept."""

from pathlib import Path

from gateway.storage.frames import CLOSING, Frame, frames_in
from tests.cli.terminal import invoke
from tests.databases import operator
from tests.e2e.books import held
from tests.e2e.gateway import serving, until
from tests.e2e.upstream import Upstream, answers, completion, whole
from tests.e2e.workers import segments_of

SETTINGS = """\
database: {{url: env:BOOKS}}
providers: {{up: {{kind: openai, base_url: "{url}/v1"}}}}
prices: {{up/*: {{usd_per_million: {{input: "2", output: "10"}}}}}}
"""
COST_NANO = 3_000_000
CALLS = 8


def test_flipped_bits_and_a_torn_end_cost_what_they_hit(database_url: str, upstream: Upstream, tmp_path: Path) -> None:
    """The closing frame of call 3, both frames of call 5, and the end of the last. Known faults 55, 59.

    A call of which one frame is left has a row; the one that nothing is left of is missed by everybody who is asked.
    """
    upstream.plays("damage", answers(whole(completion())))
    settings = SETTINGS.format(url=upstream.url)
    with serving(tmp_path, settings, BOOKS=database_url) as gateway, held(database_url):
        for number in range(CALLS):
            assert gateway.post("up/damage", user=f"call-{number}").status_code == 200
        gateway.kill()
        (segment,) = [path for path in segments_of(gateway) if path.read_bytes().strip(b"\0")]
        damaged = damage(segment)
    with serving(tmp_path, settings, BOOKS=database_url) as gateway:
        rows = {row["id"]: row for row in gateway.rows(CALLS - 1)}
        until(lambda: not segment.parent.exists(), "the journal of the dead")
        assert gateway.metric("tollkeeper_journal_corrupt_frames_total") == 2
        assert gateway.metric("tollkeeper_journal_torn_frames_total") == 1
        figures = gateway.admin.get("/readyz").json()["checks"]["figures"]
        assert (figures["ok"], figures["detail"][:35]) == (False, "2 stretches of journals are damaged")
        told = invoke(tmp_path, "doctor", "--config", str(gateway.config), "--json", BOOKS=database_url)
        assert f"{segment.parent.name}.damaged hold frames that nobody can read" in told.stdout
    assert len(rows) == CALLS - 1
    with operator(database_url) as sql:
        found = sql.rows('SELECT end_user, "end", usage_basis, cost_nano FROM calls ORDER BY end_user')
        assert sql.count("attempts") == sql.one("SELECT sum(calls) FROM rollups_hourly") == CALLS - 1
    assert [row for row in found if row[1] != "interrupted"] == [
        (f"call-{number}", "completed", "provider", COST_NANO) for number in (0, 1, 2, 4, 6)
    ]
    assert [row[:3] for row in found if row[1] == "interrupted"] == [
        (f"call-{number}", "interrupted", "estimated") for number in (3, 7)
    ]
    (kept,) = (tmp_path / "journal").glob("*.damaged/*")
    # But for what was preallocated behind it.
    assert kept.read_bytes().rstrip(b"\0") == damaged.rstrip(b"\0")


def damage(segment: Path) -> bytes:
    """Does it; what the segment holds then."""
    data = bytearray(segment.read_bytes())
    frames = list(frames_in(bytes(data)))
    assert len(frames) == 2 * CALLS
    for frame in frames:
        user = user_of(frame)
        if user == "call-5" or (user == "call-3" and frame.kind == CLOSING):
            data[(frame.start + frame.end) // 2] ^= 1
    # Of the last write only a part has reached the disk; what comes behind is as it was preallocated.
    data[frames[-1].end - 20 : frames[-1].end] = bytes(20)
    segment.write_bytes(data)
    return bytes(data)


def user_of(frame: Frame) -> str:
    return next(f"call-{number}" for number in range(CALLS) if f'"call-{number}"'.encode() in frame.payload)
