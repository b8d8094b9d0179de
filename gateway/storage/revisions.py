"""One number per noun that grows with every change, so that other processes see cheaply whether to reload."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

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


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Revised(Protocol[T_co]):
    """A repository whose revision grows with every change."""

    async def revision(self) -> int: ...
    async def all(self) -> Sequence[T_co]: ...


class Followed(ABC, Generic[T]):
    """What is in force of a noun, in memory: read again whenever its revision has changed."""

    def __init__(self, repository: Revised[T]) -> None:
        self._followed = repository
        self._revision: int | None = None

    async def refresh(self) -> bool:
        """Reload if something has changed since; whether it has. To be called every second.

        Raises `Fault` (unavailable) if the database fails; what was known so far stays in force.
        """
        revision = await self._followed.revision()
        if revision == self._revision:
            return False
        self._arrange(await self._followed.all())
        self._revision = revision
        return True

    @abstractmethod
    def _arrange(self, stored: Sequence[T]) -> None:
        """Put these in force, with those of the settings file."""
