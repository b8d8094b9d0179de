"""Alerts, actions and deliveries on a terminal."""

from collections.abc import Mapping
from typing import Any

from gateway.cli.tables import Column, console, print_json, print_table, word

_ALERTS = (
    Column("raised UTC", 90),
    Column("state", 80),
    Column("severity", 50),
    Column("what"),
    Column("rule", 60),
    Column("id", 70),
)
_DELIVERIES = (
    Column("made UTC", 60),
    Column("channel", 95),
    Column("state", 90),
    Column("status", 40),
    Column("tries", 30, right=True),
    Column("next try UTC", 50),
    Column("what", 70),
    Column("error", 65),
    Column("id"),
)


_ACTIONS = (
    Column("made UTC", 90),
    Column("state", 95),
    Column("what"),
    Column("rule", 60),
    Column("decided UTC", 50),
    Column("by", 45),
    Column("id", 80),
)


def print_alerts(page: Mapping[str, Any], as_json: bool) -> None:
    """A list."""
    if as_json:
        print_json(page)
    elif not page["items"]:
        print("There is no alert.")
    else:
        fields = ("state", "severity", "title", "rule", "id")
        rows = [[_time(one["raised_at"]), *(word(one[field]) for field in fields)] for one in page["items"]]
        print_table(console(), _ALERTS, rows)


def print_actions(page: Mapping[str, Any], as_json: bool) -> None:
    """A list."""
    if as_json:
        print_json(page)
    elif not page["items"]:
        print("No rule has done anything.")
    else:
        rows = [
            [
                _time(one["made_at"]),
                one["state"],
                one["effect"],
                one["rule"],
                _time(one["decided_at"]),
                word(one["decided_by"]),
                one["id"],
            ]
            for one in page["items"]
        ]
        print_table(console(), _ACTIONS, rows)


def print_decided(action: Mapping[str, Any], as_json: bool) -> None:
    """What a person has decided."""
    if as_json:
        print_json(action)
        return
    over = {"undone": "no longer in force", "declined": "not done", "in_force": "in force"}[action["state"]]
    print(f"{over}, in every process within two seconds: {action['effect']} ({action['id']})")


def print_deliveries(page: Mapping[str, Any], as_json: bool) -> None:
    """A list."""
    if as_json:
        print_json(page)
    elif not page["items"]:
        print("There is no delivery.")
    else:
        print_table(console(), _DELIVERIES, [_row(one) for one in page["items"]])


def print_tested(delivery: Mapping[str, Any], as_json: bool) -> None:
    """What came of a test."""
    if as_json:
        print_json(delivery)
        return
    took = f"{delivery['tries'][-1]['duration_ms']:.0f} ms" if delivery["tries"] else "no time"
    if delivery["state"] == "delivered":
        status = f", answered {delivery['status']}" if delivery["status"] is not None else ""
        print(f"delivered to {delivery['channel']} in {took}{status} ({delivery['id']})")
    else:
        print(f"not delivered to {delivery['channel']}: {delivery['error']} ({delivery['id']})")


def print_asked_again(delivery: Mapping[str, Any], as_json: bool) -> None:
    """A delivery that waits to be sent again."""
    if as_json:
        print_json(delivery)
    else:
        print(f"{delivery['id']} to {delivery['channel']} is sent again by the running gateway")


def _row(one: Mapping[str, Any]) -> list[str]:
    return [
        _time(one["made_at"]),
        one["channel"],
        one["state"],
        word(one["status"]),
        str(len(one["tries"])),
        _time(one["next_try_at"]),
        one["title"],
        word(one["error"]),
        one["id"],
    ]


def _time(moment: str | None) -> str:
    """RFC 3339 as a table shows it."""
    return word(None) if moment is None else moment[:19].replace("T", " ")
