"""The log of a process that has no thread for it."""

import json
import subprocess
import sys

import pytest

SAYS = """
import logging, sys, threading
from gateway.telemetry.notices import log_without_threads
log_without_threads(sys.argv[1])
logging.getLogger("gateway.server.workers").info("worker %d is back", 1)
logging.getLogger("somebody.else").info("small talk")
assert threading.active_count() == 1
"""


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_line_looks_like_all_other_lines(format: str) -> None:
    told = subprocess.run([sys.executable, "-c", SAYS, format], capture_output=True, text=True, timeout=20, check=True)
    (line,) = told.stderr.splitlines()
    if format == "json":
        said = json.loads(line)
        assert (said["level"], said["event"], said["logger"]) == (
            "info",
            "worker 1 is back",
            "gateway.server.workers",
        )
        assert said["timestamp"].endswith("Z")
    else:
        assert line.endswith("Z [info] worker 1 is back logger=gateway.server.workers")
