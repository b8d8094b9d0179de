"""Keys in SQL: what can be done to one, that every change is told, and that the ring follows."""

import asyncio
from dataclasses import replace

import pytest

from gateway.core.errors import Fault, Kind
from gateway.core.keys import Key, digest
from gateway.storage.audit import AuditLog
from gateway.storage.engine import Database
from gateway.storage.keys import KeyRepository, KeyStore
from tests.databases import Operator, opened

NOW = 1_793_433_600_000_000
KEY = Key(
    id="key-1",
    name="ci",
    prefix="tk-abcd",
    digest=digest("tk-abcdefgh"),
    created_us=NOW,
    team="platform",
    models=("fast", "openai/*"),
    labels={"env": "prod", "grüße": "ß"},
    expires_us=NOW + 1,
    max_cost_nano=50_000_000,
    required_labels=("feature", "session"),
)


@pytest.fixture
def keys(db: Database) -> KeyRepository:
    return KeyRepository(db, lambda: NOW)


def another(number: int) -> Key:
    return replace(KEY, id=f"key-{number}", name=f"name-{number}", digest=digest(f"tk-{number}"))


@pytest.mark.anyio
async def test_a_key_comes_back_as_it_was(keys: KeyRepository) -> None:
    plain = Key("key-2", "plain", "tk-2", digest("tk-2"), NOW)
    await keys.add(KEY, "cli")
    await keys.add(plain, "cli")
    assert await keys.all() == [KEY, plain]
    assert await keys.get("key-1") == await keys.get("ci") == KEY
    assert await keys.get("nobody") is None


@pytest.mark.anyio
async def test_two_keys_in_force_cannot_have_one_name(keys: KeyRepository) -> None:
    await keys.add(KEY, "cli")
    with pytest.raises(Fault) as refusal:
        await keys.add(replace(another(2), name="ci"), "cli")
    assert refusal.value.kind is Kind.CONFLICT
    assert await keys.all() == [KEY]


@pytest.mark.anyio
async def test_the_name_of_a_revoked_key_is_free_again(keys: KeyRepository) -> None:
    await keys.add(KEY, "cli")
    await keys.revoke("ci", NOW, "cli")
    assert (await keys.get("ci")) == replace(KEY, revoked_us=NOW)
    second = replace(another(2), name="ci")
    await keys.add(second, "cli")
    assert await keys.get("ci") == second


@pytest.mark.anyio
async def test_pages_are_newest_first_and_complete(keys: KeyRepository) -> None:
    made = [another(number) for number in range(5)]
    for key in made:
        await keys.add(key, "cli")
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        page = await keys.page(2, cursor)
        seen += page.items
        cursor = page.next
        pages += 1
    assert seen == made[::-1]
    assert pages == 3


@pytest.mark.anyio
@pytest.mark.parametrize("cursor", ["", "x", "1.2", "-1", "1 OR 1=1", "9" * 40, "²"])
async def test_a_foreign_cursor_is_refused(keys: KeyRepository, cursor: str) -> None:
    with pytest.raises(Fault) as refusal:
        await keys.page(2, cursor)
    assert (refusal.value.kind, refusal.value.param) == (Kind.INVALID, "cursor")


@pytest.mark.anyio
async def test_some_fields_can_be_changed(keys: KeyRepository) -> None:
    await keys.add(KEY, "cli")
    changes: dict[str, object] = {"name": "build", "team": None, "models": None, "labels": {}, "expires_us": None}
    changes |= {"max_cost_nano": None, "required_labels": ()}
    changed = await keys.update("ci", changes, "cli")
    plain = replace(KEY, name="build", team=None, models=None, labels={}, expires_us=None)
    assert changed == replace(plain, max_cost_nano=None, required_labels=())
    assert await keys.get("key-1") == changed


@pytest.mark.anyio
async def test_other_fields_cannot(keys: KeyRepository) -> None:
    """Known fault 34: a field that is not stored is an error."""
    await keys.add(KEY, "cli")
    for field in ("digest", "budget", "id"):
        with pytest.raises(Fault) as refusal:
            await keys.update("ci", {field: "x"}, "cli")
        assert (refusal.value.kind, refusal.value.param) == (Kind.INVALID, field)


@pytest.mark.anyio
async def test_a_new_name_must_be_free(keys: KeyRepository) -> None:
    await keys.add(KEY, "cli")
    await keys.add(another(2), "cli")
    with pytest.raises(Fault) as refusal:
        await keys.update("name-2", {"name": "ci"}, "cli")
    assert refusal.value.kind is Kind.CONFLICT
    assert await keys.update("ci", {"name": "ci"}, "cli") == KEY


@pytest.mark.anyio
async def test_a_revoked_key_stays_as_it_is(keys: KeyRepository) -> None:
    await keys.add(KEY, "cli")
    revoked = await keys.revoke("key-1", NOW, "cli")
    assert await keys.revoke("key-1", NOW + 5, "cli") == revoked
    for change in (keys.update("key-1", {"team": "x"}, "cli"), keys.rotate("key-1", "d", "p", None, "cli")):
        with pytest.raises(Fault) as refusal:
            await change
        assert refusal.value.kind is Kind.CONFLICT


@pytest.mark.anyio
async def test_what_is_not_there_cannot_be_changed(keys: KeyRepository) -> None:
    for change in (
        keys.update("nobody", {"team": "x"}, "cli"),
        keys.revoke("nobody", NOW, "cli"),
        keys.rotate("nobody", "d", "p", None, "cli"),
    ):
        with pytest.raises(Fault) as refusal:
            await change
        assert refusal.value.kind is Kind.NOT_FOUND


@pytest.mark.anyio
async def test_a_rotation_with_and_without_grace(keys: KeyRepository) -> None:
    await keys.add(KEY, "cli")
    first = await keys.rotate("ci", digest("tk-1"), "tk-1", NOW + 60, "cli")
    assert (first.digest, first.old_digest, first.old_digest_until_us) == (digest("tk-1"), KEY.digest, NOW + 60)
    second = await keys.rotate("ci", digest("tk-2"), "tk-2", None, "cli")
    assert (second.digest, second.old_digest, second.old_digest_until_us) == (digest("tk-2"), None, None)
    assert await keys.get("ci") == second


@pytest.mark.anyio
async def test_every_change_leaves_an_audit_entry_without_secrets(db: Database, keys: KeyRepository) -> None:
    await keys.add(KEY, "cli")
    await keys.update("ci", {"team": "search"}, "admin")
    await keys.rotate("ci", digest("tk-2"), "tk-2", None, "admin")
    await keys.revoke("ci", NOW, "admin")
    entries = (await AuditLog(db).page()).items[::-1]
    assert [entry.action for entry in entries] == ["key.create", "key.update", "key.rotate", "key.revoke"]
    assert {entry.subject for entry in entries} == {"key-1"}
    assert [entry.actor for entry in entries] == ["cli", "admin", "admin", "admin"]
    assert entries[1].details == {"team": "search"}
    assert KEY.digest not in str(entries)
    assert digest("tk-2") not in str(entries)


@pytest.mark.anyio
async def test_a_refused_change_leaves_no_audit_entry(db: Database, keys: KeyRepository) -> None:
    await keys.add(KEY, "cli")
    revision = await keys.revision()
    with pytest.raises(Fault):
        await keys.add(replace(another(2), name="ci"), "cli")
    assert len((await AuditLog(db).page()).items) == 1
    assert await keys.revision() == revision


@pytest.mark.anyio
async def test_the_revision_grows_with_every_change(keys: KeyRepository) -> None:
    seen = [await keys.revision()]
    await keys.add(KEY, "cli")
    seen.append(await keys.revision())
    await keys.update("ci", {"team": "x"}, "cli")
    seen.append(await keys.revision())
    await keys.revoke("ci", NOW, "cli")
    seen.append(await keys.revision())
    assert seen == sorted(set(seen))


@pytest.mark.anyio
async def test_the_ring_follows_what_another_process_changes(database_url: str) -> None:
    async with opened(database_url) as ours, opened(database_url) as theirs:
        ring = KeyStore(KeyRepository(ours), now_us=lambda: NOW)
        assert await ring.refresh()
        assert not await ring.refresh()
        await KeyRepository(theirs).add(KEY, "cli")
        assert await ring.refresh()
        assert ring.find("tk-abcdefgh") is not None
        await KeyRepository(theirs).revoke("ci", NOW, "cli")
        assert await ring.refresh()
        assert ring.find("tk-abcdefgh") is None


@pytest.mark.anyio
async def test_changes_by_several_processes_are_all_told(database_url: str) -> None:
    """Known fault 54: a count that two read and both write back has lost one."""
    async with opened(database_url) as one, opened(database_url) as two:
        repositories = [KeyRepository(db, lambda: NOW) for db in (one, two)]
        await asyncio.gather(*(repositories[number % 2].add(another(number), "cli") for number in range(12)))
        assert await repositories[0].revision() == 12
        assert len((await AuditLog(two).page(50)).items) == len(await repositories[1].all()) == 12


@pytest.mark.anyio
async def test_the_ring_keeps_what_it_knows_while_the_database_is_away(keys: KeyRepository, sql: Operator) -> None:
    await keys.add(KEY, "cli")
    ring = KeyStore(keys, now_us=lambda: NOW)
    await ring.refresh()
    sql.run("ALTER TABLE revisions RENAME TO gone")
    with pytest.raises(Fault) as refusal:
        await ring.refresh()
    assert refusal.value.kind is Kind.UNAVAILABLE
    assert ring.find("tk-abcdefgh") is not None
    sql.run("ALTER TABLE gone RENAME TO revisions")
    assert not await ring.refresh()
