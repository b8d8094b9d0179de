"""`tollkeeper usage`."""

import asyncio
import json
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.core.calls import CallRecord, End
from gateway.core.usage import NOTHING_KNOWN, Basis
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.journal import JournalWriter
from tests.cli.books import call, fill
from tests.cli.terminal import invoke, run
from tests.fakes.records import ATTEMPT, COMPLETED, REFUSED
from tests.storage.journals import MIB
from tests.storage.samples import a_record, an_opening


def unpriced() -> CallRecord:
    attempt = replace(ATTEMPT, cost_nano=None, cost_at_least_nano=400_000, unpriced_because="no price for `output`")
    return replace(COMPLETED, attempts=(attempt,))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    support = [call(number, team="support", model="smart") for number in range(3, 5)]
    fill(tmp_path, [call(1), call(2, minutes_ago=60 * 24 * 3), *support, call(5, minutes_ago=60 * 24 * 40)])
    return tmp_path


def report(data: Path, *args: str) -> dict[str, Any]:
    told = invoke(data, "usage", "--json", *args)
    assert told.exit_code == 0, told.stderr
    answer: dict[str, Any] = json.loads(told.stdout)
    return answer


def lines(data: Path, *args: str) -> list[list[str]]:
    """The words of each line, from the titles' second line on."""
    told = invoke(data, "usage", *args)
    assert told.exit_code == 0, told.stderr
    return [line.split() for line in told.stdout.splitlines()][1:]


def test_by_team_and_model_with_a_total_over_the_last_30_days(data: Path) -> None:
    shown = lines(data)

    assert shown[0][:4] == ["team", "model", "calls", "errors"]
    assert ["search", "fast", "2", "0", "2,000", "1,600", "200"] in [line[:7] for line in shown]
    assert ["support", "smart", "2", "0", "2,000", "1,600", "200"] in [line[:7] for line in shown]
    assert shown[-1][:4] == ["total", "4", "0", "4,000"]
    assert shown[-1][-1] == "$0.0064"


def test_the_table_and_the_json_are_the_same_figures(data: Path) -> None:
    """Known fault 83: a total is the sum of the whole, whatever way one asks."""
    totals = report(data)["totals"]

    assert totals["calls"] == 4
    assert Decimal(totals["cost_usd"]) == sum(Decimal(row["cost_usd"]) for row in report(data)["rows"])
    assert lines(data)[-1][-1] == f"${Decimal(totals['cost_usd']).normalize()}"


@pytest.mark.parametrize(("since", "calls"), [("1h", 2 + 1), ("7d", 4), ("60d", 5), ("2020-01-01", 5)])
def test_a_period_is_what_was_asked_for(since: str, calls: int, data: Path) -> None:
    assert report(data, "--since", since)["totals"]["calls"] == calls


def test_until_ends_it(data: Path) -> None:
    assert report(data, "--since", "60d", "--until", "10d")["totals"]["calls"] == 1


def test_an_interval_gives_a_row_for_each(data: Path) -> None:
    shown = lines(data, "--interval", "day", "--by", "team")

    assert shown[0][:2] == ["start", "UTC"]
    assert len({line[0] for line in shown[2:] if line[0].startswith("20")}) == 2


def test_without_dimensions_there_is_the_total_alone(data: Path) -> None:
    shown = lines(data, "--by", "")

    assert shown[0][0] == "calls"
    assert shown[-1][0] == "4"


def test_an_unknown_cost_is_counted_and_never_added_as_zero(tmp_path: Path) -> None:
    """Known fault 23: unknown and free are two things."""
    fill(tmp_path, [call(1), call(2, record=unpriced(), model="mystery")])
    shown = lines(tmp_path)

    assert shown[0][-2:] == ["cost", "calls"]
    assert next(line for line in shown if "mystery" in line)[-2:] == ["unknown", "1"]
    assert shown[-2][-2:] == ["$0.0016", "1"]


def test_an_unknown_cost_stays_unknown_beside_a_refused_call(tmp_path: Path) -> None:
    """Known fault 23: a call that cost nothing says nothing about one whose cost nobody knows."""
    fill(tmp_path, [call(1, record=REFUSED), call(2, record=unpriced())])

    assert lines(tmp_path)[-2][-2:] == ["unknown", "1"]
    assert [row["cost_usd"] for row in report(tmp_path)["rows"]] == [None]
    assert report(tmp_path)["totals"]["cost_usd"] is None


def test_shares_of_what_is_not_known_are_told(tmp_path: Path) -> None:
    """Known fault 30: whether a figure can be trusted is said beside it."""
    estimated = replace(COMPLETED, attempts=(replace(ATTEMPT, usage_basis=Basis.ESTIMATED),))
    fill(tmp_path, [call(1), call(2), call(3, record=estimated), call(4, record=unpriced())])
    shown = lines(tmp_path)

    assert shown[-2][-3:] == ["$0.0048", "1", "1"]
    assert " ".join(shown[-1]) == "Of 4 calls 25.0% estimated, 25.0% unpriced."
    assert shown[0][-3:] == ["cost", "calls", "calls"]


def test_where_all_is_known_nothing_is_said_of_it(data: Path) -> None:
    told = invoke(data, "usage")

    assert "estimated" not in told.stdout
    assert told.stderr == ""


def test_energy_is_a_range_by_factors_that_one_states(data: Path) -> None:
    """Known fault 27: an optional estimate with its method and its range; the total is that of the same sums."""
    asked = ("--wh-per-1k", "0.3-3.0", "--g-co2-per-kwh", "400")
    shown = lines(data, *asked)

    assert shown[0][-3:] == ["cost", "Wh", "g"]
    assert [line[-2:] for line in shown if line[:1] in (["search"], ["support"])] == [["0.06–0.6", "0.024–0.24"]] * 2
    assert next(line for line in shown if line[:1] == ["total"])[-2:] == ["0.12–1.2", "0.048–0.48"]
    assert " ".join(shown[-1]) == (
        "Energy: known generated tokens × 0.3–3.0 Wh per thousand × 400 g CO2e per kWh, as stated; "
        "prompts not counted; estimate."
    )
    found = report(data, *asked)
    assert found["totals"]["energy_wh"] == {"low": 0.12, "high": 1.2}
    assert found["totals"]["co2e_g"] == {"low": 0.048, "high": 0.48}
    assert [row["energy_wh"] for row in found["rows"]] == [{"low": 0.06, "high": 0.6}] * 2
    assert shown[-1][1:] == f"{found['energy_method']}.".split()


def test_energy_is_not_there_unless_asked_for(data: Path) -> None:
    """Known fault 27: nobody gets a figure by factors that he has not stated."""
    assert "nergy" not in invoke(data, "usage").stdout
    assert "energy" not in invoke(data, "usage", "--json").stdout
    assert "co2e_g" not in report(data, "--wh-per-1k", "1")["totals"]


def test_the_energy_of_unknown_tokens_is_unknown(tmp_path: Path) -> None:
    """Known fault 13: unknown is null, not zero."""
    unknown = replace(COMPLETED, attempts=(replace(ATTEMPT, usage=NOTHING_KNOWN, usage_basis=Basis.NONE),))
    fill(tmp_path, [call(1), call(2, record=unknown, model="mystery")])
    rows = {row["model"]: row["energy_wh"] for row in report(tmp_path, "--wh-per-1k", "1")["rows"]}

    assert rows == {"fast": {"low": 0.1, "high": 0.1}, "mystery": None}
    assert next(line for line in lines(tmp_path, "--wh-per-1k", "1") if "mystery" in line)[-1] == "–"


def test_what_is_in_no_figure_is_told_beside_them(data: Path) -> None:
    """Known faults 29, 52: a total that lacks something says so."""
    DeadLetters(data / "journal").add([(COMPLETED, "no such column")], 1)
    told = invoke(data, "usage")

    assert told.exit_code == 0
    assert told.stderr.startswith("Note: dead letters: 1 calls were refused by the database and are in no figure; see")
    assert lines(data)[-1][0] == "total"


@pytest.mark.anyio
@pytest.mark.parametrize(("seconds_ago", "told"), [(-60, False), (5, True)])  # not late, however slow this machine is
async def test_a_ledger_that_lags_behind_is_told_beside_the_figures(data: Path, seconds_ago: int, told: bool) -> None:
    """Known fault 29: calls show within 300 ms; while they do not, the total says so."""
    journal = JournalWriter(data / "journal", max_bytes=8 * MIB, segment_bytes=MIB)
    await journal.start()
    journal.reserve("a")
    journal.open_attempt(an_opening("a", 0))
    journal.close_call(replace(a_record("a"), ended_us=time.time_ns() // 1000 - seconds_ago * 1_000_000))
    said = await asyncio.to_thread(invoke, data, "usage")
    await journal.stop()

    assert said.exit_code == 0
    assert said.stderr.startswith("Note: journal: ") is told
    assert ("s ago; the ledger does not follow" in said.stderr) is told


def test_errors_and_refusals_are_rows_too(tmp_path: Path) -> None:
    failed = replace(COMPLETED, end=End.FAILED, status=502, attempts=(replace(ATTEMPT, end=End.FAILED, status=500),))
    fill(tmp_path, [call(1, record=failed), call(2, record=REFUSED)])

    assert report(tmp_path)["totals"]["calls"] == 2
    assert report(tmp_path)["totals"]["errors"] == 1


def test_an_empty_ledger_is_told_kindly(tmp_path: Path) -> None:
    fill(tmp_path, [])
    told = invoke(tmp_path, "usage")

    assert told.exit_code == 0
    assert told.stdout.startswith("No calls from ")
    assert report(tmp_path)["rows"] == []


def test_a_narrow_terminal_keeps_what_matters(data: Path) -> None:
    told = run(data, "usage", COLUMNS="50")

    assert "$0.0064" in told.stdout
    assert "search" in told.stdout
    assert "Left out" in told.stdout
    assert max(len(line) for line in told.stdout.splitlines()) <= 50


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (("--by", "team,customer"), "--by: customer"),
        (("--since", "yesterday"), "--since"),
        (("--until", "7"), "--until"),
        (("--since", "2026-02-30"), "--since"),
        (("--interval", "week"), "--interval"),
        (("--by", "colour"), "colour"),
        (("--wh-per-1k", "3-0.3"), "--wh-per-1k: '3-0.3' ends below its beginning; write 0.3-3"),
        (("--wh-per-1k", "-3"), "--wh-per-1k: '-3' is not a range; write LOW-HIGH"),
        (("--g-co2-per-kwh", "400"), "--g-co2-per-kwh goes with --wh-per-1k"),
        (("--since", "1d", "--until", "2d"), ""),
    ],
)
def test_what_makes_no_sense_is_named(wrong: tuple[str, ...], named: str, data: Path) -> None:
    told = invoke(data, "usage", *wrong)

    assert told.exit_code == 2
    assert told.stdout == ""
    assert len(told.stderr.splitlines()) == 1
    assert named in told.stderr
    assert "URL" not in told.stderr


def test_a_wrong_question_is_told_before_the_database_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "tollkeeper.db").write_text("this is no database, " * 100)
    told = invoke(tmp_path, "usage", "--by", "customer")

    assert told.exit_code == 2
    assert told.stderr.startswith("Error: --by: customer is not a dimension; one of key, ")
