"""How far the demo is: a bar in a terminal, a line now and then elsewhere."""

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from gateway.cli.demo.traffic import Traffic

_BAR_STEP = 0.1
_LINE_STEP = 2.0


async def watch(out: "Console", traffic: "Traffic", run: Coroutine[None, None, None], seconds: int) -> None:
    """Carry out `run`, the traffic, and show it until it has ended."""
    running = asyncio.create_task(run)
    try:
        if out.is_terminal:
            await _bar(out, traffic, running, seconds)
        else:
            await _lines(out, traffic, running)
        await running
    finally:
        running.cancel()


async def _bar(out: "Console", traffic: "Traffic", running: "asyncio.Task[None]", seconds: int) -> None:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    loop = asyncio.get_running_loop()
    start = loop.time()
    with Progress(*columns, console=out) as bar:
        task = bar.add_task("starting", total=seconds)
        while not running.done():
            passed = min(loop.time() - start, seconds)
            bar.update(task, completed=passed, description=_state(traffic))
            await asyncio.wait({running}, timeout=_BAR_STEP)
        bar.update(task, completed=seconds, description=_state(traffic))


async def _lines(out: "Console", traffic: "Traffic", running: "asyncio.Task[None]") -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    while not running.done():
        await asyncio.wait({running}, timeout=_LINE_STEP)
        out.print(f"{loop.time() - start:3.0f} s: {_state(traffic)}")


def _state(traffic: "Traffic") -> str:
    return f"{traffic.sent} calls, {traffic.in_flight} in flight, {traffic.failed} failed"
