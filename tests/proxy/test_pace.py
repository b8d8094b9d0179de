"""Rates are kept, told in OpenAI's words by the counter that refuses, and what was taken ends with its call."""

import json
from typing import Any

import pytest

from gateway.core.accounts import Account
from gateway.core.calls import End
from gateway.core.limits import MINUTE_US, Limit
from gateway.core.scopes import ANY, scope_of
from tests.proxy.rig import USAGE, Rig, chat, error, event, header, read, rig, stream, whole

pytestmark = pytest.mark.anyio


def paced(*answers: Any, **limits: Any) -> Rig:
    return rig(*answers, limits=[Limit("lim", scope_of([("key", ANY)]), **limits)])


def account(made: Rig, unit: str) -> Account:
    now = made.clock.now_us()
    return Account(f"{unit}:lim", "key=ci", 0 if unit == "in_flight" else now - now % MINUTE_US)


async def test_requests_are_counted_and_told() -> None:
    made = paced(whole(), whole(), rpm=2)
    first, second, third = [await made.call(chat()) for _ in range(3)]
    assert [first.status, second.status, third.status] == [200, 200, 429]
    told = [[header(reply, f"x-ratelimit-{it}-requests") for it in ("limit", "remaining")] for reply in (first, third)]
    assert told == [["2", "1"], ["2", "0"]]
    assert header(third, "x-should-retry") == "true"
    assert 0 < float(header(third, "retry-after") or 0) <= 60
    said = json.loads(third.body)["error"]
    assert said["code"] == "rate_limit_exceeded"
    assert "the limit lim of key=ci is reached: 2 requests a minute, 0 left" in said["message"]
    assert made.journal.records[-1].end is End.REFUSED


async def test_a_new_minute_begins_anew() -> None:
    made = paced(whole(), whole(), rpm=1)
    assert (await made.call(chat())).status == 200
    assert (await made.call(chat())).status == 429
    made.clock.forward(60)
    assert (await made.call(chat())).status == 200


async def test_tokens_are_reserved_by_an_estimate_and_settled_by_usage() -> None:
    made = paced(whole(), tpm=5000)
    reply = await made.call(chat(max_tokens=300))
    used = USAGE["prompt_tokens"] + USAGE["completion_tokens"]
    assert made.rates.spent[account(made, "tpm")] == used
    assert header(reply, "x-ratelimit-remaining-tokens") == str(5000 - used)
    made.rates.spent[account(made, "tpm")] = 4900
    assert (await made.call(chat(max_tokens=300))).status == 429


async def test_a_call_longer_than_its_limit_can_be_made_when_nobody_else_calls() -> None:
    made = paced(whole(), tpm=100)
    assert (await made.call(chat(max_tokens=3000))).status == 200


async def test_a_call_that_reached_nobody_used_no_tokens_but_was_a_request() -> None:
    made = paced(error(500), rpm=5, tpm=5000)
    await made.call(chat(max_tokens=300))
    assert made.rates.spent[account(made, "tpm")] == 0
    assert made.rates.spent[account(made, "rpm")] == 1


async def test_calls_in_flight_end_with_their_last_byte() -> None:
    made = paced(stream(event("four"), event(finish="stop")), whole(), in_flight=1)
    open_one = await made.call(chat(stream=True))
    refused = await made.call(chat())
    assert (refused.status, header(refused, "retry-after")) == (429, "1")
    assert "1 calls at once" in json.loads(refused.body)["error"]["message"]
    await read(open_one)
    assert (await made.call(chat())).status == 200
    assert made.rates.held[account(made, "in_flight")] == 0


async def test_a_refused_call_keeps_no_place() -> None:
    """What was taken before the refusal comes back."""
    made = paced(whole(), rpm=10, in_flight=1, tpm=10**6)
    made.rates.elsewhere[account(made, "in_flight")] = 1
    assert (await made.call(chat())).status == 429
    assert set(made.rates.held.values()) == {0}
    assert made.rates.spent[account(made, "tpm")] == 0


async def test_limits_of_the_provider_stand_aside() -> None:
    answer = whole()
    answer.headers += [("x-ratelimit-limit-requests", "9"), ("x-ratelimit-remaining-tokens", "8")]
    reply = await paced(answer, rpm=2).call(chat())
    values = [value for name, value in reply.headers if name == "x-ratelimit-limit-requests"]
    assert values == ["2"]
    assert header(reply, "x-upstream-ratelimit-limit-requests") == "9"


async def test_without_limits_the_provider_s_pass() -> None:
    answer = whole()
    answer.headers += [("x-ratelimit-limit-requests", "9")]
    reply = await rig(answer).call(chat())
    assert header(reply, "x-ratelimit-limit-requests") == "9"
