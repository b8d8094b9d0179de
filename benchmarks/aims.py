"""What the project wants to reach, on one core, with everything on: one place for every bound."""

from benchmarks.report import Aim

CPU_JOURNAL_US = Aim.at_most(80)
CPU_CALL_US = Aim.at_most(130)
SUSTAINED_PER_S = Aim.at_least(6_000)
BURST_PER_S = Aim.at_least(12_000)
HOLDING_US = Aim.at_most(15)
WITH_BUDGETS = Aim.at_least(90)
"""Per cent of the calls/s without."""
CROWD_START_S = Aim.at_most(2)
CROWD_MB = Aim.at_most(250)
SAME_SPEED = Aim.at_least(95)
"""The project says "the same speed per call"; bursts differ by so many per cent."""
CPU_STREAM_US = Aim.at_most(600)
EVENTS_PER_S = Aim.at_least(50_000)
ADDED_P50_MS = Aim.at_most(0.30)
ADDED_P99_MS = Aim.at_most(1.2)
ADDED_TTFT_P50_MS = Aim.at_most(0.4)
PROMPT_MS = Aim.at_most(3)
IMAGE_MS = Aim.at_most(40)
BODY_MEMORY = Aim.at_most(2)
HELD_MB = Aim.at_most(250)
HELD_SHARE = Aim.at_most(40)
IDLE_MB = Aim.at_most(90)
MILLION_MB = Aim.at_most(150)
START_S = Aim.at_most(0.8)
HELP_S = Aim.at_most(0.2)

FLAT_MB = Aim.at_most(3)
"""The project says "flat"; memory is given back in blocks of about this size."""
GROWING = 0.01
"""The project says "not growing"; the ledger's lag is, if it grows by more than this part of the calls."""
