"""The families of metrics. What they are made of is tested in `test_metrics`."""

from gateway.telemetry.counts import Counts
from gateway.telemetry.families import StorageStats, families


def test_every_name_is_ours_and_comes_once() -> None:
    stats = StorageStats(1, 2.0, 3, 4, 5, 6, 7)
    names = [family.name for family in families("1.2.3", Counts(), stats)]
    assert len(names) == len(set(names))
    assert all(name.startswith("tollkeeper_") for name in names)
    assert {"tollkeeper_calls", "tollkeeper_journal_backlog_bytes", "tollkeeper_log_lines_dropped"} <= set(names)


def test_what_nobody_knows_of_several_stays_unknown() -> None:
    told = [StorageStats(journal_bytes=1).told({}), StorageStats().told({"corrupt_frames": 2, "journal_bytes": 9})]
    assert StorageStats.of_all(told) == StorageStats(journal_bytes=1, corrupt_frames=2)
