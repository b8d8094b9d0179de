"""What a scenario is: its name, what it measures, and how long or how often; and what it is told when it runs."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import Cores
from benchmarks.measure import Measured


def tollkeeper() -> str:
    """The command beside the interpreter that runs this."""
    return str(Path(sys.executable).with_name("tollkeeper"))


@dataclass(frozen=True, slots=True)
class Setting:
    """Of one run."""

    cores: Cores
    command: str
    """What is measured: a `tollkeeper`, of whatever build."""
    seconds: float
    count: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """`seconds`, `count`: what is asked for if nobody says otherwise; None where it has no such measure."""

    name: str
    about: str
    """What it measures, for the list and as a heading."""
    run: Callable[[Setting], Measured]
    """Raises `Failed` if there is nothing to measure."""
    seconds: float | None = None
    count: int | None = None
    counted: str = ""
    """What `count` is a number of."""
