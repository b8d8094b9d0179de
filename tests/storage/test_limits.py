"""Limits in SQL: what can be done to one, that every change is told, and that the index follows."""

import pytest

from gateway.core.calls import CallFacts
from gateway.core.errors import Fault, Kind
from gateway.core.limits import Limit
from gateway.core.scopes import scope_of
from gateway.storage.audit import AuditLog
from gateway.storage.engine import Database
from gateway.storage.limits import LimitRepository, LimitStore

pytestmark = pytest.mark.anyio

NOW = 1_793_433_600_000_000
LIMIT = Limit("search", scope_of([("team", "search"), ("tag", "env=prod"), ("key", "*")]), 10, 10**12, None)


@pytest.fixture
def limits(db: Database) -> LimitRepository:
    return LimitRepository(db, lambda: NOW)


async def test_a_limit_comes_back_as_it_was_and_changes(db: Database, limits: LimitRepository) -> None:
    await limits.add(LIMIT, "cli")
    await limits.add(Limit("other", in_flight=1), "cli")
    assert await limits.all() == [LIMIT, Limit("other", in_flight=1)]
    assert [one.name for one in (await limits.page()).items] == ["other", "search"]
    changed = await limits.update("search", {"rpm": None, "in_flight": 3}, "admin")
    assert changed == Limit("search", LIMIT.scope, None, 10**12, 3)
    assert await limits.get("search") == changed
    entry = (await AuditLog(db).page()).items[0]
    assert (entry.actor, entry.action, entry.subject) == ("admin", "limit.update", "search")
    assert entry.details == {"rpm": None, "in_flight": 3}
    assert await limits.remove("search", "admin") == changed
    assert await limits.get("search") is None


async def test_what_cannot_be_is_refused(limits: LimitRepository) -> None:
    await limits.add(LIMIT, "cli")
    for attempt, kind in (
        (limits.add(Limit("search", rpm=1), "cli"), Kind.CONFLICT),
        (limits.update("search", {"scope": None}, "cli"), Kind.INVALID),
        (limits.update("search", {"rpm": None, "tpm": None}, "cli"), Kind.INVALID),
        (limits.update("none", {"rpm": 1}, "cli"), Kind.NOT_FOUND),
        (limits.remove("none", "cli"), Kind.NOT_FOUND),
    ):
        with pytest.raises(Fault) as raised:
            await attempt
        assert raised.value.kind is kind
    assert await limits.all() == [LIMIT]


async def test_the_index_follows_every_change_and_the_files_hold(limits: LimitRepository) -> None:
    store = LimitStore(limits, [Limit("all", rpm=3, source="file")])
    call = CallFacts("id", NOW, "/v1/chat/completions")
    await limits.add(Limit("all", rpm=9), "cli")
    await limits.add(Limit("more", tpm=1), "cli")
    assert await store.refresh()
    assert [(rate.limit.name, rate.most) for rate in store.limits.binding(call)] == [("all", 3), ("more", 1)]
    assert not await store.refresh()
    await limits.remove("more", "cli")
    assert await store.refresh()
    assert [one.name for one in store.limits.all] == ["all"]
