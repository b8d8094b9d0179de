"""`tollkeeper alerts`: what happened and who was told, on a terminal."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from gateway.core.actions import Action, Stage
from gateway.core.alerts.deed import Act, Deed
from gateway.core.alerts.event import Alert
from gateway.storage.alerts import AlertRepository
from tests.cli.terminal import invoke
from tests.databases import opened, url_of

ALERT = Alert("unpriced", "price.unknown", "openai/x", "2026-11", 1_793_433_600_000_000)


class Receiver(BaseHTTPRequestHandler):
    """Takes what comes to `/in` and nothing else."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200 if self.path == "/in" else 404)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def receiver() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def data(tmp_path: Path, receiver: str) -> Path:
    assert invoke(tmp_path, "db", "upgrade").exit_code == 0
    (tmp_path / "tollkeeper.yaml").write_text(
        f"""alerts:
  channels:
    ops: {{webhook: "{receiver}/in", secret: env:HOOK, allow_private: true}}
    lost: {{webhook: "{receiver}/lost", secret: env:HOOK, allow_private: true}}
    near: {{webhook: "{receiver}/in", secret: env:HOOK}}
""",
        encoding="utf-8",
    )
    return tmp_path


def alerts(data: Path, *words: str) -> tuple[int, str, str]:
    told = invoke(data, "alerts", *words, "--config", str(data / "tollkeeper.yaml"), HOOK="any text")
    return told.exit_code, told.stdout, told.stderr


def test_alerts_are_listed(data: Path) -> None:
    assert alerts(data, "list") == (0, "There is no alert.\n", "")

    async def happen() -> None:
        async with opened(url_of(data / "tollkeeper.db")) as db:
            await AlertRepository(db).raise_alert(ALERT, ["ops"])

    asyncio.run(happen())
    code, shown, _ = alerts(data, "list")
    assert code == 0
    assert "No price is known for openai/x" in shown
    assert ALERT.id in shown
    (item,) = json.loads(alerts(data, "list", "--json")[1])["items"]
    assert item["link"] == f"http://127.0.0.1:4000/admin/alerts/{ALERT.id}"


def test_a_test_that_arrives_and_those_that_do_not(data: Path) -> None:
    code, shown, _ = alerts(data, "test", "ops")
    assert code == 0
    assert shown.startswith("delivered to ops in ")
    assert "answered 200" in shown
    code, shown, _ = alerts(data, "test", "lost")
    assert code == 1
    assert shown.startswith("not delivered to lost: answered 404")
    code, shown, _ = alerts(data, "test", "near", "--json")
    assert code == 1
    assert "allow_private" in json.loads(shown)["error"]
    code, _, told = alerts(data, "test", "nobody")
    assert (code, told) == (2, "Error: there is no channel nobody; `alerts.channels` names ops, lost, near\n")


def test_deliveries_are_listed_and_sent_again(data: Path) -> None:
    assert alerts(data, "deliveries")[1] == "There is no delivery.\n"
    made = json.loads(alerts(data, "test", "ops", "--json")[1])
    assert made["id"] in alerts(data, "deliveries")[1]
    code, shown, _ = alerts(data, "redeliver", made["id"])
    assert (code, shown) == (0, f"{made['id']} to ops is sent again by the running gateway\n")
    (item,) = json.loads(alerts(data, "deliveries", "--json")[1])["items"]
    assert (item["state"], len(item["tries"])) == ("waiting", 1)
    assert alerts(data, "redeliver", "msg-0")[0] == 1


def made(data: Path, action: Action) -> None:
    async def make() -> None:
        async with opened(url_of(data / "tollkeeper.db")) as db:
            await AlertRepository(db).raise_alert(replace(ALERT, window=action.id), [], action)

    asyncio.run(make())


FREEZE = Action("action-1", ALERT.id, "loops", Deed(Act.FREEZE), "ci", ALERT.raised_us)


def test_actions_are_listed_and_undone(data: Path) -> None:
    assert alerts(data, "actions") == (0, "No rule has done anything.\n", "")
    made(data, FREEZE)
    code, told, _ = alerts(data, "actions")
    assert code == 0
    assert all(word in told for word in ("in_force", "the key ci is frozen", "loops", "action-1"))
    over = "no longer in force, in every process within two seconds: the key ci is frozen (action-1)\n"
    for _ in range(2):
        assert alerts(data, "undo", "action-1") == (0, over, "")
    code, _, error = alerts(data, "confirm", "action-1")
    assert code == 1
    assert "the action action-1 is undone, and cannot be in force" in error
    code, _, error = alerts(data, "undo", "action-9")
    assert code == 1
    assert "there is no action action-9" in error


@pytest.mark.parametrize(
    ("word", "state", "said"), [("confirm", "in_force", "in force"), ("decline", "declined", "not done")]
)
def test_what_asks_is_decided(data: Path, word: str, state: str, said: str) -> None:
    made(data, replace(FREEZE, deed=Deed(Act.FREEZE, asks=True), stage=Stage.ASKED))
    assert alerts(data, word, "action-1")[1].startswith(said)
    (shown,) = json.loads(alerts(data, "actions", "--json")[1])["items"]
    assert (shown["state"], shown["asks"]) == (state, True)
    assert shown["decided_by"]


def test_what_is_in_force_already_is_named(data: Path) -> None:
    made(data, replace(FREEZE, deed=Deed(Act.FREEZE, asks=True), stage=Stage.ASKED))
    made(data, replace(FREEZE, id="action-2", rule="other"))
    code, _, error = alerts(data, "confirm", "action-1")
    assert code == 1
    assert "the key ci is frozen already, by the action action-2 of the rule other" in error
    assert "tollkeeper alerts undo action-2" in error
