"""Every scenario measures something and keeps books, with small numbers. What is fast enough is not asked here."""

import pytest

from benchmarks.failed import Failed
from benchmarks.machine import Cores, allow_files, cores
from benchmarks.measure import Measured
from benchmarks.scenarios import SCENARIOS
from benchmarks.setting import Setting, tollkeeper


def measured(name: str, *, seconds: float = 0.2, count: int = 1) -> dict[str, float | None]:
    out: Measured = SCENARIOS[name].run(Setting(cores(), tollkeeper(), seconds, count))
    assert out.wrong == []
    figures = {figure.key: figure.value for figure in out.figures}
    assert len(figures) == len(out.figures), "two figures have one key"
    assert figures["rows"] == figures["calls"]
    assert any(figure.aim is not None for figure in out.figures)
    return figures


def positive(figures: dict[str, float | None], *keys: str) -> None:
    for key in keys:
        value = figures[key]
        assert value is not None, key
        assert value > 0, key


def test_journal() -> None:
    figures = measured("journal")
    positive(figures, "cpu_us_per_call", "calls_per_s", "calls_waiting", "journal_mb", "caught_up_s")


def test_sustained() -> None:
    figures = measured("sustained", seconds=1.7)  # three samples, so that there is a slope
    positive(figures, "cpu_us_per_call", "calls_per_s", "journal_mb", "last_row_s")
    assert figures["lag_growth"] is not None


def test_burst() -> None:
    figures = measured("burst", count=2)
    positive(figures, "calls_per_s", "calls_per_s_least", "calls_per_s_most", "cpu_us_per_call", "direct_per_s")


def test_crowd() -> None:
    figures = measured("crowd", count=300)
    positive(figures, "first_answer_s", "rss_idle_mb", "rss_mb", "calls_alone", "calls_among", "share")


def test_streams() -> None:
    positive(measured("streams"), "cpu_us_per_stream", "events_per_s", "ttft_p50_ms", "direct_per_s")


def test_latency() -> None:
    figures = measured("latency", seconds=0.5)
    assert figures["connections_long_rest"] == 2
    for key in ("added_p50_ms", "added_ttft_p50_ms"):  # of so few pairs a difference may be negative
        assert None not in (figures[key], figures[f"{key}_rest"], figures[f"{key}_long_rest"])
    assert figures["relay_p50_ms_rest"] is not None
    assert figures["added_p99_ms_long_rest"] is None  # of one pair


def test_bodies() -> None:
    figures = measured("bodies")
    for key in ("prompt", "image"):
        positive(figures, f"{key}_direct_p50_ms", f"{key}_memory", f"{key}_pairs")
        assert figures[f"{key}_added_p50_ms"] is not None


def test_streams5000() -> None:
    figures = measured("streams5000", seconds=1.2, count=20)
    positive(figures, "rss_mb", "events_per_s", "delay_p50_ms")
    assert figures["core_percent"] is not None  # so few take less than a tick of the clock


def test_million() -> None:
    figures = measured("million", count=3_000)
    positive(figures, "rss_idle_mb", "rss_after_mb", "rss_peak_mb", "cpu_us_per_call")
    assert figures["calls"] == 3_001  # and the first answer


def test_what_the_machine_does_not_allow_is_said() -> None:
    with pytest.raises(Failed, match="ulimit -Hn"):
        allow_files(10**12)


def test_what_is_pinned_where_is_said() -> None:
    assert "shares its cores" in Cores(None, None, None).sentence
    assert Cores(0, 1, 1).sentence == "gateway alone on core 0, upstream and client on 1"
    assert Cores(0, 1, 2).sentence == "gateway alone on core 0, upstream on 1, client on 2"
