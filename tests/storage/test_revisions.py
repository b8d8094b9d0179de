"""Revisions: one number per noun, growing with every change."""

import pytest

from gateway.storage.engine import Database
from gateway.storage.revisions import advance, revision_of


@pytest.mark.anyio
async def test_a_revision_grows_for_its_noun_alone(db: Database) -> None:
    for expected in (0, 1, 2):
        async with db.read() as session:
            assert await revision_of(session, "keys") == expected
            assert await revision_of(session, "prices") == 0
        async with db.write() as session:
            await advance(session, "keys")
