"""The official Node SDK under budgets and limits: the right exception, and another try only where it helps.

Known faults 32, 38, 42, 44.
"""

import json
import subprocess
from typing import Any

import pytest

from tests.backends.installed import NODE_PROJECT, node_packages
from tests.e2e.gateway import serving
from tests.e2e.upstream import Upstream, answers, completion, open_ended, whole

SETTINGS = """\
providers:
  up: {{kind: openai, base_url: "{url}/v1"}}
  free: {{kind: openai, base_url: "{url}/v1"}}
prices: {{up/*: {{usd_per_million: {{input: "2", output: "10"}}}}}}
holds: {{wait: 50ms}}
budgets:
  spent: {{limit_usd: "0.0001", scope: {{model: up/spent}}}}
  wide: {{limit_usd: "100"}}
limits:
  slow: {{scope: {{model: up/slow}}, rpm: 1}}
  alone: {{scope: {{model: up/alone}}, in_flight: 1}}
"""
REFUSED: dict[str, tuple[Any, ...]] = {
    "spent": ("RateLimitError", 429, "insufficient_quota", 1, "false"),
    "cap": ("BadRequestError", 400, "max_cost_exceeded", 1, "false"),
    "unpriced": ("PermissionDeniedError", 403, "price_unknown", 1, "false"),
    "rate": ("RateLimitError", 429, "rate_limit_exceeded", 1, "true"),
    "in_flight": ("RateLimitError", 429, "rate_limit_exceeded", 2, "true"),
}


@pytest.fixture(scope="module")
def came(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of every scenario."""
    upstream.plays("slow", answers(whole(completion())))
    upstream.plays("alone", open_ended)
    with serving(tmp_path_factory.mktemp("bound"), SETTINGS.format(url=upstream.url)) as gateway:
        program = ["node", str(NODE_PROJECT / "refusals.cjs"), gateway.v1, str(node_packages())]
        told = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stderr
    results: dict[str, Any] = json.loads(told.stdout)
    return results


@pytest.mark.parametrize("name", REFUSED)
def test_the_right_error_and_another_try_only_where_it_helps(name: str, came: dict[str, Any]) -> None:
    one = came[name]
    assert (one["name"], one["status"], one["code"], one["asked"], one["again"]) == REFUSED[name]
    assert (one["after"] is not None) is (one["again"] == "true")
