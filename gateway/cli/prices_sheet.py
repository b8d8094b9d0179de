"""Prices on a terminal: a list, one alone, a history, what a newer map changes, what a second look at calls finds."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gateway.cli import when
from gateway.cli.tables import UNKNOWN, Column, console, count, money, print_facts, print_json, print_table, word
from gateway.control.prices_shown import stored_facts
from gateway.core.money import usd_text

if TYPE_CHECKING:
    from gateway.core.pricing import StoredPrice
    from gateway.core.pricing.maps import MapChanges

_LIST = (
    Column("target"),
    Column("input", 90, right=True),
    Column("cache\nread", 50, right=True),
    Column("output", 90, right=True),
    Column("also by", 60),
    Column("from", 40),
    Column("book", 20),
)
_HISTORY = (
    Column("since UTC"),
    Column("price"),
    Column("set UTC", 50),
    Column("by", 60),
    Column("number", 40, right=True),
)
_SHOWN = 20


def print_prices(facts: Sequence[Mapping[str, Any]], book: str, as_json: bool) -> None:
    """A list, USD per million."""
    if as_json:
        print_json({"items": list(facts), "next": None, "price_book": book})
    elif not facts:
        print("There is no priced target. `tollkeeper prices list --all` shows what the book knows.")
    else:
        print_table(console(), _LIST, [_row(one) for one in facts])
        print(f"USD per million tokens; price book: {book}")


def _row(facts: Mapping[str, Any]) -> list[str]:
    rates = facts.get("usd_per_million") or {}
    shown = [_rate(facts, rates.get(bucket)) for bucket in ("input", "cache_read", "output")]
    return [facts["target"], *shown, _also(facts), word(facts["source"]), word(facts["price_book"])]


def _rate(facts: Mapping[str, Any], rate: str | None) -> str:
    if facts.get("unknown_because") is not None:
        return "unknown"
    return "free" if facts.get("free") else UNKNOWN if rate is None else f"${rate}"


def _also(facts: Mapping[str, Any]) -> str:
    """What else decides, in words."""
    words = {
        "steps": "prompt size", "tiers": "tier", "off_peak": "hour", "usd_per_call": "call",
        "usd_per_call_by_search": "search", "multipliers": "region", "like": "like",
    }  # fmt: skip
    found = [text for name, text in words.items() if facts.get(name)]
    return ", ".join(found) or UNKNOWN


def print_price(facts: Mapping[str, Any], as_json: bool) -> None:
    """One price with everything that decides about it."""
    if as_json:
        print_json(facts)
        return
    lines: list[tuple[str, str]] = []
    for name, value in facts.items():
        _flatten(name.replace("_", " "), value, lines)
    print_facts(console(), lines)


def _flatten(name: str, value: Any, lines: list[tuple[str, str]]) -> None:
    """Nested facts, one line for each leaf that says something."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _flatten(f"{name} {key}".replace("_", " "), inner, lines)
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        for inner in value:
            _flatten(name, inner, lines)
    elif value is not None and value is not False and value != []:
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        lines.append((name, "yes" if value is True else text))


def print_history(stored: Sequence["StoredPrice"], target: str, as_json: bool) -> None:
    """What was ever set, the newest first."""
    if as_json:
        print_json({"items": [stored_facts(one) for one in stored], "next": None})
    elif not stored:
        print(f"No price was ever set for {target}; `tollkeeper prices show {target}` shows what holds.")
    else:
        print_table(console(), _HISTORY, [_history_row(one) for one in stored])


def _history_row(one: "StoredPrice") -> list[str]:
    facts = stored_facts(one)
    rates = ", ".join(f"{bucket} ${usd}" for bucket, usd in (facts["usd_per_million"] or {}).items())
    per_call = f"${facts['usd_per_call']} per call" if facts["usd_per_call"] else ""
    stated = ", ".join(text for text in (rates, per_call) if text)
    other = "free" if facts["free"] else f"like {facts['like']}" if facts["like"] else stated
    price = "taken back" if one.entry is None else other
    return [when.shown(one.since_us), price, when.shown(one.made_us), one.actor, str(one.number)]


def print_changes(changes: "MapChanges", before: str, after: str, taken: bool, as_json: bool) -> None:
    """What a newer map changes."""
    if as_json:
        changed = [{"model": change.model, "what": change.what} for change in changes.changed]
        facts = {"before": before, "after": after, "in_force": taken, "added": list(changes.added)}
        print_json({**facts, "removed": list(changes.removed), "changed": changed, "doubts": list(changes.doubts)})
        return
    print(f"{before}\n→ {after}")
    lines = [f"changed  {change.model}: {change.what}" for change in changes.changed]
    lines += [f"added    {model}" for model in changes.added] + [f"removed  {model}" for model in changes.removed]
    for line in lines[:_SHOWN]:
        print(f"  {line}")
    if len(lines) > _SHOWN:
        print(f"  … and {len(lines) - _SHOWN} more; --json has all of them")
    counts = f"{len(changes.changed)} changed, {len(changes.added)} added, {len(changes.removed)} removed"
    print(f"{counts}; {'in force everywhere within 2 seconds' if taken else 'nothing was changed'}")
    for doubt in changes.doubts:
        print(f"Doubtful: {doubt}{'' if taken else '; --force would take it over all the same'}")


_REPRICED = (
    Column("target"),
    Column("book", 50),
    Column("calls", 95, right=True),
    Column("cost before", 90, right=True),
    Column("unknown\nbefore", 80, right=True),
    Column("cost after", 90, right=True),
    Column("difference", 99, right=True),
)


def print_repriced(report: Mapping[str, Any], as_json: bool) -> None:
    """What a second look found, by target and book."""
    if as_json:
        print_json(report)
        return
    rows, totals = report["rows"], report["totals"]
    if rows:
        figures = [_repriced_row(row) for row in rows]
        print_table(console(), _REPRICED, figures, ["total", "", *_repriced_row(totals)[2:]])
    verb = "corrected" if report["applied"] else "would be corrected; --apply does it"
    same, unknown = count(report["same_calls"]), count(report["unknown_calls"])
    print(f"{count(totals['calls'])} calls {verb}; {same} are right, of {unknown} the cost is not known")


def _repriced_row(row: Mapping[str, Any]) -> list[str]:
    before, after, difference = money([row["before_usd"], row["after_usd"], row["delta_usd"]])
    calls, unknown = count(row["calls"]), count(row["unknown_before"])
    return [word(row.get("target")), word(row.get("price_book")), calls, before, unknown, after, difference]


def repriced_json(calls: int, unknown_before: int, before_nano: int, after_nano: int) -> dict[str, Any]:
    """The figures of one line."""
    return {
        "calls": calls,
        "unknown_before": unknown_before,
        "before_usd": usd_text(before_nano),
        "after_usd": usd_text(after_nano),
        "delta_usd": usd_text(after_nano - before_nano),
    }
