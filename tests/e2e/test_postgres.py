"""Two gateways, each with its own folder, on one PostgreSQL server that goes away and comes back."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.terminal import invoke
from tests.databases import operator
from tests.e2e.gateway import Served, serving, until
from tests.e2e.upstream import Upstream, answers, completion, whole
from tests.postgres_server import PostgresServer, running

SETTINGS = """\
providers: {{up: {{kind: openai, base_url: "{url}/v1"}}}}
prices: {{up/*: {{usd_per_million: {{input: "2", output: "10"}}}}}}
database: {{url: env:BOOKS}}
"""
MODEL = "up/pg"
COST_NANO = 3_000_000


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Of its own: it goes away."""
    with running() as server:
        yield server


def cli(data: Path, books: str, *args: str) -> Any:
    """What a command prints as JSON."""
    done = invoke(data, *args, "--config", str(data / "tollkeeper.yaml"), "--json", BOOKS=books)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def health(gateway: Served) -> tuple[int, dict[str, Any]]:
    """The status of `/readyz`, and what it says of the database."""
    answer = gateway.admin.get("/readyz")
    database: dict[str, Any] = answer.json()["checks"]["database"]
    return answer.status_code, database


def test_two_gateways_share_their_books(upstream: Upstream, server: PostgresServer, tmp_path: Path) -> None:
    """Each makes the tables if need be, sees the other's calls, and follows the other's keys within two seconds."""
    upstream.plays("pg", answers(whole(completion())))
    books, settings = server.new_database(), SETTINGS.format(url=upstream.url)
    with (
        serving(tmp_path / "one", settings, BOOKS=books) as one,
        serving(tmp_path / "two", settings, BOOKS=books) as two,
    ):
        for gateway in (one, two) * 5:
            assert gateway.post(MODEL).status_code == 200
        assert {row["id"] for row in one.rows(10)} == {row["id"] for row in two.rows(10)}
        made = cli(one.data, books, "key", "create", "--name", "ci", "--team", "platform")
        with_key = {"authorization": f"Bearer {made['key']}"}
        until(lambda: two.post(MODEL, headers=with_key).status_code == 200 or None, "the key to be known")
        until(lambda: two.post(MODEL).status_code == 401 or None, "a key to be asked for")
        row = one.row(team="platform")
        assert (row["key"], row["cost_usd"]) == ("ci", "0.003000000")
        assert [key["name"] for key in cli(two.data, books, "key", "list")["items"]] == ["ci"]
    listed = cli(tmp_path / "one", books, "calls", "--limit", "100")["items"]
    usage = cli(tmp_path / "two", books, "usage", "--by", "team")
    assert usage["totals"]["calls"] == len(listed)
    assert {row["team"]: row["cost_usd"] for row in usage["rows"]}["platform"] == "0.003000000"
    assert invoke(tmp_path / "one", "db", "check", BOOKS=books, TOLLKEEPER_DATABASE_URL="env:BOOKS").exit_code == 0


def test_a_server_that_goes_away_loses_nothing(upstream: Upstream, server: PostgresServer, tmp_path: Path) -> None:
    """Known faults 29, 52, 55: calls go on, everybody can see why the figures stand still, and nothing comes twice."""
    upstream.plays("pg", answers(whole(completion())))
    books, settings = server.new_database(), SETTINGS.format(url=upstream.url)
    with serving(tmp_path / "two", settings, BOOKS=books) as two:
        with serving(tmp_path / "one", settings, BOOKS=books) as one:
            for gateway in (one, two):
                gateway.call(gateway.post(MODEL))
            server.stop()
            for gateway in (one, two) * 10:
                assert gateway.post(MODEL).status_code == 200
            status, database = until(
                lambda: told if not (told := health(two))[1]["ok"] else None, "the database to be missed"
            )
            assert status == 200
            assert "the journal is taking over" in database["detail"]
            assert two.admin.get("/admin/calls").status_code == 503
            assert "tollkeeper_journal_backlog_bytes 0.0" not in two.admin.get("/metrics").text
            one.kill()
        # Who starts now has no books to open.
        with (
            pytest.raises(AssertionError, match="cannot be used"),
            serving(tmp_path / "three", settings, BOOKS=books),
        ):
            raise AssertionError("unreachable")
        server.start()
        with serving(tmp_path / "one", settings, BOOKS=books) as one:
            assert len({row["id"] for row in one.rows(22)}) == 22
            assert two.post(MODEL).status_code == 200
            two.rows(23)
            assert health(two)[1]["ok"]
            totals = one.admin.get("/admin/usage").json()["totals"]
            assert (totals["calls"], totals["attempts"], totals["cost_usd"]) == (23, 23, "0.069000000")
    with operator(books) as sql:
        assert sql.rows("SELECT count(*), count(DISTINCT id), sum(cost_nano) FROM calls") == [(23, 23, 23 * COST_NANO)]
        assert sql.rows("SELECT sum(calls), sum(cost_nano) FROM rollups_hourly") == [(23, 23 * COST_NANO)]
        assert sql.count("attempts") == 23
    assert len(upstream.asked("pg")) >= 23


def test_a_password_shows_nowhere(upstream: Upstream, server: PostgresServer, tmp_path: Path) -> None:
    """Known fault 79: not in the log, not in what is printed, not in an error."""
    books = server.new_database().replace("keeper@", "keeper:hunter2@")
    with serving(tmp_path, SETTINGS.format(url=upstream.url), BOOKS=books) as gateway:
        assert gateway.admin.get("/admin/calls").status_code == 200
        server.stop()
        refused = gateway.admin.get("/admin/calls")
        assert refused.status_code == 503
        told = [refused.text, gateway.admin.get("/readyz").text, gateway.admin.get("/metrics").text]
        failed = invoke(tmp_path, "usage", TOLLKEEPER_DATABASE_URL="env:BOOKS", BOOKS=books)
        assert failed.exit_code == 1
        server.start()
    told += [failed.stderr, gateway.log, (tmp_path / "gateway.out").read_text(encoding="utf-8")]
    assert not any("hunter2" in text for text in told)
