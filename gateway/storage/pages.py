"""A page of a list and the cursor that leads to the next one."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, Row, select

from gateway.core.errors import Fault, Kind
from gateway.storage.engine import Database

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list, and where the list goes on."""

    items: list[T]
    next: str | None
    """The cursor of the following page; null at the end."""


def write_cursor(*position: int) -> str:
    """The place of the last item shown, as an opaque text."""
    return ".".join(map(str, position))


def read_cursor(cursor: str, parts: int) -> tuple[int, ...]:
    """The place that `write_cursor` wrote. Raises `Fault` (invalid) on any other text."""
    if re.fullmatch(rf"\d{{1,18}}(\.\d{{1,18}}){{{parts - 1}}}", cursor, re.ASCII) is None:
        raise Fault(Kind.INVALID, "the cursor is not one of ours", hint="use `next` of the page before", param="cursor")
    return tuple(map(int, cursor.split(".")))


def cut_page(rows: Sequence[T], limit: int) -> tuple[list[T], bool]:
    """The first `limit` of rows that were asked for with one more, and whether there is more."""
    return list(rows[:limit]), len(rows) > limit


async def newest_first(
    db: Database, number: Column[int], made: Callable[[Row[Any]], T], limit: int, cursor: str | None
) -> Page[T]:
    """A page of all rows of a table, from the greatest of their numbers down. Raises `Fault` (invalid) on a foreign
    cursor."""
    statement = select(number.table).order_by(number.desc()).limit(limit + 1)
    if cursor is not None:
        (last,) = read_cursor(cursor, 1)
        statement = statement.where(number < last)
    async with db.read() as session:
        rows, more = cut_page(await session.all(statement), limit)
    return Page([made(row) for row in rows], write_cursor(getattr(rows[-1], number.name)) if more else None)
