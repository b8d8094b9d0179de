"""Tables in a terminal."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from gateway.cli.tables import Column, Lines, count, decimal, money, print_facts, print_table, word
from tests.cli.terminal import invoke, run

COLUMNS = [Column("name", 90), Column("place", 10), Column("cost", 80, right=True)]
ROWS = [["search", "somewhere far away", "$1.50"], ["support", "here", "$12.25"]]


def page(width: int) -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, width=width, highlight=False, markup=False), text


def test_everything_is_shown_where_there_is_room_and_figures_align_at_the_right() -> None:
    out, text = page(80)
    print_table(out, COLUMNS, ROWS, ["total", "", "$13.75"])
    lines = text.getvalue().splitlines()

    assert "somewhere far away" in lines[2]
    assert lines[2].rstrip().endswith(" $1.50")
    assert lines[3].rstrip().endswith("$12.25")
    assert len(lines[2].rstrip()) == len(lines[3].rstrip())
    assert lines[-1].startswith("total")
    assert "Left out" not in text.getvalue()


def test_a_narrow_terminal_loses_the_least_worthy_columns_and_says_so() -> None:
    out, text = page(20)
    print_table(out, COLUMNS, ROWS)

    assert "support" in text.getvalue()
    assert "$12.25" in text.getvalue()
    assert "somewhere" not in text.getvalue()
    assert "Left out" in text.getvalue()
    assert all(len(line) <= 20 for line in text.getvalue().splitlines())


@pytest.mark.parametrize("width", range(1, 60))
def test_no_width_breaks_a_value(width: int) -> None:
    out, text = page(width)
    print_table(out, COLUMNS, [["search", "here", "$1.50"]])
    if width >= len("search"):
        assert "search" in text.getvalue()
    if width >= len("search  $1.50"):
        assert "$1.50" in text.getvalue()


def test_what_a_client_named_cannot_move_the_cursor() -> None:
    out, text = page(80)
    print_table(out, [Column("model")], [["\x1b[2J[bold]gpt\r\n"]])
    print_facts(out, [("model", "\x1b]0;title\x07")])

    assert "\x1b" not in text.getvalue()
    assert "\x07" not in text.getvalue()
    assert "\\x1b[2J[bold]gpt" in text.getvalue()


def test_lines_come_one_by_one_under_their_titles(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = page(80)
    lines = Lines(out, [Column("name", least=8), Column("ms", right=True, least=5)])
    lines.print(["search", "12"])
    lines.print(["a-very-long-name", "7"])

    assert capsys.readouterr().out.splitlines() == [
        "name         ms",
        "search       12",
        "a-very-long-name      7",
    ]


def test_amounts_stay_exact_and_align() -> None:
    assert money(["0.000014000", "140.000000000", None]) == ["$0.000014", "$140.000000", "unknown"]
    assert money(["1234567.500000000", "0.000000000"]) == ["$1,234,567.50", "$0.00"]
    assert money(["-0.000000001"]) == ["-$0.000000001"]
    assert money([]) == []


def test_unknown_is_a_dash_and_never_a_zero() -> None:
    """Known fault 13: unknown is null, not zero, on the terminal too."""
    assert (count(None), decimal(None), word(None)) == ("–", "–", "–")
    assert (count(0), decimal(0.0), count(1234567), decimal(1234.56)) == ("0", "0.0", "1,234,567", "1,234.6")


def test_a_pipe_gets_no_colour_and_no_edge(tmp_path: Path) -> None:
    assert run(tmp_path, "db", "upgrade").returncode == 0
    for name in ("a" * 60, "b" * 60):
        assert invoke(tmp_path, "key", "create", "--name", name, "--team", name).exit_code == 0
    listed = run(tmp_path, "key", "list")

    assert "\x1b" not in listed.stdout
    assert max(len(line) for line in listed.stdout.splitlines()) > 150
    narrow = run(tmp_path, "key", "list", COLUMNS="70")
    assert max(len(line) for line in narrow.stdout.splitlines()) <= 70


def test_no_color_is_respected_in_a_terminal_that_has_colours(tmp_path: Path) -> None:
    assert invoke(tmp_path, "db", "upgrade").exit_code == 0
    assert invoke(tmp_path, "key", "create", "--name", "a").exit_code == 0
    coloured = invoke(tmp_path, "key", "show", "a", FORCE_COLOR="1", TERM="xterm-256color")
    plain = invoke(tmp_path, "key", "show", "a", FORCE_COLOR="1", TERM="xterm-256color", NO_COLOR="1")

    assert "\x1b[2m" in coloured.output
    assert "\x1b[3" not in plain.output
