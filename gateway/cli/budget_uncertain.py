"""`tollkeeper budget uncertain`: what processes have leased that are gone, and whose journals nobody has replayed.

It comes back by itself when their journals are replayed. Only a machine that never comes back needs a person, who
counts what it had as spent: nobody knows how much of it was.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import when
from gateway.cli.frame import AsJson, Config, opened, run
from gateway.cli.tables import Column, console, print_json, print_table
from gateway.core.errors import Fault, Kind
from gateway.core.money import usd_text

if TYPE_CHECKING:
    from gateway.storage.accounts import Lease

LATE_US = 10 * 60_000_000
"""A lease that ended so long ago is nobody's who lives: a gateway that starts anew replays within seconds."""
_COLUMNS = (
    Column("process", 100),
    Column("budget", 95),
    Column("subject", 90),
    Column("leased USD", 100, right=True),
    Column("ended UTC", 80),
)


def register(app: typer.Typer) -> None:
    """Add the command to the group."""

    @app.command("uncertain")
    def uncertain(
        write_off: Annotated[
            str | None,
            typer.Option("--write-off", metavar="PROCESS", help="Count what this process had leased as spent."),
        ] = None,
        config: Config = None,
        as_json: AsJson = False,
    ) -> None:
        """List what dead processes have leased, until it is replayed."""
        leases = run(_uncertain(config, write_off))
        if as_json:
            print_json([_shown(lease) for lease in leases])
        elif not leases:
            print("nothing is uncertain")
        else:
            rows = [[str(value) for value in _shown(lease).values()] for lease in leases]
            print_table(console(), _COLUMNS, rows)
            if write_off is not None:
                print("written off: counted as spent")


def _shown(lease: "Lease") -> dict[str, Any]:
    return {
        "process": lease.owner,
        "budget": lease.account.budget,
        "subject": lease.account.subject,
        "leased_usd": usd_text(lease.granted),
        "ended_at": when.shown(lease.expires_us),
    }


async def _uncertain(config: Path | None, write_off: str | None) -> "list[Lease]":
    """Those that are uncertain, or those that were written off. Raises `Fault` (not found)."""
    from gateway.storage.accounts import Accounts

    async with opened(config, read_only=write_off is None) as db:
        accounts = Accounts(db, "operator")
        leases = [lease for lease in await accounts.leases(when.now_us() - LATE_US) if lease.granted]
        if write_off is None:
            return leases
        theirs = [lease for lease in leases if lease.owner == write_off]
        if not theirs:
            hint = "`tollkeeper budget uncertain` names them; a process that may live is not among them"
            raise Fault(Kind.NOT_FOUND, f"nothing of {write_off} is uncertain", hint=hint)
        return [lease for lease in theirs if await accounts.write_off(lease)]
