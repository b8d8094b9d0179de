"""One call on a page: what was asked, what it took, used and cost, try by try and charge by charge."""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from gateway.cli.tables import UNKNOWN, Column, count, decimal, money, print_facts, print_table, word

if TYPE_CHECKING:
    from rich.console import Console

_TIMINGS = {
    "overhead_ms": "overhead",
    "connect_ms": "connect",
    "ttft_ms": "time to first token",
    "first_reasoning_ms": "time to first reasoning",
    "duration_ms": "duration",
    "itl_p50_ms": "between tokens, p50",
    "itl_p95_ms": "between tokens, p95",
    "itl_max_ms": "between tokens, longest",
}


def print_call(out: "Console", call: Mapping[str, Any]) -> None:
    """Print a call of contract §5 with its attempts and charges."""
    print_facts(out, _about(call))
    _section(out, "Timings")
    speed = decimal(call["timings"]["output_tokens_per_second"])
    timings = [(shown, _ms(call["timings"][name])) for name, shown in _TIMINGS.items()]
    print_facts(out, [*timings, ("output", speed if speed == UNKNOWN else f"{speed} tokens/s")])
    _section(out, f"Usage (basis: {call['usage_basis']})")
    buckets = [(name, count(tokens)) for name, tokens in call["usage"].items() if tokens is not None]
    print_facts(out, buckets or [("tokens", "nobody told")])
    if call["attempts"]:
        _section(out, "Attempts")
        _print_attempts(out, call["attempts"])
    if call["charges"]:
        _section(out, "Charges")
        _print_charges(out, call["charges"], _first_cost(call))
    if call["corrections"]:
        _section(out, "Corrections")
        _print_corrections(out, call["corrections"])


def _section(out: "Console", title: str) -> None:
    out.print()
    out.print(title, style="bold")


def _about(call: Mapping[str, Any]) -> list[tuple[str, str]]:
    (cost,) = money([call["cost_usd"]])
    at_least = call["cost_at_least_usd"]
    if at_least is not None:
        cost += f", at least {money([at_least])[0]}"
    unpriced = {
        number: attempt["unpriced_because"]
        for number, attempt in enumerate(call["attempts"])
        if attempt["unpriced_because"] is not None
    }
    labels = ", ".join(f"{name}={value}" for name, value in call["labels"].items())
    facts = [
        ("call", call["id"]),
        ("started", call["started_at"]),
        ("path", call["path"] + (", stream" if call["stream"] else "")),
        ("key", word(call["key"])),
        ("team", word(call["team"])),
        ("labels", labels or UNKNOWN),
        ("session", word(call["session"])),
        ("end user", word(call["end_user"])),
        ("model", word(call["model"])),
        ("target", word(call["target"])),
        ("end", f"{call['end']}, status {word(call['status'])}"),
        ("error", word(call["error"])),
        ("cache", call["cache"]),
        ("cost", cost),
        *((f"no cost of #{number}", because) for number, because in unpriced.items()),
        ("price book", word(call["price_book"])),
    ]
    return [(name, value) for name, value in facts if value != UNKNOWN]


def _first_cost(call: Mapping[str, Any]) -> str | None:
    """What the charges come to: the cost before any correction."""
    cost: str | None = call["cost_usd"]
    if cost is None or not call["corrections"]:
        return cost
    if any(attempt["cost_usd"] is None for attempt in call["attempts"]):
        return None
    return f"{Decimal(cost) - sum(Decimal(correction['delta_usd']) for correction in call['corrections']):f}"


def _print_corrections(out: "Console", corrections: list[Mapping[str, Any]]) -> None:
    columns = [
        Column("made"), Column("cost", 90, right=True), Column("difference", 95, right=True), Column("by", 60),
        Column("book", 50), Column("reason", 40),
    ]  # fmt: skip
    costs = money([correction["cost_usd"] for correction in corrections])
    deltas = money([correction["delta_usd"] for correction in corrections])
    rows = [
        [one["made_at"], cost, delta, one["actor"], word(one["price_book"]), one["reason"]]
        for one, cost, delta in zip(corrections, costs, deltas, strict=True)
    ]
    print_table(out, columns, rows)


def _ms(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.1f} ms"


def _print_attempts(out: "Console", attempts: list[Mapping[str, Any]]) -> None:
    columns = [
        Column("#", right=True), Column("target", 95), Column("end", 90), Column("status", 80, right=True),
        Column("duration", 70, right=True), Column("basis", 50), Column("cost", 85, right=True), Column("error", 60),
        Column("upstream request id", 40),
    ]  # fmt: skip
    costs = money([attempt["cost_usd"] for attempt in attempts])
    rows = [
        [
            str(number),
            attempt["target"],
            attempt["end"],
            word(attempt["status"]),
            _ms(attempt["duration_ms"]),
            attempt["usage_basis"],
            cost,
            word(attempt["error"]),
            word(attempt["upstream_request_id"]),
        ]
        for number, (attempt, cost) in enumerate(zip(attempts, costs, strict=True))
    ]
    print_table(out, columns, rows)


def _print_charges(out: "Console", charges: list[Mapping[str, Any]], cost: str | None) -> None:
    columns = [
        Column("#", right=True), Column("bucket", 95), Column("quantity", 90, right=True),
        Column("USD per million", 80, right=True), Column("amount", 85, right=True),
    ]  # fmt: skip
    amounts = money([*(charge["amount_usd"] for charge in charges), cost])
    rows = [
        [str(charge["attempt"]), charge["bucket"], count(charge["quantity"]), charge["usd_per_million"], amount]
        for charge, amount in zip(charges, amounts[:-1], strict=True)
    ]
    print_table(out, columns, rows, ["", "total", "", "", amounts[-1]])
