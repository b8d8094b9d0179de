"""`tollkeeper demo`: everything at once on a throw-away database, with providers that cost nothing."""

from typing import Annotated

import typer


def demo(
    seconds: Annotated[int, typer.Option("--seconds", min=1, max=3600, help="How long traffic is sent.")] = 20,
    keep: Annotated[bool, typer.Option("--keep", help="Go on serving afterwards, until Ctrl-C.")] = False,
) -> None:
    """Run the gateway with simulated providers and traffic, then show what it knows; nothing is spent."""
    import asyncio

    import uvloop

    from gateway.cli.demo.stage import play

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(play(seconds, keep))
