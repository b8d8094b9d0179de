"""A spent budget refuses every call of its scope, by whatever endpoint and with however presented a key: all of them.

Known fault 33: spending went on for certain ways in. The matrix is generated, so that no way is forgotten.
"""

import json
from dataclasses import replace
from itertools import product

import pytest

from gateway.core.accounts import Account
from gateway.core.budgets import Budget
from gateway.core.calls import End
from gateway.core.keys import Key, digest
from gateway.core.limits import Limit
from gateway.core.scopes import ANY, OF_CALL, OF_TARGET, scope_of
from gateway.core.windows import Window
from gateway.proxy.relay import Reply
from gateway.wire.openai import Endpoint
from tests.proxy.rig import SECRET, Rig, rig

pytestmark = pytest.mark.anyio

VALUES = {"key": "ci", "team": "platform", "model": "a/m", "session": "s1", "end_user": "u1"}
VALUES |= {"target": "a/m", "provider": "a", "tag": "env=prod"}
SCOPES = [[], *([(one, VALUES[one])] for one in (*OF_CALL, *OF_TARGET, "tag"))]
SCOPES += [[(one, f"env={ANY}" if one == "tag" else ANY)] for one in VALUES] + [[("key", "ci"), ("tag", "env=prod")]]
KEY = Key("k1", "ci", "tk-sec", digest(SECRET), 0, team="platform", labels={"env": "prod"})
WAYS = {
    "bearer": ("authorization", f"Bearer {SECRET}"),
    "azure": ("api-key", SECRET),
    "anthropic": ("x-api-key", SECRET),
}


async def ask(made: Rig, endpoint: Endpoint, way: str) -> Reply:
    messages = [{"role": "user", "content": "one"}]
    asked = {"model": "a/m", "user": "u1", "max_tokens": 5, "input": "one", "prompt": "one", "messages": messages}
    name, secret = WAYS[way]
    arrival = made.arrival(json.dumps(asked).encode(), endpoint=endpoint)
    fields = {"host": "localhost", name: secret, "x-tollkeeper-session": "s1"}
    return await made.pipeline(replace(arrival, headers=fields))


def subject(scope: list[tuple[str, str]]) -> str:
    if not any(ANY in fixed for _, fixed in scope):
        return "everything"
    ((dimension, _),) = scope
    return "tag:env=prod" if dimension == "tag" else f"{dimension}={VALUES[dimension]}"


@pytest.mark.parametrize(("scope", "endpoint", "way"), list(product(SCOPES, Endpoint, WAYS)), ids=str)
async def test_a_spent_budget_refuses(scope: list[tuple[str, str]], endpoint: Endpoint, way: str) -> None:
    made = rig(budgets=[Budget("spent", 1, Window.MONTH, scope=scope_of(scope))], key=KEY)
    reply = await ask(made, endpoint, way)
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (429, "insufficient_quota")
    assert made.record.end is End.REFUSED
    assert made.upstream.asked == []


@pytest.mark.parametrize("scope", [scope for scope in SCOPES if not scope or scope[0][0] not in OF_TARGET], ids=str)
async def test_a_limit_that_is_reached_refuses(scope: list[tuple[str, str]]) -> None:
    made = rig(limits=[Limit("l", scope_of(scope), in_flight=1)], key=KEY)
    made.rates.elsewhere[Account("in_flight:l", subject(scope), 0)] = 1
    reply = await ask(made, Endpoint.CHAT, "bearer")
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (429, "rate_limit_exceeded")
