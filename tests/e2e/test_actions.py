"""A rule that acts, on a gateway of two workers: each refuses the key, and takes it again when that is undone."""

from pathlib import Path
from typing import Any

from tests.cli.terminal import invoke
from tests.e2e.gateway import Served, serving, until
from tests.e2e.upstream import Upstream, answers, completion, whole

SETTINGS = """\
providers: {{up: {{kind: openai, base_url: "{url}/v1"}}}}
prices: {{up/*: {{usd_per_million: {{input: "2", output: "10"}}}}}}
keys: {{ci: {{secret: env:CI}}, cd: {{secret: env:CD}}}}
budgets:
  each: {{limit_usd: "1", window: lifetime, scope: {{key: "*"}}, mode: soft, alert_at: [1]}}
alerts:
  rules:
    loops: {{kind: threshold, budget: each, action: freeze}}
    dear: {{kind: threshold, budget: each, action: downgrade, downgrade_to: up/small, ask: true}}
"""
KEYS = {"CI": "tk-ci-0123456789", "CD": "tk-cd-0123456789"}


def post(gateway: Served, key: str) -> Any:
    # A connection of its own, so that it may come to either worker.
    return gateway.post("up/dear", max_tokens=300, headers={"authorization": f"Bearer {key}", "connection": "close"})


def all_say(gateway: Served, key: str, status: int) -> bool:
    return {post(gateway, key).status_code for _ in range(12)} == {status}


def test_a_key_is_frozen_by_every_worker_until_that_is_undone(upstream: Upstream, tmp_path: Path) -> None:
    """Known fault 51: not only told, but acted on."""
    for model in ("dear", "small"):
        upstream.plays(model, *(answers(whole(completion())) for _ in range(1)))
    with serving(tmp_path, SETTINGS.format(url=upstream.url), "--workers", "2", **KEYS) as gateway:
        ci, cd = KEYS["CI"], KEYS["CD"]
        until(lambda: post(gateway, ci).status_code == 401, "the freeze")
        until(lambda: all_say(gateway, ci, 401), "the freeze in every worker")
        refused = post(gateway, ci)
        assert refused.headers["x-should-retry"] == "false"
        assert "frozen by the rule loops" in refused.json()["error"]["message"]
        assert post(gateway, cd).status_code == 200
        actions = {one["action"]: one for one in gateway.admin.get("/admin/alerts/actions").json()["items"]}
        assert (actions["freeze"]["state"], actions["downgrade"]["state"]) == ("in_force", "asked")

        undone = invoke(tmp_path, "alerts", "undo", actions["freeze"]["id"], **KEYS)
        assert "no longer in force" in undone.stdout, undone.output
        until(lambda: all_say(gateway, ci, 200), "the key's calls")
        assert "x-tollkeeper-downgraded-from" not in post(gateway, ci).headers

        confirmed = gateway.admin.post(f"/admin/alerts/actions/{actions['downgrade']['id']}/confirm").json()
        assert confirmed["effect"] == "calls of key=ci go to up/small"
        until(lambda: all_sent_on(gateway, ci), "the other model")
        call = gateway.call_of(post(gateway, ci).headers["x-tollkeeper-call-id"])
        assert (call["model"], call["target"], call["downgraded_from"]) == ("up/small", "up/small", "up/dear")
        assert post(gateway, cd).headers["x-tollkeeper-target"] == "up/dear"
        gateway.stop()


def all_sent_on(gateway: Served, key: str) -> bool:
    return {post(gateway, key).headers["x-tollkeeper-target"] for _ in range(12)} == {"up/small"}
