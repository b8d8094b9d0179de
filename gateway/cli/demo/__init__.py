"""`tollkeeper demo`: everything at once on a throw-away database, with providers that cost nothing."""

from typing import Annotated

import typer


def demo(
    seconds: Annotated[
        int, typer.Option("--seconds", metavar="N", min=1, max=3600, help="How long traffic is sent.")
    ] = 20,
    keep: Annotated[bool, typer.Option("--keep", help="Go on serving afterwards, until Ctrl-C.")] = False,
) -> None:
    """See it work with simulated traffic; nothing is spent.

    A gateway on a throw-away database, simulated providers and callers; at the end a usage report.
    """
    import asyncio

    import uvloop

    from gateway.cli.demo.stage import play

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(play(seconds, keep))
