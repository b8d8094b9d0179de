"""One number per noun that grows with every change, so that other processes see cheaply whether to reload."""

from sqlalchemy import insert, select, update

from gateway.storage.engine import ReadSession, WriteSession
from gateway.storage.tables import revisions


async def revision_of(session: ReadSession, noun: str) -> int:
    """The number now; 0 before the first change."""
    number = await session.scalar(select(revisions.c.number).where(revisions.c.noun == noun))
    return number or 0


async def advance(session: WriteSession, noun: str) -> None:
    """Say that something of this noun has changed."""
    touched = await session.run(update(revisions).where(revisions.c.noun == noun).values(number=revisions.c.number + 1))
    if not touched:
        await session.run(insert(revisions).values(noun=noun, number=1))
