"""How far a long command is: a bar in a terminal, on stderr; nothing where nobody watches."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from gateway.cli.tables import console

if TYPE_CHECKING:
    from rich.console import Console

Advance: TypeAlias = Callable[[int, str], None]
"""(how much is done so far, what is being done)"""


@contextmanager
def bar(total: int | None, out: "Console | None" = None) -> Iterator[Advance]:
    """While the block runs; `total` null: nobody knows how much there is. `out`: else stderr."""
    out = out or console(error=True)
    if not out.is_terminal:
        yield lambda done, doing: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=out, transient=True) as shown:
        task = shown.add_task("starting", total=total)
        yield lambda done, doing: shown.update(task, completed=done, description=doing)
