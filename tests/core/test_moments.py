from gateway.core.moments import moment


def test_moments_are_written_as_short_as_they_are_exact() -> None:
    assert moment(0) == "1970-01-01T00:00:00Z"
    assert moment(1_793_433_600_000_001) == "2026-10-31T08:00:00.000001Z"
