"""Figures as a table for people, as JSON for programs, and as both in a file."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `value` None: it cannot be told here."""

    key: str
    title: str
    value: float | None
    unit: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured, where, and how far to trust it."""

    what: str
    machine: str
    figures: Sequence[Figure]
    notes: Sequence[str] = ()
    wrong: Sequence[str] = ()
    """Why the figures are not to be believed; empty if they are."""

    def table(self) -> str:
        """Markdown that reads well in a terminal too."""
        rows = [(figure.title, number(figure.value), figure.unit) for figure in self.figures]
        titles, numbers, units = (max(len(row[column]) for row in rows) for column in range(3))
        lines = [f"{self.what[:1].upper()}{self.what[1:]}. {self.machine}.", ""]
        lines += [f"| {'':{titles}} | {'':{numbers}} | {'':{units}} |"]
        lines += [f"|{'-' * (titles + 2)}|{'-' * (numbers + 1)}:|{'-' * (units + 2)}|"]
        lines += [f"| {title:{titles}} | {value:>{numbers}} | {unit:{units}} |" for title, value, unit in rows]
        lines += [f"\nNote: {note}." for note in self.notes]
        lines += [f"\nWRONG: {wrong}" for wrong in self.wrong]
        return "\n".join(lines) + "\n"

    def json(self) -> str:
        told: dict[str, Any] = {
            "what": self.what,
            "machine": self.machine,
            "figures": {figure.key: figure.value for figure in self.figures},
            "notes": list(self.notes),
            "wrong": list(self.wrong),
        }
        return json.dumps(told, indent=2, ensure_ascii=False) + "\n"

    def save(self, name: str) -> Path:
        """Writes `results/DATE-NAME.md` and `.json`; the path of the former."""
        RESULTS.mkdir(exist_ok=True)
        stem = f"{datetime.now(UTC):%Y-%m-%d}-{name}"
        table = RESULTS / f"{stem}.md"
        table.write_text(self.table(), encoding="utf-8")
        (RESULTS / f"{stem}.json").write_text(self.json(), encoding="utf-8")
        return table


def number(value: float | None) -> str:
    """Three digits that mean something, or all of a count; a dash for what is unknown."""
    if value is None:
        return "–"
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"
