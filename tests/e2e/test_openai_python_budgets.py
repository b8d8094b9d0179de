"""The official Python SDK under budgets and limits: the right exception, and another try only where it helps.

Known faults 32, 38, 42, 44.
"""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.e2e.gateway import Served, serving, until
from tests.e2e.upstream import COST, PATIENCE, Upstream, answers, completion, open_ended, whole

ASK: Any = [{"role": "user", "content": "What is the toll?"}]
SETTINGS = """\
server: {{keys: optional}}
providers: {{up: {{kind: openai, base_url: "{url}/v1"}}}}
prices: {{up/*: {{usd_per_million: {{input: "2", output: "10"}}}}}}
models:
  cheap: {{targets: [up/cheap]}}
  dear: {{targets: [up/dear]}}
holds: {{wait: 50ms}}
budgets:
  spent: {{limit_usd: "0.0001", scope: {{model: up/spent}}, window: day, timezone: Europe/Berlin}}
  short: {{limit_usd: "0.006", scope: {{model: up/short}}}}
  watched: {{limit_usd: "0.000001", mode: soft, scope: {{model: up/watched}}}}
  lead: {{limit_usd: "0.0001", scope: {{model: dear}}, on_exhausted: downgrade, downgrade_to: cheap}}
  wide: {{limit_usd: "100"}}
limits:
  slow: {{scope: {{model: up/slow}}, rpm: 1}}
  alone: {{scope: {{model: up/alone}}, in_flight: 1}}
"""


@pytest.fixture(scope="module")
def bound(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    for name in ("spent", "short", "watched", "cheap", "dear", "slow", "alone"):
        upstream.plays(name, answers(whole(completion())))
    with serving(tmp_path_factory.mktemp("bound"), SETTINGS.format(url=upstream.url)) as served:
        yield served


@pytest.fixture
def sdk(bound: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=bound.v1, api_key="none", max_retries=2, timeout=PATIENCE) as made:
        yield made


def ask(sdk: openai.OpenAI, model: str, **more: Any) -> Any:
    return sdk.chat.completions.with_raw_response.create(model=model, messages=ASK, max_tokens=300, **more)


def test_a_spent_budget_is_told_and_not_tried_again(sdk: openai.OpenAI, bound: Served) -> None:
    with pytest.raises(openai.RateLimitError) as raised:
        ask(sdk, "up/spent")
    assert raised.value.code == "insufficient_quota"
    said = raised.value.message
    assert "the budget spent is spent: $0.000000000 spent" in said
    assert "left of $0.000100000" in said
    assert "it begins anew at 20" in said
    row = bound.row(model="up/spent")
    assert (row["end"], row["status"], row["attempts"], row["cost_usd"]) == ("refused", 429, [], "0.000000000")


def test_little_money_makes_a_short_answer(sdk: openai.OpenAI, bound: Served) -> None:
    answer = sdk.chat.completions.with_raw_response.create(model="up/short", messages=ASK, max_tokens=5000)
    lowered = int(answer.headers["x-tollkeeper-max-tokens"])
    assert 128 <= lowered < 5000
    row = bound.call_of(answer.headers["x-tollkeeper-call-id"])
    assert row["limit_lowered_to"] == lowered
    assert float(row["held_usd"]) <= 0.006


def test_what_is_left_goes_down_by_what_calls_cost(sdk: openai.OpenAI) -> None:
    left = [float(ask(sdk, "cheap").headers["x-tollkeeper-budget-remaining-usd"]) for _ in range(2)]
    assert left[0] - left[1] == pytest.approx(float(COST), abs=1e-9)


def test_a_soft_budget_refuses_nothing(sdk: openai.OpenAI, bound: Served) -> None:
    ask(sdk, "up/watched")
    ask(sdk, "up/watched")
    shown = until(lambda: _spent(bound, "watched"), "what was spent")
    assert float(shown["over_usd"]) > 0
    assert shown["held_usd"] == "0.000000000"


def _spent(bound: Served, name: str) -> Any:
    shown = bound.admin.get(f"/admin/budgets/{name}").json()
    return shown if float(shown["spent_usd"]) >= 2 * float(COST) else None


def test_an_exhausted_model_leads_to_another(sdk: openai.OpenAI, bound: Served) -> None:
    answer = ask(sdk, "dear")
    assert answer.headers["x-tollkeeper-downgraded-from"] == "dear"
    assert answer.headers["x-tollkeeper-target"] == "up/cheap"
    row = bound.call_of(answer.headers["x-tollkeeper-call-id"])
    assert (row["model"], row["downgraded_from"]) == ("cheap", "dear")


def test_a_cap_of_the_call_is_a_bad_request(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        ask(sdk, "cheap", extra_headers={"x-tollkeeper-max-cost-usd": "0.000001"})
    assert raised.value.code == "max_cost_exceeded"


def test_a_key_caps_each_of_its_calls_and_requires_labels(sdk: openai.OpenAI, bound: Served) -> None:
    terms = {"name": "agent", "max_cost_usd": "0.004", "required_labels": ["session", "feature"]}
    agent = sdk.with_options(api_key=bound.admin.post("/admin/keys", json=terms).json()["key"])
    labels = {"x-tollkeeper-session": "run-1", "x-tollkeeper-tags": "feature=search"}
    assert ask(agent, "cheap", extra_headers=labels).status_code == 200
    for headers in ({}, {"x-tollkeeper-session": "run-1"}, {"x-tollkeeper-tags": "feature=search"}):
        with pytest.raises(openai.BadRequestError, match="calls with the key agent must carry") as raised:
            ask(agent, "cheap", extra_headers=headers)
        assert raised.value.code == "invalid_request"
    long: Any = [{"role": "user", "content": "What is the toll? " * 100}]
    with pytest.raises(openai.BadRequestError, match=r"must not cost more than \$0\.004000000") as raised:
        agent.chat.completions.create(model="cheap", messages=long, max_tokens=300, extra_headers=labels)
    assert raised.value.code == "max_cost_exceeded"


def test_a_rate_is_told_with_when_to_come_again(sdk: openai.OpenAI) -> None:
    once = sdk.with_options(max_retries=0)
    first = ask(once, "up/slow")
    assert first.headers["x-ratelimit-limit-requests"] == "1"
    assert first.headers["x-ratelimit-remaining-requests"] == "0"
    with pytest.raises(openai.RateLimitError) as raised:
        for _ in range(3):  # a minute may begin between two
            ask(once, "up/slow")
    assert raised.value.code == "rate_limit_exceeded"
    assert raised.value.response.headers["x-should-retry"] == "true"
    assert 0 < float(raised.value.response.headers["retry-after"]) <= 60


def test_calls_in_flight_make_room_when_one_ends(sdk: openai.OpenAI, bound: Served, upstream: Upstream) -> None:
    upstream.plays("alone", open_ended)
    once = sdk.with_options(max_retries=0)
    with once.chat.completions.create(model="up/alone", messages=ASK, max_tokens=5, stream=True) as stream:
        next(iter(stream))
        with pytest.raises(openai.RateLimitError) as raised:
            ask(once, "up/alone")
        assert raised.value.response.headers["retry-after"] == "1"
    upstream.plays("alone", answers(whole(completion())))
    assert ask(sdk.with_options(max_retries=5), "up/alone").headers["x-tollkeeper-target"] == "up/alone"


def test_held_money_is_shown_while_a_call_is_open(sdk: openai.OpenAI, bound: Served, upstream: Upstream) -> None:
    upstream.plays("open", open_ended)

    def held() -> float:
        return float(bound.admin.get("/admin/budgets/wide").json()["held_usd"])

    with sdk.chat.completions.create(model="up/open", messages=ASK, max_tokens=5, stream=True) as stream:
        next(iter(stream))
        until(lambda: held() > 0, "a hold that shows")
    until(lambda: held() == 0, "its end")
    row = bound.row(model="up/open")
    assert (row["end"], row["usage_basis"]) == ("cut_by_client", "estimated")
    reserve, cost = float(row["reserve_usd"]), float(row["cost_usd"])
    assert reserve > 0
    assert reserve + cost == pytest.approx(float(row["held_usd"]))
