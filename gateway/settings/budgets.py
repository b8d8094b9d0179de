"""Budgets and holds as the file states them, with the rules of what only they have: scopes, zones, percentages.

The words are told here a second time, because the settings lie below what owns them; tests hold both together.
"""

# ruff: noqa: RUF009 - `setting` makes a field, as `dataclasses.field` does

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TypeAlias
from zoneinfo import ZoneInfo, available_timezones

from gateway.settings import rules
from gateway.settings.problems import Report, Wrong, did_you_mean, nearest
from gateway.settings.rules import quoted, scalar, text_of
from gateway.settings.schema import Default, Rule, Section, attempt, entries_of, listing, setting
from gateway.settings.source import Node

WINDOWS = ("hour", "day", "week", "month", "quarter", "year", "lifetime")
DIMENSIONS = ("key", "team", "model", "session", "end_user", "target", "provider")
TAG = "tag"
LONGEST = 256
MOST_USD = "1000000000"

Parts: TypeAlias = tuple[tuple[str, str], ...]
"""Dimensions and values, `("tag", "env=prod")` for a tag."""


def _limit(text: str) -> Decimal:
    amount = rules.decimal_of(text)
    if amount <= 0:
        raise Wrong("must be more than 0", "a budget of nothing would refuse every call: revoke the key instead")
    if amount > Decimal(MOST_USD):
        raise Wrong(f"must be at most {MOST_USD}, and {text} is more", "the unit is in the setting's name")
    if amount != round(amount, 9):
        raise Wrong(f"{quoted(text)} has more than nine decimals", "a nano-dollar is the smallest amount")
    return amount


def own_budget(text: str) -> tuple[Decimal, str]:
    """A limit and its window, `5.00/month`. Raises `Wrong`."""
    amount, slash, window = (part.strip() for part in text.partition("/"))
    if not slash or window not in WINDOWS:
        raise Wrong(f"{quoted(text)} is no budget", f"write it like 5.00/month; the windows are {', '.join(WINDOWS)}")
    return _limit(amount), window


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (OSError, ValueError, KeyError):  # of which the last is what an unknown name raises
        near = _near_zone(text)
        hint = f"did you mean `{near}`?" if near else "write a name like Europe/Berlin, or UTC"
        raise Wrong(f"{quoted(text)} is no time zone", hint) from None
    return text


def _near_zone(text: str) -> str | None:
    """The zone that was most likely meant: `berlin` too."""
    names = available_timezones()
    cities = {name.rpartition("/")[2].casefold(): name for name in sorted(names, reverse=True)}
    return cities.get(text.strip().replace(" ", "_").casefold()) or nearest(text, names)


def _percentages(node: Node, report: Report) -> tuple[int, ...]:
    given = listing(rules.integer(1, 1000), "").read(node, report)
    if list(given) != sorted(set(given)):
        raise Wrong("must go up from one percentage to the next", "write them like [50, 80, 100]")
    return given


percentages: Rule[tuple[int, ...]] = Rule("list of integers, 1 to 1000", _percentages, scalar=False)


def scope(*dimensions: str) -> Rule[Parts]:
    """Whose calls something counts: dimensions, and tags, each with its value or `*`."""
    known = (*dimensions, TAG)
    return Rule("mapping: " + ", ".join(f"`{word}`" for word in known), partial(_scope, known), scalar=False)


def _scope(known: tuple[str, ...], node: Node, report: Report) -> Parts:
    parts: dict[str, tuple[str, str]] = {}
    for dimension, child in entries_of(node).items():
        if dimension not in known:
            hint = did_you_mean(dimension, known)
            report.add(child.path, child.origin, f"`{dimension}` is nothing that calls can be told apart by", hint)
            continue
        for stated in _stated(dimension, child):
            part = attempt(Rule("text", partial(_part, dimension)), stated, report)
            if part is None:
                continue
            if part[0] in parts:
                report.add(stated.path, stated.origin, f"names {part[0]} twice", "name each of them once")
            parts[part[0]] = (dimension, part[1])
    return tuple(parts.values())


def _stated(dimension: str, node: Node) -> Iterator[Node]:
    """Tags may be several, under one word."""
    if dimension == TAG and isinstance(node.content, tuple):
        yield from node.content
    else:
        yield node


def _part(dimension: str, node: Node, _: Report) -> tuple[str, str]:
    """What a part tells apart, and its value as it was written. Raises `Wrong`."""
    text = text_of(node, "text").strip()
    told, fixed = dimension, text
    if dimension == TAG:
        name, equals, fixed = (piece.strip() for piece in text.partition("="))
        if not equals or not name:
            raise Wrong(f"{quoted(text)} is no tag", "write NAME=VALUE, or NAME=* for a counter each")
        told = f"{TAG} {name}"
    if not fixed or len(fixed) > LONGEST:
        raise Wrong(f"must have from 1 to {LONGEST} characters", 'or be "*", for a counter each')
    return told, text


def _model(text: str) -> str:
    if not text or not text.isprintable() or len(text) > 200 or " " in text or "*" in text:
        raise Wrong(f"{quoted(text)} is no model's name", "name a model of ours, or a target, PROVIDER/MODEL")
    return text


limit_usd = scalar("decimal in USD", _limit)
time_zone = scalar("time zone", _zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSettings(Section):
    """A limit in USD over a window for a scope."""

    limit_usd: Decimal = setting(limit_usd, "What may be spent in each window.", Default.REQUIRED)
    window: str = setting(rules.choice(*WINDOWS), "How long it holds before it begins anew.", "month")
    timezone: str = setting(time_zone, "Whose calendar the windows follow; weeks begin on Monday.", "UTC")
    mode: str = setting(
        rules.choice("hard", "soft"), "A hard limit is never passed; a soft one is watched and refuses nothing.", "hard"
    )
    scope: Parts = setting(
        scope(*DIMENSIONS),
        'Whose calls it counts: `{team: search}`; "*" counts each value apart; `tag` takes a list of NAME=VALUE.',
        "{}",
        shown="every call",
    )
    alert_at: tuple[int, ...] = setting(
        percentages,
        "Percentages of the limit, going up; kept, this version tells nobody yet.",
        "[]",
    )
    on_exhausted: str = setting(
        rules.choice("refuse", "downgrade"), "What a hard budget does with a call that does not fit any more.", "refuse"
    )
    downgrade_to: str | None = setting(scalar("model or target", _model), "What is asked instead, where it downgrades.")
    unpriced: str = setting(
        rules.choice("refuse", "allow"),
        "A call that can use what has no price: refused by a hard budget, or let through.",
        "refuse",
    )
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldSettings(Section):
    """How money is set aside for a call under a hard budget."""

    wait: float = setting(
        rules.duration("0ms", "30s"), "How long a call waits for money that others hold, before it is refused.", "250ms"
    )
    min_output_tokens: int = setting(
        rules.integer(1, 1_000_000), "A call's limit of tokens is never lowered below this, but refused.", "128"
    )
