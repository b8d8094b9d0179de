"""What every key ring holds to: the one in memory that tests use, and the one over SQL."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.keys import Key, digest
from gateway.ports import KeyRing
from gateway.storage.keys import KeyRepository, KeyStore
from tests.databases import KINDS, fresh, opened
from tests.fakes.clock import FakeClock
from tests.fakes.keyring import MemoryKeyRing

SECRET, OLD_SECRET = "tk-new-secret", "tk-old-secret"
HOUR_US = 3_600_000_000

Ring = tuple[KeyRing, FakeClock]
MakeRing = Callable[..., Awaitable[Ring]]


def a_key(now_us: int) -> Key:
    return Key(
        "key-1", "ci", SECRET[:7], digest(SECRET), now_us, team="platform", models=("fast",), labels={"env": "x"}
    )


@pytest.fixture(params=["memory", "file", *KINDS])
async def ring_of(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MakeRing]:
    """Makes a key ring of some keys."""
    clock, kind = FakeClock(), request.param if request.param in KINDS else "sqlite"
    with fresh(kind, tmp_path, lambda: request.getfixturevalue("postgres")) as url:
        async with opened(url) as db:
            repository = KeyRepository(db, clock.now_us)

            async def make(*keys: Key) -> Ring:
                if request.param == "memory":
                    return MemoryKeyRing(clock.now_us, keys), clock
                if request.param == "file":
                    return KeyStore(repository, keys, clock.now_us), clock
                for key in keys:
                    await repository.add(key, "test")
                store = KeyStore(repository, (), clock.now_us)
                await store.refresh()
                return store, clock

            yield make


@pytest.fixture
def now_us() -> int:
    return FakeClock().now_us()


@pytest.mark.anyio
async def test_a_ring_without_keys_finds_nobody(ring_of: MakeRing) -> None:
    ring, _ = await ring_of()
    assert not ring.any
    assert ring.find(SECRET) is None


@pytest.mark.anyio
async def test_a_key_leads_to_its_caller(ring_of: MakeRing, now_us: int) -> None:
    ring, _ = await ring_of(a_key(now_us))
    caller = ring.find(SECRET)
    assert ring.any
    assert caller is not None
    assert (caller.key_id, caller.key, caller.team) == ("key-1", "ci", "platform")
    assert (caller.models, dict(caller.labels)) == (("fast",), {"env": "x"})


@pytest.mark.anyio
@pytest.mark.parametrize("secret", ["", "tk-new-secre", "tk-new-secret ", "TK-NEW-SECRET", SECRET[:7], digest(SECRET)])
async def test_only_the_whole_secret_opens(ring_of: MakeRing, now_us: int, secret: str) -> None:
    """Known fault 77: the first characters of a token were taken for the token."""
    ring, _ = await ring_of(a_key(now_us))
    assert ring.find(secret) is None


@pytest.mark.anyio
async def test_an_expired_key_opens_nothing(ring_of: MakeRing, now_us: int) -> None:
    ring, clock = await ring_of(replace(a_key(now_us), expires_us=now_us + HOUR_US))
    assert ring.find(SECRET) is not None
    clock.forward(3600)
    assert ring.find(SECRET) is None


@pytest.mark.anyio
async def test_a_revoked_key_opens_nothing_and_is_still_a_key(ring_of: MakeRing, now_us: int) -> None:
    ring, _ = await ring_of(replace(a_key(now_us), revoked_us=now_us))
    assert ring.find(SECRET) is None
    assert ring.any


@pytest.mark.anyio
async def test_after_a_rotation_the_old_secret_is_good_until_its_grace_ends(ring_of: MakeRing, now_us: int) -> None:
    rotated = replace(a_key(now_us), old_digest=digest(OLD_SECRET), old_digest_until_us=now_us + HOUR_US)
    ring, clock = await ring_of(rotated)
    assert ring.find(OLD_SECRET) == ring.find(SECRET) is not None
    clock.forward(3600)
    assert ring.find(OLD_SECRET) is None
    assert ring.find(SECRET) is not None
