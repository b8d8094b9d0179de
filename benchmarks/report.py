"""Figures as a table for people, as JSON for programs, and as both in a file."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
_COLUMNS = ("", "", "", "aim", "reached")
_RIGHT = (1, 3)
"""Columns of numbers."""


@dataclass(frozen=True, slots=True)
class Aim:
    """A bound that the project wants to keep."""

    bound: float
    upper: bool

    @classmethod
    def at_most(cls, bound: float) -> "Aim":
        return cls(bound, upper=True)

    @classmethod
    def at_least(cls, bound: float) -> "Aim":
        return cls(bound, upper=False)

    def reached(self, value: float) -> bool:
        return value <= self.bound if self.upper else value >= self.bound

    def __str__(self) -> str:
        return f"{'≤' if self.upper else '≥'} {self.bound:,g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `value` None: it cannot be told here."""

    key: str
    title: str
    value: float | None
    unit: str
    aim: Aim | None = None

    @property
    def reached(self) -> bool | None:
        return None if self.aim is None or self.value is None else self.aim.reached(self.value)

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        if self.aim is None:
            return self.title, number(self.value), self.unit, "", ""
        verdict = "–" if self.reached is None else "yes" if self.reached else "no"
        return self.title, number(self.value), self.unit, str(self.aim), verdict


@dataclass(frozen=True, slots=True)
class Section:
    """What one scenario measured, and how far to trust it."""

    name: str
    about: str
    figures: Sequence[Figure]
    notes: Sequence[str] = ()
    wrong: Sequence[str] = ()
    """Why the figures are not to be believed; empty if they are."""

    def table(self) -> str:
        """Markdown that reads well in a terminal too."""
        lines = [f"## {self.name}", "", f"{self.about}.", ""]
        if self.figures:
            lines += _table([figure.cells for figure in self.figures])
        lines += [f"\nNote: {note}." for note in self.notes]
        lines += [f"\nWRONG: {wrong}" for wrong in self.wrong]
        return "\n".join(lines) + "\n"

    def told(self) -> dict[str, Any]:
        return {
            "about": self.about,
            "figures": {figure.key: figure.value for figure in self.figures},
            "aims": {
                figure.key: {"at_most" if figure.aim.upper else "at_least": figure.aim.bound, "reached": figure.reached}
                for figure in self.figures
                if figure.aim is not None
            },
            "notes": list(self.notes),
            "wrong": list(self.wrong),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one command measured, and where and when."""

    machine: str
    sections: Sequence[Section]
    moment: datetime = field(default_factory=lambda: datetime.now(UTC))

    def head(self) -> str:
        return f"# The speed of the gateway, {self.moment:%Y-%m-%d %H:%M} UTC\n\n{self.machine}.\n"

    def text(self) -> str:
        return "\n".join([self.head(), *(section.table() for section in self.sections)])

    def json(self) -> str:
        told: dict[str, Any] = {
            "machine": self.machine,
            "moment": self.moment.isoformat(timespec="seconds"),
            "scenarios": {section.name: section.told() for section in self.sections},
        }
        return json.dumps(told, indent=2, ensure_ascii=False) + "\n"

    def save(self, name: str, folder: Path = RESULTS) -> Path:
        """Writes `DATE-NAME.md` and `.json`; the path of the former."""
        folder.mkdir(exist_ok=True)
        stem = f"{self.moment:%Y-%m-%d}-{name}"
        text = folder / f"{stem}.md"
        text.write_text(self.text(), encoding="utf-8")
        (folder / f"{stem}.json").write_text(self.json(), encoding="utf-8")
        return text


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Without the columns of the aims where there is none."""
    shown = len(_COLUMNS) if any(row[3] for row in rows) else 3
    widths = [max(len(row[column]) for row in (_COLUMNS, *rows)) for column in range(shown)]
    rule = "|".join("-" * (width + 1) + (":" if column in _RIGHT else "-") for column, width in enumerate(widths))
    lines = [_line(row, widths) for row in (_COLUMNS, *rows)]
    return [lines[0], f"|{rule}|", *lines[1:]]


def _line(cells: tuple[str, ...], widths: Sequence[int]) -> str:
    padded = [
        cells[column].rjust(width) if column in _RIGHT else cells[column].ljust(width)
        for column, width in enumerate(widths)
    ]
    return "| " + " | ".join(padded) + " |"


def number(value: float | None) -> str:
    """Three digits that mean something, or all of a count; a dash for what is unknown."""
    if value is None:
        return "–"
    size = abs(value)
    if isinstance(value, int) or size >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3f}"
