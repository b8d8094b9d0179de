"""Nothing goes upstream before the journal knows of it."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest

from gateway.core.accounts import MOST, Account
from gateway.core.budgets import Budget, Mode
from gateway.core.calls import End
from gateway.core.errors import Fault, UpstreamFault
from gateway.core.keys import KEYLESS, Key, digest
from gateway.core.pricing import FilePrice, Price, PriceBook, StoredPrice
from gateway.core.routing import Provider, Quirks, Retries, Target
from gateway.core.scopes import EVERYTHING, scope_of
from gateway.core.usage import Basis
from gateway.core.windows import Window
from gateway.proxy.call import Admitted
from tests.fakes.journal import MemoryJournal
from tests.proxy.rig import (
    COST,
    DONE,
    SECRET,
    A,
    B,
    NoMap,
    alias,
    chat,
    error,
    event,
    header,
    read,
    rig,
    stream,
    unbudgeted,
    whole,
)
from tests.proxy.test_quote import OneModel


async def test_the_opening_frame_is_written_before_the_upstream_is_asked() -> None:
    made = rig(whole())
    await made.call(chat())
    (opened,) = made.journal.openings
    assert (opened.call.model, opened.call.key, opened.target, opened.provider) == ("a/m", "ci", "a/m", "a")
    assert (opened.hold_nano, opened.input_usd_per_million) == (0, "2")
    assert opened.estimated_input == len(chat()) // 4
    assert (opened.price_book or "").startswith("file sha256:")


async def test_what_has_no_price_is_opened_without_one() -> None:
    journal = MemoryJournal()
    hold = unbudgeted(journal)
    ticket = hold.call(rig().arrival(b""), Admitted(KEYLESS))
    attempt = hold.attempt(ticket, Target(B, "unpriced"))
    assert (attempt.price, attempt.opened.price_book, attempt.opened.input_usd_per_million) == (None, None, None)
    assert ticket.open is attempt


async def test_prices_are_looked_up_once_for_a_target() -> None:
    hold = unbudgeted(MemoryJournal())
    made = rig()
    for _ in range(3):
        ticket = hold.call(made.arrival(b""), Admitted(KEYLESS))
        first, second = hold.attempt(ticket, Target(A, "m")), hold.attempt(ticket, Target(A, "m"))
        assert first.price is second.price


def test_a_full_journal_refuses() -> None:
    made = rig()
    with pytest.raises(Fault, match="no room"):
        unbudgeted(MemoryJournal(room=0)).call(made.arrival(b""), Admitted(KEYLESS))


async def test_a_changed_book_is_looked_up_again() -> None:
    """And only then: what was found for a target is remembered."""
    book = PriceBook(NoMap())
    hold = unbudgeted(MemoryJournal(), book)
    free = FilePrice("b/m", free=True)

    async def price_of_an_attempt() -> Price | None:
        return (hold.attempt(hold.call(rig().arrival(b""), Admitted(KEYLESS)), Target(B, "m"))).price

    assert await price_of_an_attempt() is None
    book.put_in_force(NoMap(), [StoredPrice(1, "b/m", free, 0, 0, "cli")])
    found = await price_of_an_attempt()
    assert found is not None
    assert found.free
    assert await price_of_an_attempt() is found
    book.put_in_force(NoMap(), [])
    assert await price_of_an_attempt() is None


# --- money ----------------------------------------------------------------------------------------------------------

USD = 10**9
pytestmark = pytest.mark.anyio


def budget(nano: int = USD, name: str = "all", **more: Any) -> Budget:
    return Budget(name, nano, Window.LIFETIME, **more)


def counted(name: str = "all", subject: str = EVERYTHING) -> Account:
    return Account(name, subject, 0)


async def test_what_a_call_can_cost_is_held_and_what_it_costs_is_charged() -> None:
    made = rig(whole(), budgets=[budget()])
    reply = await made.call(chat(max_tokens=1000))
    (opened,) = made.journal.openings
    assert opened.held_in == (counted(),)
    assert opened.hold_nano > 1000 * 10_000
    assert (made.escrow.held[counted()], made.escrow.spent[counted()]) == (0, COST)
    assert header(reply, "x-tollkeeper-budget-remaining-usd") == "0.997000000"
    assert (made.record.held_nano, made.record.reserve_nano, made.record.accounts) == (
        opened.hold_nano,
        0,
        (counted(),),
    )


async def test_all_budgets_or_none() -> None:
    made = rig(whole(), budgets=[budget(), budget(1, "small")])
    reply = await made.call(chat(max_tokens=1000))
    assert (reply.status, header(reply, "x-should-retry")) == (429, "false")
    assert json.loads(reply.body)["error"]["code"] == "insufficient_quota"
    assert "the budget small is spent" in json.loads(reply.body)["error"]["message"]
    assert made.escrow.held == {counted(): 0, counted("small"): 0}
    assert (made.record.end, made.record.attempts) == (End.REFUSED, ())
    assert made.upstream.asked == []


async def test_a_soft_budget_counts_and_holds_nothing() -> None:
    made = rig(whole(), budgets=[budget(1, mode=Mode.SOFT)])
    assert (await made.call(chat())).status == 200
    (opened,) = made.journal.openings
    assert (opened.held_in, opened.seen_by, opened.hold_nano) == ((), (counted(),), 0)
    (attempt,) = made.record.attempts
    assert (attempt.held_in, attempt.seen_by) == ((), (0,))
    assert made.escrow.held == {}


async def test_money_that_is_spent_lowers_the_limit() -> None:
    made = rig(whole(), budgets=[budget(6_000_000)])
    reply = await made.call(chat(max_tokens=1000))
    assert reply.status == 200
    lowered = int(header(reply, "x-tollkeeper-max-tokens") or 0)
    assert 128 <= lowered < 1000
    (request,) = made.upstream.asked
    assert json.loads(b"".join(request.body))["max_tokens"] == lowered
    assert made.record.limit_lowered_to == lowered
    (opened,) = made.journal.openings
    assert opened.hold_nano <= 6_000_000 < opened.hold_nano + 10_000


async def test_a_request_without_a_limit_gets_one() -> None:
    home = Provider("a", "openai", at_home=True, quirks=Quirks(limits_completion=True))
    prices = PriceBook(OneModel())
    made = rig(whole(), budgets=[budget(3_000_000)], prices=prices, aliases=alias("x", (home, "m")))
    reply = await made.call(chat("x"))
    (request,) = made.upstream.asked
    assert json.loads(b"".join(request.body))["max_completion_tokens"] == made.record.limit_lowered_to
    assert reply.status == 200


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "it offers tools"),
        ({"response_format": {"type": "json_object"}}, "it asks for JSON"),
        ({"reasoning_effort": "low"}, "it asks for reasoning"),
        ({"max_tokens": 100}, ""),
    ],
)
async def test_what_cannot_be_shorter_is_refused(more: dict[str, Any], why: str) -> None:
    made = rig(budgets=[budget(1_000_000)])
    reply = await made.call(chat(**{"max_tokens": 1000, **more}))
    assert reply.status == 429
    assert why in json.loads(reply.body)["error"]["message"]
    assert made.record.limit_lowered_to is None


async def test_money_that_others_hold_is_worth_another_try() -> None:
    made = rig(budgets=[budget()])
    made.escrow.elsewhere[counted()] = USD
    reply = await made.call(chat(max_tokens=1000))
    assert (reply.status, header(reply, "x-should-retry"), header(reply, "retry-after")) == (429, "true", "1")
    assert json.loads(reply.body)["error"]["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize(("allowed", "status"), [(False, 403), (True, 200)])
async def test_what_has_no_price_is_refused_unless_the_budget_allows_it(allowed: bool, status: int) -> None:
    made = rig(whole(), budgets=[budget(unpriced_allowed=allowed)])
    reply = await made.call(chat("b/unpriced", max_tokens=5))
    assert reply.status == status
    assert not allowed or made.escrow.held == {counted(): 0}


async def test_a_further_attempt_holds_anew_and_what_was_billed_stays() -> None:
    made = rig(
        UpstreamFault("broke", uncertain=True),
        whole(),
        aliases=alias("x", (A, "m"), (A, "n")),
        budgets=[budget()],
        retries=Retries(retry_uncertain=True),
    )
    assert (await made.call(chat("x", max_tokens=100))).status == 200
    first, second = made.record.attempts
    assert first.reserve_nano == first.hold_nano - (first.cost_nano or 0) > 0
    assert (second.cost_nano, second.reserve_nano) == (COST, 0)
    assert made.escrow.held[counted()] == 0
    assert made.escrow.spent[counted()] == first.hold_nano + COST


async def test_without_money_for_another_attempt_the_last_failure_is_the_answer() -> None:
    made = rig(
        error(500, "down"),
        whole(),
        aliases=alias("x", (A, "m"), (B, "free")),
        budgets=[budget(), budget(1, "b", scope=scope_of([("provider", "b")]), unpriced_allowed=True)],
    )
    made.escrow.elsewhere[counted("b")] = 2
    reply = await made.call(chat("x", max_tokens=100))
    assert reply.status == 500
    assert made.escrow.held[counted()] == 0


async def test_a_budget_of_a_provider_binds_the_attempts_at_it() -> None:
    made = rig(
        error(500, "down"),
        whole(),
        aliases=alias("x", (B, "free"), (A, "m")),
        budgets=[budget(name="b", scope=scope_of([("provider", "a")]))],
    )
    assert (await made.call(chat("x", max_tokens=1000))).status == 200
    first, second = made.journal.openings
    assert (first.held_in, second.held_in) == ((), (counted("b"),))
    assert made.escrow.spent == {counted("b"): COST}


async def test_a_cut_stream_is_charged_all_that_it_can_have_cost() -> None:
    made = rig(stream(event("four"), event("five"), UpstreamFault("broke", uncertain=True)), budgets=[budget()])
    await read(await made.call(chat(stream=True, max_tokens=100)))
    (attempt,) = made.record.attempts
    assert (attempt.usage_basis, made.record.end) == (Basis.ESTIMATED, End.CUT_BY_UPSTREAM)
    assert attempt.cost_nano is not None
    assert attempt.cost_nano + attempt.reserve_nano == attempt.hold_nano == made.escrow.spent[counted()]


async def test_a_stream_far_beyond_its_limit_is_cut() -> None:
    made = rig(stream(*(event("word ") for _ in range(1000)), DONE), budgets=[budget()])
    body = await read(await made.call(chat(stream=True, max_tokens=100)))
    assert made.record.end is End.CUT_BY_BUDGET
    assert body.count(b"word") < 250
    assert b"insufficient_quota" in body
    assert b"[DONE]" not in body
    assert made.escrow.held[counted()] == 0


async def test_a_stream_of_its_limit_is_not() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 100}
    events = [event("word ") for _ in range(100)]
    made = rig(stream(*events, event(finish="length"), event(usage=usage), DONE), budgets=[budget()])
    assert (await read(await made.call(chat(stream=True, max_tokens=100)))).endswith(DONE)
    assert made.record.end is End.COMPLETED


async def test_stated_usage_beyond_the_hold_cuts() -> None:
    """Of a provider that states it with every event."""
    chunk = {"index": 0, "delta": {"content": "w"}, "finish_reason": None}
    said = [{"choices": [chunk], "usage": {"prompt_tokens": 10, "completion_tokens": 60 * n}} for n in range(1, 20)]
    events = [b"data: " + json.dumps(one).encode() + b"\n\n" for one in said]
    made = rig(stream(*events, DONE), budgets=[budget()])
    body = await read(await made.call(chat(stream=True, max_tokens=100)))
    assert made.record.end is End.CUT_BY_BUDGET
    assert body.count(b'"w"') < 8


async def test_a_call_may_state_its_own_cap() -> None:
    made = rig(whole(), whole())
    reply = await made.call(chat(max_tokens=1000), {"x-tollkeeper-max-cost-usd": "0.001"})
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (400, "max_cost_exceeded")
    assert (await made.call(chat(max_tokens=1000), {"x-tollkeeper-max-cost-usd": "0.1"})).status == 200


@pytest.mark.parametrize("own", ["0.1", "0.0001", None])
async def test_a_key_caps_its_calls_and_they_may_cap_themselves_lower(own: str | None) -> None:
    capped = Key("k1", "ci", "tk-sec", digest(SECRET), 0, max_cost_nano=1_000_000)
    made = rig(whole(), whole(), key=capped)
    headers = {} if own is None else {"x-tollkeeper-max-cost-usd": own}
    reply = await made.call(chat(max_tokens=1000), headers)
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (400, "max_cost_exceeded")
    assert (await made.call(chat(max_tokens=10), {"x-tollkeeper-max-cost-usd": "0.1"})).status == 200
    assert (await made.call(chat(max_tokens=10), {"x-tollkeeper-max-cost-usd": "0.000001"})).status == 400


@pytest.mark.parametrize("cap", ["much", "-1", "nan", "1e400", ""])
async def test_a_cap_that_is_none_is_told(cap: str) -> None:
    made = rig(whole())
    reply = await made.call(chat(max_tokens=1), {"x-tollkeeper-max-cost-usd": cap})
    assert reply.status == (200 if cap == "1e400" else 400)


async def test_more_budgets_than_a_row_can_tell_are_refused() -> None:
    made = rig(whole(), budgets=[budget(name=f"b{number}") for number in range(MOST + 1)])
    reply = await made.call(chat(max_tokens=5))
    assert reply.status == 503
    assert all(held == 0 for held in made.escrow.held.values())


async def test_whoever_is_cancelled_while_it_waits_leaves_nothing_held() -> None:
    made = rig(whole(), budgets=[budget()])
    task = asyncio.ensure_future(made.call(chat(max_tokens=5)))
    await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await made.settle.finish()
    assert all(held == 0 for held in made.escrow.held.values())
    assert len(made.journal.records) == 1
