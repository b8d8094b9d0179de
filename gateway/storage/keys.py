"""Virtual keys in SQL, and the ring of them in memory that the data plane asks.

Stores digests, never secrets. Whoever makes a key makes its secret; it does not come here.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, insert, select, update

from gateway.core.errors import Fault, Kind
from gateway.core.keys import Caller, Key, caller_of, digest, in_force
from gateway.storage.audit import AuditEntry, record_change
from gateway.storage.clock import wall_clock_us
from gateway.storage.engine import Database, ReadSession, WriteSession
from gateway.storage.key_terms import (
    NO_TERMS,
    OwnTerms,
    add_terms,
    change_rates,
    remove_terms,
    rename_terms,
    terms_of,
)
from gateway.storage.pages import Page, newest_first
from gateway.storage.revisions import Followed, advance, revision_of
from gateway.storage.tables import keys

CHANGEABLE = ("name", "team", "models", "labels", "expires_us", "max_cost_nano", "required_labels")
"""The fields of a key that `update` takes."""

_NOUN = "keys"


class KeyRepository:
    """Keys made by the command line or the admin API. Every change leaves an audit entry in its transaction."""

    def __init__(self, db: Database, now_us: Callable[[], int] = wall_clock_us) -> None:
        self._db = db
        self._now_us = now_us

    async def add(self, key: Key, actor: str, terms: OwnTerms = NO_TERMS) -> None:
        """Store a new key, and what binds it alone. Raises `Fault`: conflict if a key that is not revoked has this
        name."""
        async with self._db.write() as session:
            await _require_free_name(session, key.name)
            await session.run(insert(keys).values(_columns(key)))
            await add_terms(session, terms, actor, self._now_us())
            await self._changed(session, actor, "key.create", key.id, _shown(key))

    async def all(self) -> list[Key]:
        """Every key, revoked ones too, oldest first."""
        async with self._db.read() as session:
            return [_key(row) for row in await session.all(select(keys).order_by(keys.c.number))]

    async def page(self, limit: int = 50, cursor: str | None = None) -> Page[Key]:
        """Newest first. Raises `Fault` (invalid) on a foreign cursor."""
        return await newest_first(self._db, keys.c.number, _key, limit, cursor)

    async def get(self, id_or_name: str) -> Key | None:
        """By id, else by name: the key in force, else the one made last under that name."""
        async with self._db.read() as session:
            return await _find(session, id_or_name)

    async def terms(self, keys: Sequence[Key]) -> dict[str, OwnTerms]:
        """What binds each of these stored keys alone, by their ids."""
        async with self._db.read() as session:
            return await terms_of(session, keys)

    async def update(
        self, id_or_name: str, changes: Mapping[str, object], actor: str, rates: Mapping[str, int | None] | None = None
    ) -> Key:
        """Set some of the fields of `CHANGEABLE`, as `Key` types them, and `rates` of its own limit; the key as it is
        now.

        Raises `Fault`: not found; conflict if it is revoked, the new name is taken or a budget hangs on the old one;
        invalid for another field.
        """
        unknown = sorted(set(changes) - set(CHANGEABLE))
        if unknown:
            hint = f"these can be: {', '.join(CHANGEABLE)}"
            raise Fault(Kind.INVALID, f"`{unknown[0]}` of a key cannot be changed", hint=hint, param=unknown[0])
        async with self._db.write() as session:
            key = await _require_in_force(session, id_or_name)
            changed = replace(key, **changes)  # type: ignore[arg-type]  # the caller's values are typed as Key's are
            if changed.name != key.name:
                await _require_free_name(session, changed.name)
                await rename_terms(session, key.name, changed.name, actor, self._now_us())
            if rates:
                await change_rates(session, changed.name, rates, actor, self._now_us())
            if not changes:
                return key
            return await self._store(session, changed, actor, "key.update", dict(changes))

    async def revoke(self, id_or_name: str, at_us: int, actor: str) -> Key:
        """End a key for good, with its own limit and budget; one that is revoked already stays as it is.

        Raises `Fault`: not found.
        """
        async with self._db.write() as session:
            key = await _require(session, id_or_name)
            if key.revoked_us is not None:
                return key
            await remove_terms(session, key.name, actor, self._now_us())
            return await self._store(session, replace(key, revoked_us=at_us), actor, "key.revoke", {})

    async def rotate(
        self, id_or_name: str, new_digest: str, new_prefix: str, grace_until_us: int | None, actor: str
    ) -> Key:
        """Give a key another secret; the old one stays good until `grace_until_us`, not at all if null.

        Raises `Fault`: not found; conflict if it is revoked.
        """
        async with self._db.write() as session:
            key = await _require_in_force(session, id_or_name)
            rotated = replace(
                key,
                digest=new_digest,
                prefix=new_prefix,
                old_digest=None if grace_until_us is None else key.digest,
                old_digest_until_us=grace_until_us,
            )
            details: dict[str, object] = {"prefix": new_prefix, "old_until_us": grace_until_us}
            return await self._store(session, rotated, actor, "key.rotate", details)

    async def revision(self) -> int:
        """A number that grows with every change of any key by any process."""
        async with self._db.read() as session:
            return await revision_of(session, _NOUN)

    async def _store(self, session: WriteSession, key: Key, actor: str, action: str, details: dict[str, object]) -> Key:
        await session.run(update(keys).where(keys.c.id == key.id).values(_columns(key)))
        await self._changed(session, actor, action, key.id, details)
        return key

    async def _changed(
        self, session: WriteSession, actor: str, action: str, key_id: str, details: Mapping[str, object]
    ) -> None:
        await record_change(session, AuditEntry(self._now_us(), actor, action, key_id, details))
        await advance(session, _NOUN)


class KeyStore(Followed[Key]):
    """The key ring of the data plane (`ports.KeyRing`): the stored keys and those of the settings file, by digest.

    Answers from memory. Until the first `refresh` it knows the file's keys only.
    """

    def __init__(
        self,
        repository: KeyRepository,
        file_keys: Sequence[Key] = (),
        now_us: Callable[[], int] = wall_clock_us,
    ) -> None:
        super().__init__(repository)
        self._file_keys = tuple(file_keys)
        self._now_us = now_us
        self._by_digest: dict[str, tuple[Key, Caller]] = {}
        self._arrange(())

    def find(self, secret: str) -> Caller | None:
        """The caller behind a presented key; None if unknown, expired or revoked."""
        presented = digest(secret)
        found = self._by_digest.get(presented)
        if found is None:
            return None
        key, caller = found
        return caller if in_force(key, presented, self._now_us()) else None

    @property
    def any(self) -> bool:
        """Whether any key was ever configured: revoking the last one must not open the door to everybody."""
        return bool(self._by_digest)

    def _arrange(self, stored: Sequence[Key]) -> None:
        by_digest: dict[str, tuple[Key, Caller]] = {}
        for key in (*stored, *self._file_keys):
            known = (key, caller_of(key))
            if key.old_digest is not None:
                by_digest[key.old_digest] = known
            by_digest[key.digest] = known
        self._by_digest = by_digest


async def _find(session: ReadSession, id_or_name: str) -> Key | None:
    by_id = await session.first(select(keys).where(keys.c.id == id_or_name))
    if by_id is not None:
        return _key(by_id)
    in_force_first = (keys.c.revoked_us.is_not(None), keys.c.number.desc())
    row = await session.first(select(keys).where(keys.c.name == id_or_name).order_by(*in_force_first).limit(1))
    return None if row is None else _key(row)


async def _require(session: ReadSession, id_or_name: str) -> Key:
    key = await _find(session, id_or_name)
    if key is None:
        raise Fault(Kind.NOT_FOUND, f"there is no key {id_or_name}", hint="`tollkeeper key list` names them")
    return key


async def _require_in_force(session: ReadSession, id_or_name: str) -> Key:
    key = await _require(session, id_or_name)
    if key.revoked_us is not None:
        raise Fault(Kind.CONFLICT, f"the key {key.name} is revoked", hint="make a new one")
    return key


async def _require_free_name(session: ReadSession, name: str) -> None:
    taken = select(keys.c.id).where(keys.c.name == name, keys.c.revoked_us.is_(None))
    if await session.first(taken) is not None:
        raise Fault(Kind.CONFLICT, f"there is a key named {name} already", hint="take another name", param="name")


def _columns(key: Key) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "digest": key.digest,
        "created_us": key.created_us,
        "team": key.team,
        "models": None if key.models is None else json.dumps(key.models, ensure_ascii=False),
        "labels": json.dumps(dict(key.labels), ensure_ascii=False),
        "expires_us": key.expires_us,
        "revoked_us": key.revoked_us,
        "old_digest": key.old_digest,
        "old_digest_until_us": key.old_digest_until_us,
        "max_cost_nano": key.max_cost_nano,
        "required_labels": json.dumps(key.required_labels, ensure_ascii=False) if key.required_labels else None,
    }


def _key(row: Row[Any]) -> Key:
    """By place, not by name: a hundred thousand of them are read at a start."""
    place = tuple(row)
    _, id, name, prefix, key_digest, created_us, team, models, labels, expires_us, revoked_us, *others = place
    old, old_until_us, max_cost_nano, required = others
    return Key(
        id,
        name,
        prefix,
        key_digest,
        created_us,
        team,
        None if models is None else tuple(json.loads(models)),
        {} if labels == "{}" else json.loads(labels),
        expires_us,
        revoked_us,
        old,
        old_until_us,
        max_cost_nano=max_cost_nano,
        required_labels=() if required is None else tuple(json.loads(required)),
    )


def _shown(key: Key) -> dict[str, object]:
    """What an audit entry tells of a new key."""
    shown = ("name", "prefix", "team", "models", "labels", "expires_us", "max_cost_nano", "required_labels")
    return {field: getattr(key, field) for field in shown}
