"""Energy and CO2e at the command line: the flags that state factors, and ranges in words.

The factors are always those of who types them. The arithmetic is `core.energy`'s.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Context, Decimal
from typing import Annotated, Any

import typer

from gateway.cli.tables import UNKNOWN, Column
from gateway.core.energy import Energy, Factors, Range, energy, stated_range
from gateway.core.errors import Fault, Kind

_WH_PER_1K, _G_CO2_PER_KWH, _OVERHEAD = "--wh-per-1k", "--g-co2-per-kwh", "--overhead"


def _range(flag: str, about: str) -> Any:
    return typer.Option(flag, metavar="LOW-HIGH", help=about)


WhPer1k = Annotated[str | None, _range(_WH_PER_1K, "Watt-hours for a thousand generated tokens, like 0.3-3.0.")]
GCo2PerKwh = Annotated[str | None, _range(_G_CO2_PER_KWH, "Grams of CO2e for a kilowatt-hour, like 400.")]
Overhead = Annotated[str | None, _range(_OVERHEAD, "What the building adds (PUE); 20 % on top is 1.2.")]

_COLUMNS = {"energy_wh": ("energy", "Wh"), "co2e_g": ("CO2e", "g")}
"""Field of a report -> title and unit; a thousand of the unit is the same with a k."""
_SHOWN = Context(prec=3)
"""As many digits as an estimate deserves."""


def factors(wh_per_1k: str | None, g_co2_per_kwh: str | None, overhead: str | None) -> Factors | None:
    """The factors from the texts of their flags; null if none is given. Raises `Fault` that names the flag."""
    if wh_per_1k is None:
        more = {_G_CO2_PER_KWH: g_co2_per_kwh, _OVERHEAD: overhead}
        alone = [flag for flag, text in more.items() if text is not None]
        if alone:
            raise Fault(Kind.INVALID, f"{alone[0]} goes with {_WH_PER_1K}")
        return None
    return with_more(_read(_WH_PER_1K, wh_per_1k), g_co2_per_kwh, overhead)


def with_more(wh_per_1k: Range, g_co2_per_kwh: str | None, overhead: str | None) -> Factors:
    """The same where the first of them is a range already."""
    return Factors(
        wh_per_1k,
        None if g_co2_per_kwh is None else _read(_G_CO2_PER_KWH, g_co2_per_kwh),
        None if overhead is None else _read(_OVERHEAD, overhead, 1, "20 % on top is 1.2"),
    )


def _read(flag: str, text: str, least: int = 0, hint: str | None = None) -> Range:
    try:
        return stated_range(text, least)
    except Fault as fault:
        raise Fault(fault.kind, fault.message, hint=fault.hint or hint, param=flag) from None


def method(tokens: str, each: str, factors: Factors) -> str:
    """How the figures came about and what is not in them, for beside them."""
    formula = f"{tokens} × {each}"
    if factors.overhead is not None:
        formula += f" × overhead {as_stated(factors.overhead)}"
    if factors.g_co2_per_kwh is not None:
        formula += f" × {as_stated(factors.g_co2_per_kwh)} g CO2e per kWh"
    return f"{formula}, as stated; prompts not counted; estimate"


def per_thousand(factors: Factors) -> str:
    """What a thousand tokens take, every digit as it was typed."""
    return f"{as_stated(factors.wh_per_1k)} Wh per thousand"


def facts(found: Energy | None, factors: Factors) -> dict[str, Any]:
    """For programs: `energy_wh`, and `co2e_g` if it is asked for; null where the tokens are unknown."""
    asked = {"energy_wh": found and found.wh}
    if factors.g_co2_per_kwh is not None:
        asked["co2e_g"] = found and found.co2e_g
    return {name: one and {"low": float(one.low), "high": float(one.high)} for name, one in asked.items()}


def words(found: Energy) -> str:
    """For people, each range with its unit."""
    told = _with_unit(found.wh, "Wh")
    return told if found.co2e_g is None else f"{told}, {_with_unit(found.co2e_g, 'g')} CO2e"


def of_report(report: Mapping[str, Any], factors: Factors) -> dict[str, Any]:
    """A report of usage (contract §5) with the energy of its rows and of its totals, and how that came about."""
    from gateway.core.usage import Usage

    def line(row: Mapping[str, Any]) -> dict[str, Any]:
        return {**row, **facts(energy(Usage(**row["usage"]).generated_tokens, factors), factors)}

    rows, totals = [line(row) for row in report["rows"]], line(report["totals"])
    told = method("known generated tokens", per_thousand(factors), factors)
    return {**report, "rows": rows, "totals": totals, "energy_method": told}


def columns(lines: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Column, list[str]]]:
    """The columns of such a report's lines with their texts, each in one unit; none if energy was not asked for."""
    for name, (title, unit) in _COLUMNS.items():
        if all(name in line for line in lines):
            ranges = [_from_json(line[name]) for line in lines]
            kilo = max((one.high for one in ranges if one is not None), default=0) >= 1000
            column = Column(f"{title}\n{'k' * kilo}{unit}", 98, right=True)
            yield column, [UNKNOWN if one is None else _digits(one, kilo) for one in ranges]


def _from_json(pair: Mapping[str, float] | None) -> Range | None:
    return None if pair is None else Range(Decimal(repr(pair["low"])), Decimal(repr(pair["high"])))


def as_stated(one: Range) -> str:
    return f"{one.low:f}" if one.low == one.high else f"{one.low:f}–{one.high:f}"


def _with_unit(one: Range, unit: str) -> str:
    kilo = one.high >= 1000
    return f"{_digits(one, kilo)} {'k' * kilo}{unit}"


def _digits(one: Range, kilo: bool) -> str:
    """`0.06–0.6`; one figure where both ends read the same. With `kilo` in thousands."""
    low, high = (_three(end.scaleb(-3) if kilo else end) for end in (one.low, one.high))
    return low if low == high else f"{low}–{high}"


def _three(number: Decimal) -> str:
    return f"{_SHOWN.plus(number).normalize():,f}"
