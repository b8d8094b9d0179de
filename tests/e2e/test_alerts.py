"""A budget's percentages and its end, told to a real receiver, which checks signatures by the standard's library."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from standardwebhooks.webhooks import Webhook

from tests.cli.terminal import invoke
from tests.e2e.gateway import serving, until
from tests.e2e.upstream import Upstream, answers, completion, whole

ASK: dict[str, Any] = {"max_tokens": 300, "response_format": {"type": "json_object"}}
"""An answer that cannot be shorter, so that the budget refuses for good."""
SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four b").decode()
SETTINGS = """\
providers: {{up: {{kind: openai, base_url: "{url}/v1"}}}}
prices: {{up/*: {{usd_per_million: {{input: "2", output: "10"}}}}}}
holds: {{wait: 20ms}}
budgets:
  pennies: {{limit_usd: "0.02", window: lifetime, alert_at: [10, 50]}}
alerts:
  channels:
    ops: {{webhook: "http://127.0.0.1:{port}/hook", secret: env:HOOK, allow_private: true}}
  rules:
    spent: {{kind: threshold, budget: pennies, channels: [ops]}}
"""


@contextmanager
def receiving() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """A receiver's port, and every event that came with a signature that holds."""
    events: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            events.append(Webhook(SECRET).verify(body, dict(self.headers.items())))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1], events
    finally:
        server.shutdown()
        server.server_close()


def test_each_is_told_once_and_signed(upstream: Upstream, tmp_path: Path) -> None:
    upstream.plays("alerted", answers(whole(completion())))
    with receiving() as (port, events):
        settings = SETTINGS.format(url=upstream.url, port=port)
        with serving(tmp_path, settings, "--workers", "2", HOOK=SECRET) as gateway:
            statuses = [gateway.post("up/alerted", **ASK).status_code for _ in range(12)]
            assert statuses[0] == 200
            assert statuses[-1] == 429
            until(lambda: len(events) >= 3, "three events")
            alerts = gateway.admin.get("/admin/alerts").json()["items"]
            deliveries = gateway.admin.get("/admin/alerts/deliveries").json()["items"]
    told = sorted((event["type"], event["data"]["window"].partition("/")[2]) for event in events)
    assert told == [("budget.exhausted", "exhausted"), ("budget.threshold", "10"), ("budget.threshold", "50")]
    assert {event["data"]["subject"] for event in events} == {"pennies"}
    assert any("% of $0.02 spent" in event["data"]["title"] for event in events)
    assert (len(alerts), len(deliveries)) == (3, 3)


def test_a_report_is_sent_signed_and_waits_for_nobody(upstream: Upstream, tmp_path: Path) -> None:
    with receiving() as (port, events):
        reports = "  reports: {monthly: {every: month, channels: [ops]}}\n"
        with serving(tmp_path, SETTINGS.format(url=upstream.url, port=port) + reports, HOOK=SECRET) as gateway:
            config = ("--config", str(gateway.config))
            sent = invoke(tmp_path, "alerts", "report", "monthly", "--send", *config, HOOK=SECRET)
            assert "sent by the running gateway to ops" in sent.stdout, sent.output
            until(lambda: any("/" in event["data"]["window"] for event in events), "the report")
            (alert, *_) = gateway.admin.get("/admin/alerts").json()["items"]
            gateway.stop()
    event = next(event for event in events if "/" in event["data"]["window"])
    assert (event["type"], event["data"]["state"], alert["state"]) == ("report.ready", "raised", "resolved")
    assert "no calls" in event["data"]["text"]
