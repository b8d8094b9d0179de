"""A database that is slow and fails at nothing: calls go on, all can see how old the figures are, nothing is lost.

Known fault 29. Databases that fail or are away are in `test_postgres`, around them in `tests/jobs`.
"""

import json
from pathlib import Path
from typing import Any

from gateway.core.money import usd_text
from gateway.jobs.ledger import LATE
from tests.cli.terminal import invoke
from tests.databases import new_database, new_postgres, operator
from tests.e2e.gateway import Served, serving, until
from tests.e2e.upstream import Upstream, answers, completion, whole
from tests.postgres_server import PostgresServer
from tests.slow_line import slow_line

SETTINGS = """\
providers: {{up: {{kind: openai, base_url: "{url}/v1"}}}}
prices: {{up/*: {{usd_per_million: {{input: "2", output: "10"}}}}}}
database: {{url: env:BOOKS}}
"""
WELL = {"ok": True, "detail": "the database takes every call"}
SLOW = "the database is slow: the first call that is not in the ledger ended "


def database(gateway: Served) -> dict[str, Any]:
    """What `/readyz` says of it; calls are taken all the time."""
    answer = gateway.admin.get("/readyz")
    assert answer.status_code == 200
    check: dict[str, Any] = answer.json()["checks"]["database"]
    return check


def trouble(gateway: Served) -> str:
    """The first that is told."""
    return until(lambda: None if (check := database(gateway))["ok"] else str(check["detail"]), "the lag to be told")


def call(gateway: Served, model: str, times: int = 1) -> None:
    for _ in range(times):
        assert gateway.post(f"up/{model}").status_code == 200


def figures_say_so(gateway: Served, books: str) -> None:
    """While it is slow: the gauges, and what is said beside the figures of the command line."""
    assert gateway.metric("tollkeeper_journal_oldest_frame_age_seconds") > LATE
    assert gateway.metric("tollkeeper_journal_backlog_bytes") > 0
    noted = invoke(gateway.data, "usage", "--config", str(gateway.config), BOOKS=books)
    assert noted.exit_code == 0, noted.stderr
    assert noted.stderr.startswith("Note: journal: ")
    assert "the ledger does not follow" in noted.stderr


def doctor_says_so(gateway: Served, books: str) -> None:
    examined = invoke(gateway.data, "doctor", "--json", "--config", str(gateway.config), BOOKS=books)
    (journal,) = [one for one in json.loads(examined.stdout)["checks"] if one["check"] == "journal"]
    assert (journal["state"], "not in the ledger yet" in journal["detail"]) == ("warning", True), journal


def all_is_well(gateway: Served, calls: int) -> None:
    """Afterwards; and every call has its row."""
    gateway.rows(calls)
    until(lambda: database(gateway) == WELL, "all to be well")
    assert gateway.metric("tollkeeper_journal_oldest_frame_age_seconds") == 0
    assert gateway.metric("tollkeeper_journal_backlog_bytes") == 0
    totals = gateway.admin.get("/admin/usage").json()["totals"]
    assert (totals["calls"], totals["cost_usd"]) == (calls, usd_text(3_000_000 * calls))


def test_a_server_that_answers_late(upstream: Upstream, postgres: PostgresServer, tmp_path: Path) -> None:
    """Half a second for every statement: a batch takes seconds."""
    upstream.plays("slow-server", answers(whole(completion())))
    settings = SETTINGS.format(url=upstream.url)
    with new_postgres(postgres) as books, slow_line(postgres.port) as line:
        late_books = books.replace(f":{postgres.port}/", f":{line.port}/")
        with serving(tmp_path, settings, BOOKS=late_books) as gateway:
            call(gateway, "slow-server")
            gateway.rows(1)
            line.delay = 0.5
            call(gateway, "slow-server", times=11)
            assert trouble(gateway).startswith(SLOW)
            figures_say_so(gateway, books)
            doctor_says_so(gateway, books)
            line.delay = 0.0
            all_is_well(gateway, 12)


def test_a_file_whose_lock_another_one_holds(upstream: Upstream, tmp_path: Path) -> None:
    """For longer than a call may be missing unmentioned, for a shorter time than makes it an error."""
    upstream.plays("slow-file", answers(whole(completion())))
    books = new_database(tmp_path)
    with serving(tmp_path, SETTINGS.format(url=upstream.url), BOOKS=books) as gateway, operator(books) as other:

        def told_as_slow() -> bool:
            """Or as failing, where the machine is so crowded that nobody looked for three seconds: once more then."""
            other.run("BEGIN IMMEDIATE")
            call(gateway, "slow-file", times=3)
            if trouble(gateway).startswith(SLOW):
                return True
            other.run("ROLLBACK")
            until(lambda: database(gateway) == WELL, "all to be well")
            return False

        until(told_as_slow, "a lag", within=60)
        figures_say_so(gateway, books)
        other.run("ROLLBACK")
        all_is_well(gateway, len(upstream.asked("slow-file")))
