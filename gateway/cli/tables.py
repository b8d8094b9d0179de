"""Tables in a terminal: what does not fit a narrow one is left out column by column, and said so.

Knows how a value reads; not what it means.
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

UNKNOWN = "–"
_GAP = 2
_UNBOUNDED = 10_000


@dataclass(frozen=True, slots=True)
class Column:
    """A column, its title in one or two lines. Of those that do not fit, the one of the smallest worth goes first."""

    title: str
    worth: int = 100
    right: bool = False
    least: int = 0
    """The width that lines printed one by one keep free for it."""


def console(*, error: bool = False) -> "Console":
    """Where people read. A pipe or a file has no edge, unless COLUMNS states one; NO_COLOR is respected."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() or os.environ.get("COLUMNS") else _UNBOUNDED
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def print_json(value: object) -> None:
    """One JSON document on stdout, readable by people too."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(
    out: "Console", columns: Sequence[Column], rows: Sequence[Sequence[str]], total: Sequence[str] | None = None
) -> None:
    """Print what fits the width; `total` becomes the last line, under a rule."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    lines = [*rows, total] if total is not None else list(rows)
    kept, gap = _fitting(columns, lines, out.width)
    table = Table(
        box=box.SIMPLE, show_edge=False, pad_edge=False, padding=(0, gap - 1, 0, 0), show_footer=total is not None
    )
    for i in kept:
        table.add_column(
            Text(columns[i].title),
            Text(_printable(total[i])) if total is not None else "",
            justify="right" if columns[i].right else "left",
            no_wrap=True,
        )
    for row in rows:
        table.add_row(*(Text(_printable(row[i])) for i in kept))
    out.print(table)
    left_out = [column.title.replace("\n", " ") for i, column in enumerate(columns) if i not in kept]
    if left_out:
        out.print(f"Left out for the width of the terminal: {', '.join(left_out)}; --json has everything.", style="dim")


def _fitting(columns: Sequence[Column], lines: Sequence[Sequence[str]], width: int) -> tuple[list[int], int]:
    """The indices of the columns that fit, in their order, one at least; and the gap between them."""
    from rich.cells import cell_len

    widths = [
        max(cell_len(cell) for cell in (*column.title.split("\n"), *(line[i] for line in lines)))
        for i, column in enumerate(columns)
    ]
    kept = list(range(len(columns)))
    while True:
        for gap in (_GAP, 1):
            if sum(widths[i] + gap for i in kept) - gap <= width or len(kept) == 1:
                return kept, gap
        kept.remove(min(kept, key=lambda i: (columns[i].worth, -i)))


class Lines:
    """A table that grows line by line, its widths fixed before the first one is known."""

    def __init__(self, out: "Console", columns: Sequence[Column]) -> None:
        self._columns = [replace(column, least=max(column.least, len(column.title))) for column in columns]
        self._kept, self._gap = _fitting(self._columns, [["x" * column.least for column in self._columns]], out.width)
        self._titled = False

    def print(self, row: Sequence[str]) -> None:
        """One line at once, under the titles if it is the first."""
        if not self._titled:
            self._titled = True
            self.print([column.title for column in self._columns])
        cells = []
        for i in self._kept:
            width = self._columns[i].least
            cell = _printable(row[i])
            cells.append(cell.rjust(width) if self._columns[i].right else cell.ljust(width))
        print((" " * self._gap).join(cells).rstrip(), flush=True)


def print_facts(out: "Console", facts: Sequence[tuple[str, str]]) -> None:
    """Names and values, one pair a line, the values aligned; a long value goes on under itself."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, _GAP, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(Text(name, style="dim"), Text(_printable(value)))
    out.print(table)


def _printable(text: str) -> str:
    """What clients named must not move the cursor of who reads it."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def count(value: Any) -> str:
    """A whole number with its thousands apart."""
    return UNKNOWN if value is None else f"{value:,}"


def decimal(value: Any, places: int = 1) -> str:
    return UNKNOWN if value is None else f"{value:,.{places}f}"


def word(value: Any) -> str:
    return UNKNOWN if value is None else str(value)


def money(amounts: Sequence[str | None]) -> list[str]:
    """Exact decimal texts of USD with the same number of decimals, no more than the longest needs; two at least."""
    parts = [None if amount is None else amount.partition(".") for amount in amounts]
    places = max([2, *(len(part[2].rstrip("0")) for part in parts if part is not None)])
    return ["unknown" if part is None else _dollars(part[0], part[2][:places].ljust(places, "0")) for part in parts]


def _dollars(whole: str, part: str) -> str:
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}${int(digits):,}.{part}"
