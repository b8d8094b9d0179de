"""What decides which model a call goes to, and with which limit, before its money is held."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gateway.core.actions import Action, Stage
from gateway.core.alerts.deed import Act, Deed
from gateway.core.budgets import Budget, Exhausted
from gateway.core.calls import End
from gateway.core.keys import Key
from gateway.core.models import NO_FACTS, ModelFacts
from gateway.core.pricing import FilePrice, Price, PriceBook
from gateway.core.routing import Alias, Target
from gateway.core.scopes import scope_of
from gateway.wire.openai import Endpoint
from tests.proxy.rig import A, B, NoMap, Rig, alias, chat, header, rig, whole
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


class Kinds(NoMap):
    """Knows of some models whether they embed."""

    def find(self, kind: str, model: str) -> Price | None:
        return Price("kinds", {"input": Decimal("0.000001"), "output": Decimal("0.000001")})

    def models(self, kind: str) -> tuple[str, ...]:
        return ("embed", "text")

    def facts(self, kind: str, model: str) -> ModelFacts:
        known = {"embed": True, "text": False}.get(model)
        return NO_FACTS if known is None else ModelFacts(embeds=known)


PRICED = {"input": Decimal(2), "output": Decimal(10)}
BOOK = PriceBook(Kinds(), [FilePrice("a/m", PRICED), FilePrice("a/*", like="openai"), FilePrice("b/*", free=True)])
BOTH = alias("both", (A, "text"), (A, "embed"), (B, "embed"))
"""Of the last nobody knows what it makes: what `b` has is priced here, and of no known kind."""


def acts(model: str, **more: Any) -> Action:
    return replace(SMALLER, deed=Deed(Act.DOWNGRADE, model=model), **more)


def answering(*budgets: Budget, actions: tuple[Action, ...] = ()) -> Rig:
    return rig(whole(), prices=BOOK, aliases=BOTH, budgets=budgets, actions=actions)


async def embed(made: Rig) -> Any:
    return await made.call(b'{"model": "a/m", "input": "one two"}', endpoint=Endpoint.EMBEDDINGS)


@pytest.mark.parametrize("model", ["a/text", "b/embed", "a/unknown", "gone/x"])
async def test_embeddings_are_moved_only_to_a_model_that_is_known_to_make_them(model: str) -> None:
    """They stay as they are under an action, and are refused under a budget that is spent."""
    made = answering(actions=(acts(model),))
    reply = await embed(made)
    assert (header(reply, "x-tollkeeper-target"), header(reply, "x-tollkeeper-downgraded-from")) == ("a/m", None)
    assert (made.record.facts.model, made.record.downgraded_from) == ("a/m", None)
    spent = budget(1, exhausted=Exhausted.DOWNGRADE, downgrade_to=model, scope=scope_of([("model", "a/m")]))
    refused = answering(spent)
    assert (await embed(refused)).status == 429
    assert refused.record.facts.model == "a/m"
    assert not refused.upstream.asked


@pytest.mark.parametrize("model", ["a/embed", "both"])
async def test_embeddings_are_moved_to_a_model_that_makes_them(model: str) -> None:
    """Of an alias only to those of its targets that do."""
    spent = budget(1, exhausted=Exhausted.DOWNGRADE, downgrade_to=model, scope=scope_of([("model", "a/m")]))
    for made in (answering(spent), answering(actions=(acts("a/text", made_us=0), acts(model)))):
        reply = await embed(made)
        assert (header(reply, "x-tollkeeper-target"), header(reply, "x-tollkeeper-downgraded-from")) == (
            "a/embed",
            "a/m",
        )
        assert made.record.facts.model == model


async def test_a_chat_is_not_moved_to_a_model_that_embeds() -> None:
    stays = answering(actions=(acts("a/embed"),))
    assert header(await stays.call(chat()), "x-tollkeeper-target") == "a/m"
    moved = answering(actions=(acts("both"),))
    assert header(await moved.call(chat()), "x-tollkeeper-target") == "a/text"
    spent = answering(budget(1, exhausted=Exhausted.DOWNGRADE, downgrade_to="a/embed"))
    assert (await spent.call(chat(max_tokens=9))).status == 429
