"""`tollkeeper budget`: every verb, what it refuses, and that what was set is what is shown."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.core.accounts import Account
from gateway.core.actions import Action
from gateway.core.alerts.deed import Act, Deed
from gateway.core.alerts.event import Alert
from gateway.core.budgets import Budget
from gateway.core.escrow import Charged
from gateway.core.windows import Window
from gateway.storage.accounts import charge
from gateway.storage.alerts import AlertRepository
from gateway.storage.audit import AuditLog
from gateway.storage.budget_standings import BudgetStandings
from gateway.storage.engine import Database
from tests.cli.books import append, call
from tests.cli.terminal import environment, invoke
from tests.databases import new_database, opened, url_of

NANO = 1_000_000_000
FILE = """
providers: {openai: {}}
models: {small: {targets: [openai/gpt-4o-mini]}}
budgets:
  everything: {limit_usd: "500", timezone: Europe/Berlin, mode: soft}
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    new_database(tmp_path)
    return tmp_path


@pytest.fixture
def config(data: Path) -> tuple[str, str]:
    file = data / "tollkeeper.yaml"
    file.write_text(FILE)
    return ("--config", str(file))


def shown(data: Path, *args: str) -> Any:
    told = invoke(data, "budget", *args, "--json")
    assert told.exit_code == 0, told.stderr
    return json.loads(told.stdout)


def spend(data: Path, subject: str, spent: int, reserve: int = 0) -> None:
    """From the budget `b` of every time, as the ledger does, in whole dollars."""

    async def work() -> None:
        db = Database(f"sqlite+aiosqlite:///{data / 'tollkeeper.db'}")
        try:
            async with db.write() as session:
                charged = Charged(spent * NANO, reserve * NANO, held=False)
                await charge(session, "journal", {Account("b", subject, 0): charged})
        finally:
            await db.close()

    asyncio.run(work())


def test_what_was_set_is_read_back_whole(data: Path, config: tuple[str, str]) -> None:
    """Known fault 34."""
    told = shown(
        data, "set", "search", "--limit", "500.5", "--window", "week", "--scope", "team=search", "--scope", "key=*",
        "--scope", "tag=env=prod", "--scope", "tag:app=*", "--mode", "hard", "--timezone", "Europe/Berlin",
        "--alert-at", "50,80,100", "--on-exhausted", "downgrade", "--downgrade-to", "small", "--unpriced", "allow",
        "--raise", "100", "--until", "2099-12-31T00:00:00Z", *config,
    )  # fmt: skip
    stated = {
        "name": "search", "limit_usd": "500.500000000", "window": "week", "timezone": "Europe/Berlin", "mode": "hard",
        "scope": {"key": "*", "team": "search", "tag": ["app=*", "env=prod"]}, "alert_at": [50, 80, 100],
        "on_exhausted": "downgrade", "downgrade_to": "small", "unpriced": "allow", "source": "admin",
        "raised": {"usd": "100.000000000", "until": "2099-12-31T00:00:00Z"}, "remaining_usd": "600.500000000",
        "subjects": [], "subject_count": 0,
    }  # fmt: skip
    assert {field: told[field] for field in stated} == stated
    assert shown(data, "show", "search") == told
    in_list = shown(data, "list")["items"]
    assert in_list == [{field: told[field] for field in told if not field.startswith("subject")}]


def test_set_again_changes_what_is_named_alone(data: Path) -> None:
    first = shown(data, "set", "b", "--limit", "5", "--alert-at", "50", "--unpriced", "allow")
    changed = shown(data, "set", "b", "--limit", "7", "--mode", "soft", "--window", "month", "--alert-at", "none")
    assert changed == {
        **first, "limit_usd": "7.000000000", "remaining_usd": "7.000000000", "mode": "soft", "alert_at": [],
    }  # fmt: skip
    raised = shown(data, "set", "b", "--raise", "3", "--until", "24h")
    assert raised["remaining_usd"] == "10.000000000"
    assert shown(data, "set", "b", "--raise", "0") == changed
    assert "stays as it was" in invoke(data, "budget", "set", "b", "--limit", "7.0").stdout


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--limit", "0"), "--limit"),
        (("--limit", "five"), "--limit"),
        (("--limit", "0.0000000001"), "--limit"),
        (("--window", "monthly"), "--window"),
        (("--mode", "firm"), "--mode"),
        (("--timezone", "Berlin"), "--timezone"),
        (("--scope", "search"), "--scope"),
        (("--scope", "taem=x"), "--scope"),
        (("--scope", "team="), "--scope"),
        (("--scope", "tag=env"), "--scope"),
        (("--scope", "key=a", "--scope", "key=b"), "--scope"),
        (("--alert-at", "80,50"), "--alert-at"),
        (("--alert-at", "a"), "--alert-at"),
        (("--alert-at", ""), "--alert-at"),
        (("--on-exhausted", "cry"), "--on-exhausted"),
        (("--on-exhausted", "downgrade"), "--downgrade-to"),
        (("--on-exhausted", "downgrade", "--downgrade-to", "nobody"), "--downgrade-to"),
        (("--downgrade-to", "small"), "--downgrade-to"),
        (("--on-exhausted", "downgrade", "--downgrade-to", "small", "--mode", "soft"), "--on-exhausted"),
        (("--unpriced", "maybe"), "--unpriced"),
        (("--raise", "5"), "--raise"),
        (("--raise", "-5", "--until", "1h"), "--raise"),
        (("--until", "1h"), "--until"),
        (("--raise", "5", "--until", "2020-01-01"), "--until"),
        (("--raise", "0", "--until", "1h"), "--until"),
    ],
)
def test_what_makes_no_sense_is_refused_by_the_options_name(
    options: tuple[str, ...], named: str, data: Path, config: tuple[str, str]
) -> None:
    limit = () if options[0] == "--limit" else ("--limit", "5")
    told = invoke(data, "budget", "set", "b", *limit, *options, *config)
    assert told.exit_code == 2, told.stdout
    assert told.stderr.startswith(f"Error: {named}: ")
    assert shown(data, "list")["items"] == []


@pytest.mark.parametrize(("name", "option"), [("a b", "NAME"), ("x" * 65, "NAME"), ("b", "--limit")])
def test_a_new_budget_needs_a_name_that_can_be_one_and_a_limit(name: str, option: str, data: Path) -> None:
    limit = () if option == "--limit" else ("--limit", "5")
    told = invoke(data, "budget", "set", name, *limit)
    assert (told.exit_code, told.stdout) == (2, "")
    assert told.stderr.startswith(f"Error: {option}: ")


@pytest.mark.parametrize(
    "options", [("--window", "day"), ("--timezone", "Europe/Berlin"), ("--scope", "key=*")], ids=lambda one: one[0]
)
def test_another_window_zone_or_scope_is_another_budget(options: tuple[str, str], data: Path) -> None:
    before = shown(data, "set", "b", "--limit", "5")
    told = invoke(data, "budget", "set", "b", "--limit", "7", *options)
    assert told.exit_code == 2
    assert told.stderr.startswith(f"Error: {options[0]}: ")
    assert "remove this one and set it anew" in told.stderr
    assert shown(data, "show", "b") == before


def test_a_nearly_right_zone_is_told_its_name(data: Path) -> None:
    told = invoke(data, "budget", "set", "b", "--limit", "5", "--timezone", "berlin")
    assert "did you mean Europe/Berlin?" in told.stderr


def test_a_new_budget_begins_with_what_was_spent_already(data: Path) -> None:
    """Two calls of 0.0016 USD each, one of them of another team."""
    asyncio.run(append(data, [call(1, team="search"), call(2, team="ads")]))
    told = shown(data, "set", "b", "--limit", "0.002", "--window", "lifetime", "--scope", "team=search")
    assert (told["spent_usd"], told["remaining_usd"], told["resets_at"]) == ("0.001600000", "0.000400000", None)


def test_budgets_of_the_file_are_shown_beside_the_others_and_changed_there_only(
    data: Path, config: tuple[str, str]
) -> None:
    shown(data, "set", "b", "--limit", "5", *config)
    shown(data, "set", "everything", "--limit", "1")  # before the file declared it
    listed = shown(data, "list", *config)["items"]
    assert [(one["name"], one["source"], one["limit_usd"]) for one in listed] == [
        ("everything", "file", "500.000000000"), ("b", "admin", "5.000000000"),
    ]  # fmt: skip
    assert shown(data, "show", "everything", *config)["timezone"] == "Europe/Berlin"
    for told in (
        invoke(data, "budget", "set", "everything", "--limit", "7", *config),
        invoke(data, "budget", "remove", "everything", *config),
    ):
        assert told.exit_code == 1
        assert "declared in the settings file; change it there: " in told.stderr
        assert "line 5" in told.stderr


def test_a_budget_of_the_file_that_no_gateway_knows_yet_has_no_figures(data: Path, config: tuple[str, str]) -> None:
    assert shown(data, "list", *config)["items"][0]["spent_usd"] is None
    for verb in (("list",), ("show", "everything")):
        told = invoke(data, "budget", *verb, *config).stdout
        assert "Not counted yet" in told
        assert "$500.00" in told
        assert "$0.00" not in told


def test_a_removed_budget_is_gone(data: Path) -> None:
    shown(data, "set", "b", "--limit", "5", "--window", "lifetime")
    spend(data, "everything", 3)
    assert shown(data, "remove", "b")["spent_usd"] == "3.000000000"
    assert shown(data, "list")["items"] == []
    assert shown(data, "set", "b", "--limit", "5", "--window", "lifetime")["spent_usd"] == "0.000000000"
    assert invoke(data, "budget", "remove", "b").stdout == "removed b\n"


@pytest.mark.parametrize("verb", ["show", "remove"])
def test_an_unknown_budget_is_named(verb: str, data: Path) -> None:
    told = invoke(data, "budget", verb, "nobody")
    assert told.exit_code == 1
    assert "there is no budget nobody; `tollkeeper budget list` names them" in told.stderr


def test_a_list_shows_how_much_of_each_is_used(data: Path) -> None:
    invoke(data, "budget", "set", "b", "--limit", "100", "--window", "lifetime")
    spend(data, "everything", 50, 25)
    (line,) = [line for line in invoke(data, "budget", "list").stdout.splitlines() if line.startswith("b ")]
    assert "████████▓▓▓▓░░░░  75%" in line
    assert [word for word in line.split() if word.startswith("$")] == [
        "$100.00", "$50.00", "$25.00", "$0.00", "$25.00", "$0.00",
    ]  # fmt: skip
    assert "every call" in line
    assert "never" in line
    spend(data, "everything", 60)
    told = invoke(data, "budget", "show", "b").stdout
    assert "████████████████ 135%" in told
    assert "$35.00" in told


def test_what_is_over_says_why(data: Path) -> None:
    """Known fault 44."""
    invoke(data, "budget", "set", "b", "--limit", "100", "--window", "lifetime")
    spend(data, "everything", 70)
    assert "over because" not in invoke(data, "budget", "show", "b").stdout
    lowered = invoke(data, "budget", "set", "b", "--limit", "50")
    assert "over because" in lowered.stdout
    assert "the limit is below what was spent before" in lowered.stdout
    assert shown(data, "show", "b")["over_because"] == ["lowered"]


def test_the_narrowest_terminal_has_name_bar_and_money(data: Path) -> None:
    invoke(data, "budget", "set", "b", "--limit", "100")
    told = invoke(data, "budget", "list", COLUMNS="80").stdout
    assert all(len(line) <= 80 for line in told.splitlines())
    assert all(title in told.splitlines()[0] for title in ("name", "used", "limit", "spent", "remaining"))


def test_an_empty_list_says_how_to_make_one(data: Path) -> None:
    assert invoke(data, "budget", "list").stdout.startswith("There is no budget.")


def test_one_that_counts_apart_shows_the_dearest_and_how_many_there_are(data: Path) -> None:
    invoke(data, "budget", "set", "b", "--limit", "100", "--window", "lifetime", "--scope", "key=*")
    for number in range(52):
        spend(data, f"key=k{number}", number)
    told = shown(data, "show", "b")
    assert (told["subject_count"], len(told["subjects"]), told["subjects"][0]["subject"]) == (52, 50, "key=k51")
    assert told["remaining_usd"] == "49.000000000"
    text = invoke(data, "budget", "show", "b").stdout
    assert "The dearest 50 of 52." in text
    assert "$100.00 each" in text
    assert "of the one with the least left" in text
    assert "51%" in text.splitlines()[1]


def test_what_a_rule_has_lowered_says_which_and_how_to_undo_it(data: Path) -> None:
    invoke(data, "budget", "set", "b", "--limit", "100")
    assert shown(data, "show", "b")["lowered_by"] is None

    async def lower() -> None:
        async with opened(url_of(data / "tollkeeper.db")) as db:
            alert = Alert("spent", "budget.threshold", "b", "2026-11/80", 1)
            action = Action("action-1", alert.id, "spent", Deed(Act.LOWER, 40 * NANO), "b", 1)
            await AlertRepository(db).raise_alert(alert, [], action)

    asyncio.run(lower())
    budget = shown(data, "show", "b")
    assert (budget["lowered_to_usd"], budget["lowered_by"]) == (
        "40.000000000",
        {"rule": "spent", "action_id": "action-1"},
    )
    assert shown(data, "list")["items"][0]["lowered_by"] == budget["lowered_by"]
    told = invoke(data, "budget", "show", "b").stdout
    assert "to $40.00 by the rule spent; to undo it: tollkeeper alerts undo action-1" in " ".join(told.split())


def test_every_change_leaves_an_audit_entry(data: Path) -> None:
    for args in (("set", "b", "--limit", "5"), ("set", "b", "--limit", "6"), ("set", "b", "--limit", "6")):
        invoke(data, "budget", *args)
    invoke(data, "budget", "remove", "b")

    async def read() -> list[str]:
        db = Database(f"sqlite+aiosqlite:///{data / 'tollkeeper.db'}")
        try:
            return [f"{one.actor.partition(':')[0]} {one.action}" for one in (await AuditLog(db).page()).items]
        finally:
            await db.close()

    assert asyncio.run(read()) == ["cli budget.remove", "cli budget.update", "cli budget.create"]


def test_help_does_not_wait_for_sql(data: Path) -> None:
    script = "import sys; from gateway.cli import budget; print('sqlalchemy' in sys.modules, 'pydantic' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", script], env=environment(data), capture_output=True, text=True, check=True
    )
    assert told.stdout == "False False\n"


def test_windows_are_of_the_calendar(data: Path) -> None:
    """Known fault 45: a month ends with the month of its zone, whenever its first call came."""
    told = shown(data, "set", "b", "--limit", "5", "--window", "day", "--timezone", "Asia/Kolkata")
    assert told["resets_at"].endswith("T18:30:00Z")

    async def read() -> int:
        db = Database(f"sqlite+aiosqlite:///{data / 'tollkeeper.db'}")
        try:
            (standing,) = await BudgetStandings(db).of([Budget("b", 5, Window.DAY, "Asia/Kolkata")])
            return standing.span.end_us or 0
        finally:
            await db.close()

    assert 0 < asyncio.run(read()) - time.time_ns() // 1000 <= 86_400_000_000
