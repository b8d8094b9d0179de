"""A key's own limit and budget are made, renamed and ended with it, in one transaction."""

from dataclasses import replace

import pytest

from gateway.core.budgets import Budget
from gateway.core.errors import Fault, Kind
from gateway.core.keys import Key
from gateway.core.limits import Limit
from gateway.core.scopes import of_key
from gateway.core.windows import Window
from gateway.storage.budgets import BudgetRepository
from gateway.storage.engine import Database
from gateway.storage.key_terms import NO_TERMS, OwnTerms
from gateway.storage.keys import KeyRepository
from gateway.storage.limits import LimitRepository

pytestmark = pytest.mark.anyio

KEY = Key("key-1", "ci", "tk-abc", "digest", 1)
LIMIT = Limit("key:ci", of_key("ci"), rpm=5)
BUDGET = Budget("key:ci", 7, Window.MONTH, scope=of_key("ci"), since_us=1)


async def test_they_come_and_go_with_the_key(db: Database) -> None:
    keys, limits, budgets = KeyRepository(db), LimitRepository(db), BudgetRepository(db)
    await keys.add(KEY, "cli", OwnTerms(LIMIT, BUDGET))
    assert await keys.terms([KEY]) == {"key-1": OwnTerms(LIMIT, BUDGET)}
    await keys.update("ci", {}, "cli", {"tpm": 9})
    assert (await limits.all(), await budgets.all()) == ([replace(LIMIT, tpm=9)], [BUDGET])
    revoked = await keys.revoke("ci", 2, "cli")
    assert (await limits.all(), await budgets.all()) == ([], [])
    again = replace(KEY, id="key-2", digest="other")
    await keys.add(again, "cli", OwnTerms(LIMIT))
    assert await keys.terms([revoked, again]) == {"key-1": NO_TERMS, "key-2": OwnTerms(LIMIT)}


async def test_what_cannot_be_stored_whole_is_not_stored(db: Database) -> None:
    keys = KeyRepository(db)
    await LimitRepository(db).add(LIMIT, "cli")
    with pytest.raises(Fault) as raised:
        await keys.add(KEY, "cli", OwnTerms(LIMIT, BUDGET))
    assert raised.value.kind is Kind.CONFLICT
    assert (await keys.all(), await BudgetRepository(db).all()) == ([], [])


async def test_a_limit_follows_a_new_name_and_a_budget_forbids_it(db: Database) -> None:
    keys, limits = KeyRepository(db), LimitRepository(db)
    await keys.add(KEY, "cli", OwnTerms(LIMIT))
    await keys.update("ci", {"name": "cd"}, "cli", {"in_flight": 2})
    assert await limits.all() == [Limit("key:cd", of_key("cd"), 5, None, 2)]
    await BudgetRepository(db).add(replace(BUDGET, name="key:cd", scope=of_key("cd")), "cli")
    with pytest.raises(Fault) as raised:
        await keys.update("cd", {"name": "ci"}, "cli", {"rpm": None})
    assert (raised.value.kind, raised.value.param) == (Kind.CONFLICT, "name")
    assert await limits.all() == [Limit("key:cd", of_key("cd"), 5, None, 2)]


async def test_any_number_of_keys_can_be_looked_up(db: Database) -> None:
    keys = KeyRepository(db)
    await keys.add(KEY, "cli", OwnTerms(LIMIT))
    many = [replace(KEY, id=f"id-{number}", name=f"k{number}") for number in range(70_000)]
    found = await keys.terms([*many, KEY])
    assert (len(found), found["id-7"], found["key-1"]) == (70_001, NO_TERMS, OwnTerms(LIMIT))
