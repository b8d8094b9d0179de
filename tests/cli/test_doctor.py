"""`tollkeeper doctor`: everything that may be wrong is seen, said with what to do, and left as it is."""

import asyncio
import json
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from gateway import __version__
from gateway.cli.doctor import books, finding, journals, machine, outside
from gateway.cli.doctor.examination import examine
from gateway.cli.doctor.finding import Finding, State
from gateway.settings import Settings, load
from gateway.storage.checkup import Checkup, Server
from gateway.storage.dead_letters import DeadLetters
from gateway.storage.journal import JournalWriter
from gateway.storage.journal_survey import Survey, SurveyedJournal
from tests.cli.books import call, fill
from tests.cli.terminal import invoke, run
from tests.cli.test_usage import unpriced
from tests.databases import Operator
from tests.fakes.records import COMPLETED
from tests.providers.certificates import Authority
from tests.raw_server import always, raw_server, silent, whole
from tests.storage.journals import MIB, run_call

SECRET = "sk-very-secret-0123456789"
DAY_US = 86_400_000_000
NOW = time.time_ns() // 1000


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A gateway whose only provider is simulated, on a port that the system would choose."""
    file = tmp_path / "tollkeeper.yaml"
    file.write_text("server: {port: 0, data: data}\nproviders: {bench: {kind: simulated}}\n", encoding="utf-8")
    return file


def settings(folder: Path, text: str = "", **environ: str) -> Settings:
    file = folder / "some.yaml"
    file.write_text(f"server: {{port: 0, data: data}}\n{text}", encoding="utf-8")
    return load(file, environ)


async def examined(config: Path, **environ: str) -> dict[str, Finding]:
    return {one.check: one async for one in examine(config, environ)}


def told(folder: Path, *args: str, **environ: str) -> tuple[int, dict[str, Any]]:
    done = invoke(folder, "doctor", "--json", *args, **environ)
    return done.exit_code, json.loads(done.stdout)


# --- the command ------------------------------------------------------------------------------------------------------


def test_all_is_well_before_the_first_start_and_nothing_is_made(config: Path, tmp_path: Path) -> None:
    done = run(tmp_path / "data", "doctor", "--config", str(config))
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert all(line.startswith("ok ") for line in lines[:-1])
    assert lines[-1] == f"{len(lines) - 1} ok"
    assert not (tmp_path / "data").exists()


def test_json_has_every_check_with_its_state(config: Path, tmp_path: Path) -> None:
    fill(tmp_path / "data", [call(1)])
    status, answer = told(tmp_path / "data", "--config", str(config))
    assert (status, answer["ok"]) == (0, True)
    checks = [check["check"] for check in answer["checks"]]
    assert checks == [
        "settings", "data folder", "disk", "database", "clock", "figures", "keys", "budgets", "journal", "dead letters",
        "prices", "provider bench", "port",
    ]  # fmt: skip
    assert all(set(check) == {"check", "state", "detail", "advice"} for check in answer["checks"])


def test_a_mistake_in_the_settings_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("server: {prot: 4000}\n", encoding="utf-8")
    status, answer = told(tmp_path, "--config", str(file))
    assert (status, answer["ok"]) == (1, False)
    (check,) = answer["checks"]
    assert (check["check"], check["state"]) == ("settings", "failed")
    assert "wrong.yaml:1" in check["detail"]


def test_what_is_wrong_is_told_by_the_exit_code(config: Path, tmp_path: Path) -> None:
    fill(tmp_path / "data", [])
    with closing(sqlite3.connect(tmp_path / "data" / "tollkeeper.db")) as db:
        db.execute("UPDATE alembic_version SET version_num = '20200101_0000'")
        db.commit()
    done = invoke(tmp_path / "data", "doctor", "--config", str(config))
    assert done.exit_code == 1
    assert "failed  database: it is of revision 20200101_0000" in done.stdout
    assert "tollkeeper db upgrade" in done.stdout


@pytest.mark.anyio
async def test_no_secret_is_told_whoever_quotes_it(tmp_path: Path) -> None:
    """Known fault 79: no key in what people are shown."""
    folder = tmp_path / SECRET
    file = tmp_path / "some.yaml"
    async with raw_server(always(whole(b"no", "401 Unauthorized"))) as server:
        provider = f"{{kind: openai, base_url: '{server.url}/v1', api_key: env:KEY}}"
        file.write_text(f"server: {{port: 0, data: '{folder}'}}\nproviders: {{box: {provider}}}\n", encoding="utf-8")
        found = await examined(file, KEY=SECRET)
        (request,) = server.requests
    assert request.all("authorization") == [f"Bearer {SECRET}"]
    assert request.line.startswith("GET /v1/models ")
    assert found["provider box"].state is State.FAILED
    assert "refuses our key (401)" in found["provider box"].detail
    assert SECRET not in repr(found)
    assert "[hidden]" in found["data folder"].detail


@pytest.mark.anyio
async def test_a_secret_that_is_not_there_fails_the_start_and_so_the_check(tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    file.write_text("server: {port: 0, data: data}\nkeys: {ci: {secret: env:NOT_THERE}}\n", encoding="utf-8")
    found = await examined(file)
    assert found["settings"].state is State.FAILED
    assert "NOT_THERE" in found["settings"].detail
    assert found["providers"].state is State.FAILED


# --- the machine ------------------------------------------------------------------------------------------------------


def test_folders_are_private_and_can_be_written(tmp_path: Path) -> None:
    given = settings(tmp_path, f"database: {{journal: '{tmp_path}/elsewhere/journal'}}\n")
    (tmp_path / "data").mkdir(mode=0o755)
    (tmp_path / "data").chmod(0o755)
    (tmp_path / "elsewhere").write_text("a file where a folder should be")
    data, journal = machine.data_folder(given, {})
    assert (data.state, data.advice) == (State.WARNING, f"chmod 700 {tmp_path}/data")
    assert (journal.check, journal.state) == ("journal folder", State.FAILED)
    (tmp_path / "data").chmod(0o700)
    assert next(machine.data_folder(given, {})).state is State.OK


def test_an_admin_token_that_others_can_read_stops_the_start(tmp_path: Path) -> None:
    given = settings(tmp_path)
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "admin-token").write_text("tka-x")
    (tmp_path / "data" / "admin-token").chmod(0o644)
    *_, token = machine.data_folder(given, {})
    assert (token.check, token.state) == ("admin token", State.FAILED)
    assert [one.check for one in machine.data_folder(given, {"TOLLKEEPER_ADMIN_TOKEN": "x"})] == ["data folder"]


def test_the_disk_has_room_for_what_the_journal_may_take(tmp_path: Path) -> None:
    """Known fault 56: the bound of the journal is one that the disk can hold."""
    assert machine.disk(settings(tmp_path, "database: {journal_max: 16MiB}\n")).state is State.OK
    scarce = machine.disk(settings(tmp_path, "database: {journal_max: 1TiB}\n"))
    assert scarce.state is State.WARNING
    assert "journal_max" in str(scarce.advice)


@pytest.mark.anyio
async def test_a_port_is_free_ours_or_somebody_else_s(tmp_path: Path) -> None:
    def on(port: int) -> Settings:
        return settings(tmp_path, "", TOLLKEEPER_SERVER_PORT=str(port))

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        assert (await machine.port(on(0))).state is State.OK
        other.listen()
    checks = {"journal": {"ok": True, "detail": "x"}, "database": {"ok": False, "detail": "away"}}
    ours = json.dumps({"status": "ok", "version": "0.0.1", "checks": checks}).encode()
    async with raw_server(always(whole(ours))) as server:
        found = await machine.port(on(server.port))
        assert found.state is State.WARNING
        assert found.detail == f"Tollkeeper 0.0.1 serves on {server.port}, but database: away"
    full = json.dumps({"status": "not ok", "checks": {"journal": {"ok": False, "detail": "full"}}}).encode()
    async with raw_server(always(whole(full, "503 Service Unavailable"))) as server:
        assert "takes no calls (journal: full)" in (await machine.port(on(server.port))).detail
    async with raw_server(always(whole(b"<html>"))) as server:
        found = await machine.port(on(server.port))
        assert (found.state, found.check) == (State.FAILED, "port")
        assert "taken by another program" in found.detail


@pytest.mark.anyio
async def test_a_certificate_is_read_before_a_start_and_found_again_behind_the_port(tmp_path: Path) -> None:
    shown = Authority(tmp_path).server("gateway.example")
    tls = f"tls: {{cert: '{tmp_path}/server.pem', key: '{tmp_path}/server.key'}}"
    file = tmp_path / "tls.yaml"

    def on(port: int) -> Settings:
        file.write_text(f"server: {{port: {port}, data: data, {tls}}}\n", encoding="utf-8")
        return load(file, {})

    (found,) = machine.certificate(on(0))
    assert found.state is State.OK
    ours = json.dumps({"status": "ok", "version": __version__, "checks": {}}).encode()
    async with raw_server(always(whole(ours)), tls=shown) as server:
        assert await machine.port(on(server.port)) == finding.ok(
            "port", f"Tollkeeper {__version__} serves on {server.port}"
        )
    (tmp_path / "server.key").write_text("no key")
    (found,) = machine.certificate(on(0))
    assert (found.check, found.state) == ("certificate", State.FAILED)
    assert list(machine.certificate(settings(tmp_path))) == []


# --- the books --------------------------------------------------------------------------------------------------------


def test_a_clock_is_held_against_the_books_and_the_server() -> None:
    assert books.clock(books.NOTHING_KNOWN, NOW).state is State.OK
    assert "ledger" not in books.clock(books.NOTHING_KNOWN, NOW).detail
    assert "ledger" in books.clock(Checkup(NOW, 0, None), NOW).detail
    assert books.clock(books.NOTHING_KNOWN, 1_000_000).state is State.FAILED
    assert "set back" in str(books.clock(Checkup(NOW + 60_000_000, 0, None), NOW).advice)
    server = Server(NOW + 60_000_000, 1, 100, durable=True)
    assert "60 s away" in books.clock(Checkup(NOW, 0, server), NOW).detail
    assert books.clock(Checkup(NOW, 0, Server(NOW, 1, 100, durable=True)), NOW).state is State.OK


def test_a_server_needs_room_and_keeps_its_word() -> None:
    """Known fault 58: connections are counted before there are too many."""
    assert books.server(Server(NOW, 10, 100, durable=True)).state is State.OK
    assert "max_connections" in str(books.server(Server(NOW, 97, 100, durable=True)).advice)
    assert "synchronous_commit" in books.server(Server(NOW, 10, 100, durable=False)).detail


def test_what_is_not_known_of_the_last_day_is_a_share() -> None:
    """Known faults 13, 29: how much of the figures is known is a figure."""
    assert books.figures(0, 0, 0).state is State.OK
    assert books.figures(1000, 0, 50).state is State.OK
    assert "60 (6.0%) estimated usage" in books.figures(1000, 0, 60).detail
    assert books.figures(1000, 0, 60).state is State.WARNING
    unpriced = books.figures(1000, 1, 0)
    assert (unpriced.state, "1 (0.1%) have no known cost" in unpriced.detail) == (State.WARNING, True)


def test_keys_that_end_soon_are_named() -> None:
    assert books.keys({"ci": None, "web": NOW + 8 * DAY_US}, NOW).detail == "2 in force, none ends within 7 days"
    ending = books.keys({"ci": NOW + DAY_US, "old": NOW - 1}, NOW)
    assert ending.state is State.WARNING
    assert ending.detail.startswith("old ended ")
    assert "ci ends " in ending.detail


@pytest.mark.anyio
async def test_the_same_of_either_database(database_url: str, sql: Operator, tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    keys = "keys: {ci: {secret: env:CI, expires_at: 2026-01-01T00:00:00Z}}\n"
    text = "server: {port: 0, data: data}\nproviders: {bench: {kind: simulated}}\n"
    file.write_text(text + keys, encoding="utf-8")
    found = await examined(file, TOLLKEEPER_DATABASE_URL="env:BOOKS", BOOKS=database_url, CI="tk-0123456789abcdef")
    assert {one.state for name, one in found.items() if name != "keys"} <= {State.OK, State.WARNING}
    assert found["keys"].detail == "ci ended 2026-01-01 00:00 UTC"
    assert ("database server" in found) == (sql.dialect == "postgresql")
    sql.run("ALTER TABLE keys DROP COLUMN team")
    found = await examined(file, TOLLKEEPER_DATABASE_URL="env:BOOKS", BOOKS=database_url, CI="tk-0123456789abcdef")
    assert found["database"].state is State.FAILED
    assert "team" in found["database"].detail


@pytest.mark.anyio
async def test_a_database_that_is_away_is_one_failed_check(config: Path, free_port: Callable[[], int]) -> None:
    away = f"postgresql+psycopg://me@127.0.0.1:{free_port()}/books"
    found = await examined(config, TOLLKEEPER_DATABASE_URL=away)
    assert found["database"].state is State.FAILED
    assert {name for name, one in found.items() if one.failed} == {"database"}


@pytest.mark.anyio
async def test_unpriced_calls_of_the_last_day_are_seen(config: Path, tmp_path: Path) -> None:
    await asyncio.to_thread(fill, tmp_path / "data", [call(1), call(2, record=unpriced()), call(3, record=COMPLETED)])
    found = await examined(config)
    assert found["figures"].detail.startswith("of 3 calls in the last 24 hours 1 (33.3%) have no known cost")


# --- the journals -----------------------------------------------------------------------------------------------------


def test_how_far_the_ledger_is_behind() -> None:
    alive = SurveyedJournal("a", alive=True, backlog_bytes=10, waiting_since_us=NOW - 1_000_000)
    late = SurveyedJournal("b", alive=True, backlog_bytes=10, waiting_since_us=NOW - 60_000_000)
    dead = SurveyedJournal("c", alive=False, backlog_bytes=10, waiting_since_us=None)

    def found(*seen: SurveyedJournal, newer: tuple[str, ...] = (), on_disk: int = 0) -> Finding:
        return journals.journal(Survey(seen, newer, on_disk), 1000, NOW)

    assert found().state is State.OK
    assert found(alive).state is State.OK
    assert (found(alive, late).state, "60 s ago" in found(alive, late).detail) == (State.WARNING, True)
    assert found(alive, dead).detail.startswith("1 of 2 left by processes that are dead; 20 bytes")
    assert "newer version" in found(newer=("d.v9",)).detail
    assert found(alive, on_disk=1000).state is State.FAILED
    damaged = journals.journal(Survey((alive,), (), 0, ("a.damaged",)), 1000, NOW)
    assert (damaged.state, damaged.detail[:28]) == (State.WARNING, "a.damaged hold frames that n")
    unmarked = journals.journal(Survey((late,), (), 0), 1000, NOW, marked=False)
    assert (unmarked.state, unmarked.detail) == (State.OK, "1 in use, up to 10 bytes not in the ledger yet")


@pytest.mark.anyio
async def test_what_dead_processes_left_and_what_was_refused_is_seen(config: Path, tmp_path: Path) -> None:
    """Known faults 29, 52: what is in no figure is counted where somebody looks."""
    journal = JournalWriter(tmp_path / "data" / "journal", max_bytes=8 * MIB, segment_bytes=MIB)
    await journal.start()
    run_call(journal, "a")
    await journal.stop()
    DeadLetters(tmp_path / "data" / "journal").add([(COMPLETED, "no such column")], 1)
    found = await examined(config)
    assert found["journal"].state is State.WARNING
    assert found["journal"].detail.startswith("1 of 1 left by processes that are dead")
    assert (found["dead letters"].state, found["dead letters"].detail[:7]) == (State.FAILED, "1 calls")


# --- the outside ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "has_key", "state"),
    [
        (200, True, State.OK),
        (401, True, State.FAILED),
        (403, True, State.FAILED),
        (401, False, State.WARNING),
        (404, True, State.OK),
        (429, True, State.WARNING),
        (503, False, State.WARNING),
    ],
)
def test_what_an_answer_means(status: int, has_key: bool, state: State) -> None:
    assert outside.answered("provider x", status, 1.0, has_key=has_key).state is state


@pytest.mark.anyio
@pytest.mark.timed
async def test_a_provider_that_hangs_holds_nobody_up(tmp_path: Path) -> None:
    async with raw_server(silent) as hanging, raw_server(always(whole(b"{}"))) as well:
        boxes = [f"{name}: {{kind: openai, base_url: '{server.url}/v1'}}" for name, server in
                 (("slow", hanging), ("quick", well))]  # fmt: skip
        given = settings(tmp_path, f"providers: {{{', '.join(boxes)}}}\n")
        begun = time.monotonic()
        slow, quick, clocks = [one async for one in outside.providers(given, {}, patience=0.2)]
    assert time.monotonic() - begun < 3
    assert (slow.state, quick.state) == (State.FAILED, State.OK)
    assert "lists its models" in quick.detail
    assert (clocks.state, clocks.detail) == (State.OK, "not compared: no provider said what time it is")


@pytest.mark.anyio
@pytest.mark.parametrize(("ahead", "state"), [(0, State.OK), (3600, State.WARNING), (-60, State.WARNING)])
async def test_this_machine_s_clock_is_held_against_the_providers(ahead: int, state: State, tmp_path: Path) -> None:
    date = formatdate(time.time() + ahead, usegmt=True)
    async with raw_server(always(whole(b"{}", fields=f"date: {date}\r\n"))) as box:
        given = settings(tmp_path, f"providers: {{box: {{kind: openai, base_url: '{box.url}/v1'}}}}\n")
        _, clocks = [one async for one in outside.providers(given, {})]
    assert (clocks.check, clocks.state) == ("clock of providers", state)
    if ahead:
        assert f"s {'ahead' if ahead > 0 else 'behind'}" in clocks.detail
        assert "NTP" in (clocks.advice or "")


def test_one_provider_that_agrees_is_enough() -> None:
    found = outside.providers_clocks({"wrong": 90.0, "right": 0.0, "silent": None})
    assert (found.state, found.detail) == (State.OK, "within 5 s of ours; wrong's is 90 s ahead")


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("Thu, 01 Jan 1970 00:16:40 GMT", 0.0),  # second 1000
        ("Thu, 01 Jan 1970 00:16:39 GMT", 0.0),  # its end is our beginning
        ("Thu, 01 Jan 1970 00:16:50 GMT", 8.0),
        ("Thu, 01 Jan 1970 00:16:30 GMT", -9.0),
        ("", None),
        ("yesterday", None),
        ("Thu, 99 Jan 1970 00:16:30 GMT", None),
    ],
)
def test_how_far_a_date_is_surely_away(date: str, expected: float | None) -> None:
    assert outside.apart(date, 1000.0, 1002.0) == expected


@pytest.mark.anyio
async def test_targets_without_a_price_and_prices_of_another_unit(tmp_path: Path) -> None:
    """Known faults 21, 23: a price nobody can mean, and one that nobody stated, are seen before they cost."""
    boxes = "providers: {box: {kind: vllm, base_url: 'http://127.0.0.1:9/v1'}, openai: {api_key: env:KEY}}\n"
    aliased = settings(tmp_path, f"{boxes}models: {{fast: {{targets: [box/llama, openai/gpt-4o]}}}}\n", KEY=SECRET)
    found = await outside.prices(aliased, None)
    assert (found.state, found.detail.endswith("; none for box/llama")) == (State.WARNING, True)
    stated = "prices: {openai/gpt-4o: {usd_per_million: {input: 0.0000025, output: 0.00001}}}\n"
    assert (await outside.prices(settings(tmp_path, boxes + stated, KEY=SECRET), None)).state is State.FAILED
    assert (await outside.prices(settings(tmp_path, boxes, KEY=SECRET), None)).state is State.OK
