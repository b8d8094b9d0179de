"""Start, stop and sudden death of the real process: streams end well, rows survive, nothing counts twice."""

import json
import signal
import socket
import sqlite3
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from time import monotonic

import httpx
import pytest

from tests.cli.terminal import invoke
from tests.e2e.gateway import Served, serving, until
from tests.e2e.raw import Answers, body_for, post
from tests.e2e.upstream import (
    DONE,
    END,
    EVENTS,
    PATIENCE,
    Line,
    Request,
    Upstream,
    answers,
    chunk,
    completion,
    event,
    open_ended,
    whole,
)
from tests.providers.certificates import Authority

SETTINGS = """\
providers: {{up: {{kind: openai, base_url: "{url}/v1"}}}}
prices: {{up/*: {{usd_per_million: {{input: "2", output: "10"}}}}}}
"""


def test_streams_in_flight_end_well(upstream: Upstream, tmp_path: Path) -> None:
    """SIGTERM: nobody new is let in, whoever is in gets the whole answer, and then the process ends."""
    go_on = Event()

    def script(_: Request, line: Line) -> None:
        line.send(EVENTS, chunk(event("four ")))
        assert go_on.wait(PATIENCE)
        line.send(chunk(event("pennies", finish="stop")), chunk(DONE), END)

    upstream.plays("life-drain", script)
    with serving(tmp_path, SETTINGS.format(url=upstream.url)) as gateway, gateway.connect() as line:
        line.sendall(post(body_for("up/life-drain", stream=True)))
        came = Answers(line)
        assert came.head()[0] == 200
        assert b"four" in came.piece()
        gateway.program.send_signal(signal.SIGTERM)
        until(lambda: not _accepts(gateway), "the door to close")
        assert gateway.program.poll() is None
        go_on.set()
        rest = b""
        while piece := came.piece():
            rest += piece
        assert rest.endswith(b"data: [DONE]\n\n")
        assert gateway.program.wait(PATIENCE) == 0
    listed = json.loads(invoke(tmp_path, "calls", "--json").stdout)
    assert [row["end"] for row in listed["items"]] == ["completed"]


def _accepts(gateway: Served) -> bool:
    try:
        gateway.connect().close()
    except OSError:
        return False
    return True


def the_last_one_s_calls_are_told(gateway: Served, died: int) -> None:
    """Of so many that died before, each with ten open calls: counted by whoever replays them, logged once by each."""
    counted = 10 if died else 0
    until(lambda: gateway.metric("tollkeeper_calls_total", end="interrupted") == counted, "the count of the replay")
    until(lambda: gateway.log.count('"end":"interrupted"') == 10 * died, "their lines in the log")


def test_sudden_death_leaves_a_row_for_every_call_and_nothing_twice(upstream: Upstream, tmp_path: Path) -> None:
    """SIGKILL under load, twice: every call that the upstream saw has exactly one row, ended or `interrupted`."""
    upstream.plays("life-whole", answers(whole(completion())))
    upstream.plays("life-open", open_ended)
    settings = SETTINGS.format(url=upstream.url)
    done = 0
    for died in range(2):
        with serving(tmp_path, settings) as gateway:
            the_last_one_s_calls_are_told(gateway, died)
            lines = [gateway.connect() for _ in range(10)]
            for line in lines:
                line.sendall(post(body_for("up/life-open", stream=True)))
                assert Answers(line).head()[0] == 200
            with ThreadPoolExecutor(4) as pool:
                done += sum(answer.status_code == 200 for answer in pool.map(gateway.post, ["up/life-whole"] * 40))
            gateway.kill()  # at once: the last rows are in the journal alone
            for line in lines:
                line.close()
    with serving(tmp_path, settings) as gateway:
        rows = gateway.rows(done + 20)
        ends = {end: [row for row in rows if row["end"] == end] for end in ("completed", "interrupted")}
        assert (len(ends["completed"]), len(ends["interrupted"])) == (80, 20)
        assert len(upstream.asked("life-whole")) + len(upstream.asked("life-open")) == len({row["id"] for row in rows})
        assert {row["cost_usd"] for row in ends["completed"]} == {"0.003000000"}
        assert {row["model"] for row in ends["interrupted"]} == {"up/life-open"}
        assert {row["usage_basis"] for row in ends["interrupted"]} <= {"estimated", "none"}
        totals = gateway.admin.get("/admin/usage").json()["totals"]
        assert (totals["calls"], totals["attempts"]) == (100, 100)
        the_last_one_s_calls_are_told(gateway, 2)
        assert gateway.metric("tollkeeper_attempts_total", end="interrupted", target="up/life-open") == 10
    with sqlite3.connect(tmp_path / "tollkeeper.db") as db:
        assert db.execute("SELECT count(*), count(DISTINCT id) FROM calls").fetchone() == (100, 100)
        assert db.execute("SELECT count(*) FROM attempts").fetchone() == (100,)
        assert db.execute("SELECT count(*) FROM journal_marks").fetchone() == (0,), "of no journal that is gone"
    db.close()


def test_https_with_a_certificate_of_ones_own(upstream: Upstream, tmp_path: Path) -> None:
    """Whole, streamed and on one connection, with the certificate checked."""
    authority = Authority(tmp_path)
    authority.server("127.0.0.1")
    upstream.plays("life-tls", answers(whole(completion())))
    tls = f"server: {{tls: {{cert: {tmp_path}/server.pem, key: {tmp_path}/server.key}}}}\n"
    with serving(tmp_path / "data", SETTINGS.format(url=upstream.url) + tls) as gateway:
        assert gateway.address.startswith("https://")
        context = authority.client()
        with (
            socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as line,
        ):
            came = Answers(line)
            for _ in range(3):
                line.sendall(post(body_for("up/life-tls")))
                assert came.whole()[0] == 200
            assert line.version() in ("TLSv1.2", "TLSv1.3")
        assert gateway.rows(3)[0]["cost_usd"] == "0.003000000"
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{gateway.port}/healthz", trust_env=False)
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{gateway.address}/healthz", verify=ssl.create_default_context(), trust_env=False)
        begun = monotonic()
        gateway.stop()  # with the idle line of `admin` still open
        assert monotonic() - begun < 10, "it waited for an idle client"


def test_a_second_gateway_on_the_same_books(upstream: Upstream, tmp_path: Path) -> None:
    """Two processes with one data folder, as during a rolling restart: each ships its own journal, nothing is lost."""
    upstream.plays("life-two", answers(whole(completion())))
    settings = SETTINGS.format(url=upstream.url)
    with serving(tmp_path, settings) as one, serving(tmp_path, settings) as two:
        for gateway in (one, two) * 5:
            assert gateway.post("up/life-two").status_code == 200
        assert {row["id"] for row in one.rows(10)} == {row["id"] for row in two.rows(10)}
