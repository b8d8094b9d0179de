"""What the settings file declares beside what is stored: shown first, changed there alone. And changes put in force.

The same for whatever both may declare: keys, prices, budgets, limits.
"""

from typing import Protocol

from gateway.core.errors import Fault, Kind


class Store(Protocol):
    """What is in force of a noun, in memory."""

    async def refresh(self) -> bool: ...


def refuse_declared(what: str, place: str | None) -> None:
    """A change of what the file declares, `the key ci`, there at `place`. Raises `Fault` (conflict)."""
    message = f"{what} is declared in the settings file and cannot be changed here"
    raise Fault(Kind.CONFLICT, message, hint=f"change it there: {place}" if place else None)


def refuse_taken(what: str) -> None:
    """A new one with a name that the file has taken, `a key ci`. Raises `Fault` (conflict)."""
    message = f"the settings file declares {what}"
    raise Fault(Kind.CONFLICT, message, hint="take another name", param="name")


def place_in_file(cursor: str | None) -> int | None:
    """How many of those of the file have been shown in a list; None if it has gone beyond them."""
    if cursor is None:
        return 0
    word, _, number = cursor.partition(".")
    return int(number) if word == "file" and number.isascii() and number.isdigit() and len(number) < 10 else None


def cursor_in_file(shown: int) -> str:
    """What `place_in_file` reads."""
    return f"file.{shown}"


async def put_in_force(*stores: Store) -> None:
    """Have a change hold here at once, in this order.

    It is committed, and what it made (a secret that is shown once) must not be lost over this: stores are refreshed
    every second anyway, and say so themselves if they cannot be.
    """
    for store in stores:
        try:
            await store.refresh()
        except Fault:
            return
