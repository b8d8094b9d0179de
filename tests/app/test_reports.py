"""From the file to scheduled reports."""

from pathlib import Path

import pytest

from gateway.app.reports import reports_job, schedules_of, summaries_on
from gateway.core.summary import Schedule
from gateway.core.windows import Window
from gateway.settings import load
from gateway.storage.alerts import AlertRepository
from gateway.storage.engine import Database
from tests.app.building import settings_file
from tests.fakes.clock import FakeClock


def test_a_report_is_as_the_file_says(tmp_path: Path) -> None:
    stated = '{reports: {r: {every: month, at: "23:59", timezone: Asia/Tokyo, by: [key], top: 2}}}'
    settings = load(settings_file(tmp_path, alerts=stated), {})
    assert schedules_of(settings) == {"r": Schedule("r", Window.MONTH, "Asia/Tokyo", 1439, ("key",), 2, ())}


@pytest.mark.anyio
async def test_without_reports_there_is_no_job(db: Database, tmp_path: Path) -> None:
    clock = FakeClock()
    for stated, wanted in (("{}", False), ("{reports: {r: {every: day}}}", True)):
        settings = load(settings_file(tmp_path, alerts=stated), {})
        job = reports_job(settings, db, AlertRepository(db), lambda: [], lambda: 0.0, clock)
        assert (job is not None) is wanted
    assert summaries_on(db, lambda: [], clock.now_us) is not None
