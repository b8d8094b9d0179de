from io import StringIO

import pytest
from rich.console import Console

from gateway.cli.progress import bar


def test_where_nobody_watches_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with bar(3) as advance:
        advance(1, "the first")
    assert capsys.readouterr() == ("", "")


def test_in_a_terminal_a_bar_says_what_is_done() -> None:
    screen = StringIO()
    with bar(3, Console(file=screen, force_terminal=True, width=80)) as advance:
        advance(2, "the second of them")
    assert "the second of them" in screen.getvalue()
