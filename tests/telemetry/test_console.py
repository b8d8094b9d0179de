"""What a person at a terminal reads, and what nobody can write there."""

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.console import Console

WHAT = {"timestamp": "2026-10-31T08:00:00Z", "level": "info", "event": "call"}


def shown(colors: bool = False, **more: object) -> str:
    return Console(colors=colors)({**WHAT, **more}).decode()


def test_what_is_known_follows_by_name() -> None:
    line = shown(model="fast", status=200, usage={"input": 5}, error=None, stream=False)
    assert line == "2026-10-31T08:00:00Z [info] call model=fast status=200 usage={'input': 5} stream=False\n"


def test_a_time_is_shown_in_utc() -> None:
    there = datetime(2026, 10, 31, 10, 0, 0, 5000, tzinfo=timezone(timedelta(hours=2)))
    assert shown(timestamp=there).startswith("2026-10-31T08:00:00.005000Z [info] ")


def test_text_that_would_not_be_seen_where_it_ends_is_in_quotes() -> None:
    assert shown(model="a b=c").endswith(" call model='a b=c'\n")
    assert shown(model="").endswith(" call model=''\n")


def test_a_traceback_stands_below_and_not_at_a_beginning_of_a_line() -> None:
    line = shown(level="error", exception="Traceback:\n2026 [info] forged\n\x1b[2Jgone", logger="a")
    assert line == (
        "2026-10-31T08:00:00Z [error] call logger=a\n    Traceback:\n    2026 [info] forged\n    \\x1b[2Jgone\n"
    )


def test_colors_are_for_terminals_that_show_them() -> None:
    assert shown(colors=True, model="fast") == (
        "\x1b[2m2026-10-31T08:00:00Z\x1b[0m [\x1b[32minfo\x1b[0m] \x1b[1mcall\x1b[0m \x1b[36mmodel\x1b[0m=fast\n"
    )


@given(st.text(), st.text())
def test_no_text_of_others_makes_a_second_line_or_moves_the_cursor(event: str, model: str) -> None:
    line = Console(colors=False)({**WHAT, "event": event, "model": model}).decode("utf-8")
    assert line.endswith("\n")
    assert line[:-1].isprintable()
