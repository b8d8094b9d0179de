"""What was used, what it cost, and one closing frame for a call."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import cast

import pytest

from gateway.core.calls import CallRecord, End
from gateway.core.errors import UpstreamFault
from gateway.core.models import NO_FACTS, ModelFacts
from gateway.core.pricing import FilePrice, OffPeak, Price, PriceBook, Tariff, Window
from gateway.core.routing import Retries, Target
from gateway.core.usage import NOTHING_KNOWN, Basis, Usage
from gateway.ports import Count
from gateway.proxy.forward import Forward
from gateway.proxy.relay import Relay
from gateway.proxy.settle import Settle
from tests.fakes.tokenizer import WordTokenizer
from tests.fakes.upstream import ScriptedAnswer
from tests.proxy.rig import COST, PRICES, USAGE, A, Rig, chat, header, rig, whole


@pytest.mark.anyio
async def test_the_provider_s_figures_and_an_exact_cost() -> None:
    made = rig(whole())
    reply = await made.call(chat())
    assert header(reply, "x-tollkeeper-cost-usd") == "0.003000000"
    assert header(reply, "x-tollkeeper-usage-basis") == "provider"
    (attempt,) = made.record.attempts
    assert attempt.usage == Usage(input=1000, output=100)
    assert json.loads(attempt.raw_usage or "") == USAGE
    assert (attempt.cost_nano, attempt.upstream_request_id, attempt.price_book) == (
        COST,
        "up-1",
        PRICES.version.removeprefix("none + "),
    )
    assert [(charge.bucket, charge.quantity, charge.amount_nano) for charge in attempt.charges] == [
        ("input", 1000, 2_000_000),
        ("output", 100, 1_000_000),
    ]


@pytest.mark.anyio
async def test_without_usage_the_tokens_are_counted_and_said_to_be() -> None:
    """Known fault 9: a named tokenizer, and the row is marked."""
    made = rig(whole("four five", usage=None))
    reply = await made.call(chat())
    assert header(reply, "x-tollkeeper-usage-basis") == "estimated"
    (attempt,) = made.record.attempts
    # "user one two three", and three tokens for each message and for the answer's beginning
    assert (attempt.usage, attempt.usage_basis, attempt.tokenizer) == (
        Usage(input=4 + 6, output=2),
        Basis.ESTIMATED,
        "words",
    )
    assert made.tokenizer.asked == [(("user\none two three", "four five"), "m")]


@pytest.mark.anyio
async def test_zero_output_where_text_was_delivered_is_not_believed() -> None:
    """Known faults 5, 6."""
    made = rig(whole("four five six", usage={"prompt_tokens": 9, "completion_tokens": 0}))
    await made.call(chat())
    (attempt,) = made.record.attempts
    assert (attempt.usage, attempt.usage_basis) == (Usage(input=9, output=3), Basis.ESTIMATED)


@pytest.mark.anyio
async def test_zero_output_without_text_is_believed() -> None:
    made = rig(whole("", usage={"prompt_tokens": 9, "completion_tokens": 0}))
    await made.call(chat())
    assert made.record.attempts[0].usage_basis is Basis.PROVIDER


@pytest.mark.anyio
async def test_usage_of_one_choice_of_two_is_not_the_whole() -> None:
    """llama.cpp with `n` of 2: two choices of text, the usage of one."""
    answer = {
        "choices": [{"message": {"content": "a b c"}}, {"message": {"content": " d e"}}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3},
        "timings": {"predicted_n": 3},
    }
    made = rig(ScriptedAnswer(pieces=[json.dumps(answer).encode()]))
    await made.call(chat(n=2))
    (attempt,) = made.record.attempts
    assert (attempt.usage.output, attempt.usage_basis) == (5, Basis.ESTIMATED)


@pytest.mark.anyio
async def test_unknown_prices_are_unknown_not_zero() -> None:
    """Known faults 13, 23: unknown is null; free is free."""
    made = rig(whole())
    reply = await made.call(chat("b/unpriced"))
    assert header(reply, "x-tollkeeper-cost-usd") is None
    assert (made.record.cost_nano, made.record.cost_at_least_nano) == (None, 0)
    free = rig(whole())
    reply = await free.call(chat("b/free"))
    assert header(reply, "x-tollkeeper-cost-usd") == "0.000000000"
    assert free.record.cost_nano == 0


@pytest.mark.anyio
async def test_a_bucket_without_a_price_makes_the_cost_unknown_never_cheaper() -> None:
    """Known fault 18."""
    usage = {**USAGE, "prompt_tokens_details": {"cached_tokens": 400}}
    made = rig(whole(usage=usage))
    await made.call(chat())
    assert (made.record.cost_nano, made.record.cost_at_least_nano) == (None, 1_200_000 + 1_000_000)


@pytest.mark.anyio
async def test_a_billed_quantity_without_a_bucket_makes_the_cost_unknown() -> None:
    made = rig(whole(usage={**USAGE, "prompt_audio_seconds": 7}))
    await made.call(chat())
    assert (made.record.cost_nano, made.record.cost_at_least_nano) == (None, COST)
    assert "audio_seconds" in (made.record.attempts[0].unpriced_because or "")


@pytest.mark.anyio
async def test_another_served_tier_is_not_priced_as_the_default() -> None:
    """Known fault 20."""
    made = rig(whole(service_tier="priority"))
    await made.call(chat())
    assert made.record.cost_nano is None


class Tiered:
    """A map with one price that depends on tier and hour."""

    version = "tiered"

    def find(self, kind: str, model: str) -> Price | None:
        night = OffPeak((Window(8 * 60, 9 * 60),), {"input": Decimal("1e-6")}) if model == "night" else None
        flex = {} if night else {"flex": Tariff({"input": Decimal("5e-7"), "output": Decimal("1e-6")})}
        return Price("tiered", {"input": Decimal("2e-6"), "output": Decimal("1e-5")}, tiers=flex, off_peak=night)

    def models(self, kind: str) -> tuple[str, ...]:
        return ("m",)

    def facts(self, kind: str, model: str) -> ModelFacts:
        return NO_FACTS


def tiered_rig(*answers: ScriptedAnswer) -> Rig:
    return rig(*answers, prices=PriceBook(Tiered(), [FilePrice("a/*", like="openai")]))


@pytest.mark.anyio
async def test_the_tier_that_was_served_is_billed_and_remembered() -> None:
    """Known fault 20: what the answer says was served decides, not what was asked for."""
    made = tiered_rig(whole(service_tier="flex"))
    await made.call(chat(service_tier="priority"))
    (attempt,) = made.record.attempts
    assert attempt.cost_nano == 1000 * 500 + 100 * 1000
    assert json.loads(attempt.price_conditions or "") == {"service_tier": "flex"}
    plain = tiered_rig(whole(service_tier="default"))
    await plain.call(chat(service_tier="flex"))
    assert (plain.record.cost_nano, plain.record.attempts[0].price_conditions) == (COST, None)


@pytest.mark.anyio
async def test_silence_about_the_tier_is_no_answer_where_another_was_asked_for() -> None:
    made = tiered_rig(whole())
    await made.call(chat(service_tier="flex"))
    (attempt,) = made.record.attempts
    assert attempt.cost_nano is None
    assert attempt.unpriced_because == "the answer does not say whether the service tier flex was served"
    assert json.loads(attempt.price_conditions or "") == {"asked_tier": "flex"}
    auto = tiered_rig(whole())
    await auto.call(chat(service_tier="auto"))
    assert auto.record.cost_nano == COST


@pytest.mark.anyio
async def test_the_hour_decides_by_the_end_of_the_attempt() -> None:
    made = tiered_rig(whole())  # the tests' clock stands at 08:00
    await made.call(chat("a/night"))
    assert made.record.cost_nano == 1000 * 1000 + 100 * 10_000
    later = tiered_rig(whole())
    later.clock.forward(3600)
    await later.call(chat("a/night"))
    assert later.record.cost_nano == COST


@pytest.mark.anyio
async def test_the_provider_s_own_cost_is_kept_beside_ours() -> None:
    made = rig(whole(usage={**USAGE, "cost": 0.0029}))
    await made.call(chat())
    (attempt,) = made.record.attempts
    assert (attempt.cost_nano, attempt.provider_cost_nano) == (COST, 2_900_000)


@pytest.mark.anyio
async def test_an_attempt_that_may_have_been_billed_is_estimated_by_its_prompt() -> None:
    made = rig(UpstreamFault("broke", uncertain=True))
    await made.call(chat())
    (attempt,) = made.record.attempts
    assert (attempt.usage.input, attempt.usage.output, attempt.cost_nano) == (10, None, 20_000)


@pytest.mark.anyio
async def test_every_call_is_synced_before_its_last_byte() -> None:
    made = rig(whole())
    await made.call(chat())
    assert made.journal.syncs == 1


class Clumsy:
    """An observer that breaks its word."""

    def call_ended(self, record: CallRecord) -> None:
        raise RuntimeError("clumsy")


@pytest.mark.anyio
async def test_an_observer_that_raises_spoils_no_call() -> None:
    made = rig(whole())
    made.settle = Settle(
        made.journal, made.tokenizer, [Clumsy()], made.clock, made.crashes.append, made.escrow, made.rates
    )
    made.pipeline.relay = Relay(made.settle, made.clock, 1000, made.escrow, made.pipeline.pace)
    made.pipeline.forward = Forward(made.upstream, made.pipeline.hold, made.settle, Retries())
    assert (await made.call(chat())).status == 200
    assert [str(crash) for crash in made.crashes] == ["clumsy"]
    assert len(made.journal.records) == 1


class BrokenTokenizer(WordTokenizer):
    """Breaks its word never to fail."""

    async def count(self, texts: Sequence[str], model: str) -> Count:
        raise RuntimeError("no count")


class BrokenWindow:
    """Hours that nobody can tell. (No kind of `Window`: from compiled classes none can be derived.)"""

    def holds(self, weekday: int, minute: int) -> bool:
        raise RuntimeError("no hour")


class BrokenPrices(Tiered):
    """A price that fails when it is asked for."""

    def find(self, kind: str, model: str) -> Price | None:
        rates = {"input": Decimal("2e-6"), "output": Decimal("1e-5")}
        return Price("broken", rates, off_peak=OffPeak((cast(Window, BrokenWindow()),), rates))


@pytest.mark.anyio
async def test_a_count_that_fails_leaves_the_usage_unknown() -> None:
    """Known faults 5, 13: unknown, not zero; and the call has its row."""
    made = rig(whole(usage=None), tokenizer=BrokenTokenizer())
    reply = await made.call(chat())
    assert (reply.status, header(reply, "x-tollkeeper-cost-usd")) == (200, None)
    (attempt,) = made.record.attempts
    assert (attempt.usage, attempt.usage_basis, attempt.cost_nano) == (NOTHING_KNOWN, Basis.NONE, None)
    assert [str(crash) for crash in made.crashes] == ["no count"]


@pytest.mark.anyio
async def test_a_price_that_fails_leaves_the_cost_unknown() -> None:
    """Known fault 23: its tokens are known and shown, its cost is neither zero nor the end of the call."""
    made = rig(whole(), prices=PriceBook(BrokenPrices(), [FilePrice("a/*", like="openai")]))
    assert (await made.call(chat())).status == 200
    (attempt,) = made.record.attempts
    assert (attempt.usage, attempt.usage_basis) == (Usage(input=1000, output=100), Basis.PROVIDER)
    assert (attempt.cost_nano, attempt.unpriced_because) == (None, "the gateway failed at its cost")
    assert len(made.crashes) == 1


async def fails() -> None:
    raise RuntimeError("unforeseen")


@pytest.mark.anyio
async def test_background_work_that_fails_leaves_a_row_all_the_same() -> None:
    """Known faults 52, 59: no call waits for the next start to get its row."""
    made = rig()
    arrival = made.arrival(chat())
    ticket = made.pipeline.hold.call(arrival, made.authenticate(arrival.headers, arrival.peer))
    made.pipeline.hold.attempt(ticket, Target(A, "m"))
    made.settle.in_background(ticket, End.CUT_BY_CLIENT, "left", fails())
    await made.settle.finish()
    assert (made.record.end, made.record.error) == ("cut_by_client", "left")
    (attempt,) = made.record.attempts
    assert (attempt.usage, attempt.usage_basis, attempt.cost_nano) == (NOTHING_KNOWN, Basis.NONE, None)
    assert [str(crash) for crash in made.crashes] == ["unforeseen"]
    made.settle.in_background(ticket, End.CUT_BY_CLIENT, "left", fails())
    await made.settle.finish()
    assert len(made.journal.records) == 1, "settled once"
