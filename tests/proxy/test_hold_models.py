"""What decides which model a call goes to, and with which limit, before its money is held."""

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.actions import Action, Stage
from gateway.core.alerts.deed import Act, Deed
from gateway.core.budgets import Budget, Exhausted
from gateway.core.calls import End
from gateway.core.keys import Key
from gateway.core.routing import Alias, Target
from gateway.core.scopes import scope_of
from tests.proxy.rig import A, B, chat, header, rig, whole
from tests.proxy.test_hold import budget, counted

pytestmark = pytest.mark.anyio

KEY = rig().key
DEFAULT = {"x": Alias("x", (Target(A, "m"), Target(B, "free")), 300)}


@pytest.mark.parametrize(
    ("stated", "sent", "told"),
    [
        ({}, 300, 300),
        ({"max_tokens": -1}, 300, 300),
        ({"max_tokens": None}, 300, 300),
        ({"max_tokens": 500}, 500, None),
    ],
)
@pytest.mark.parametrize("budgets", [(), (budget(),)])
async def test_a_model_states_the_limit_of_calls_that_state_none(
    budgets: tuple[Budget, ...], stated: dict[str, Any], sent: int, told: int | None
) -> None:
    made = rig(whole(), aliases=DEFAULT, budgets=budgets)
    reply = await made.call(chat("x", **stated))
    assert reply.status == 200
    assert header(reply, "x-tollkeeper-max-tokens") == (None if told is None else str(told))
    (request,) = made.upstream.asked
    assert json.loads(b"".join(request.body))["max_tokens"] == sent
    assert made.record.limit_lowered_to == told
    (opened,) = made.journal.openings
    assert (opened.hold_nano >= sent * 10_000) is bool(budgets)


async def test_what_is_lowered_below_the_model_s_limit_is_sent_lower() -> None:
    made = rig(whole(), aliases=DEFAULT, budgets=[budget(2_500_000)])
    await made.call(chat("x"))
    (request,) = made.upstream.asked
    assert 128 <= json.loads(b"".join(request.body))["max_tokens"] < 300


async def test_the_limit_of_a_model_does_not_follow_to_another_one() -> None:
    dear = budget(1, exhausted=Exhausted.DOWNGRADE, downgrade_to="b/free", scope=scope_of([("model", "x")]))
    made = rig(whole(), aliases=DEFAULT, budgets=[dear])
    reply = await made.call(chat("x"))
    assert (header(reply, "x-tollkeeper-target"), header(reply, "x-tollkeeper-max-tokens")) == ("b/free", None)
    (request,) = made.upstream.asked
    assert "max_tokens" not in json.loads(b"".join(request.body))


async def test_an_exhausted_budget_leads_to_a_cheaper_model() -> None:
    cheaper = budget(1, exhausted=Exhausted.DOWNGRADE, downgrade_to="b/free", scope=scope_of([("model", "a/m")]))
    made = rig(whole(), budgets=[cheaper, budget(name="rest")])
    reply = await made.call(chat(max_tokens=1000))
    assert (reply.status, header(reply, "x-tollkeeper-downgraded-from")) == (200, "a/m")
    assert header(reply, "x-tollkeeper-target") == "b/free"
    assert (made.record.facts.model, made.record.downgraded_from) == ("b/free", "a/m")
    assert made.record.accounts == (counted("rest"),)


SMALLER = Action("a", "alert", "dear", Deed(Act.DOWNGRADE, model="b/free"), "key=ci", 1)


async def test_a_rule_that_downgrades_leads_to_its_model() -> None:
    """Without any budget, and budgets of the model that was asked for bind it no more."""
    for budgets in ((), (budget(1, scope=scope_of([("model", "a/m")])), budget(name="rest"))):
        made = rig(whole(), budgets=budgets, actions=[SMALLER])
        reply = await made.call(chat(max_tokens=1000))
        assert (reply.status, header(reply, "x-tollkeeper-downgraded-from")) == (200, "a/m")
        assert header(reply, "x-tollkeeper-target") == "b/free"
        assert (made.record.facts.model, made.record.downgraded_from) == ("b/free", "a/m")
        assert made.record.accounts == ((counted("rest"),) if budgets else ())


@pytest.mark.parametrize(
    ("action", "key"),
    [
        (replace(SMALLER, subject="key=other"), KEY),
        (replace(SMALLER, deed=Deed(Act.DOWNGRADE, model="a/m")), KEY),
        (replace(SMALLER, stage=Stage.ASKED), KEY),
        (SMALLER, replace(KEY, models=("a/*",))),
    ],
)
async def test_a_call_that_no_rule_downgrades_stays_as_it_is(action: Action, key: Key) -> None:
    made = rig(whole(), actions=[action], key=key)
    reply = await made.call(chat())
    assert (header(reply, "x-tollkeeper-target"), header(reply, "x-tollkeeper-downgraded-from")) == ("a/m", None)
    assert made.record.downgraded_from is None


async def test_a_model_that_a_rule_names_and_nobody_has_refuses_the_call() -> None:
    made = rig(actions=[replace(SMALLER, deed=Deed(Act.DOWNGRADE, model="gone/x"))])
    reply = await made.call(chat())
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (404, "model_not_found")
    assert made.record.end is End.REFUSED


async def test_it_is_refused_if_the_cheaper_one_does_not_fit_either() -> None:
    made = rig(budgets=[budget(1, exhausted=Exhausted.DOWNGRADE, downgrade_to="a/n")])
    assert (await made.call(chat(max_tokens=1000))).status == 429
