"""The gateway as people run it: a process, a port, its own folder; and what its control plane says of each call."""

import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar

import httpx

from tests.cli.terminal import PROGRAM, environment
from tests.e2e.upstream import PATIENCE

Row = dict[str, Any]
Found = TypeVar("Found")

START = 60.0
"""Seconds that a start may take on a busy machine; it is about one on an idle one."""


def until(look: Callable[[], Found | None], what: str, within: float = PATIENCE) -> Found:
    """The first thing that `look` gives; fails the test if there is none in time."""
    deadline = monotonic() + within
    while True:
        found = look()
        if found:
            return found
        assert monotonic() < deadline, f"waited in vain for {what}"
        sleep(0.01)


@dataclass
class Served:
    """A gateway that runs."""

    address: str
    data: Path
    config: Path
    program: subprocess.Popen[bytes]
    admin: httpx.Client
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def v1(self) -> str:
        """What an SDK is given as its base URL."""
        return f"{self.address}/v1"

    def post(self, model: str, path: str = "chat/completions", **more: Any) -> httpx.Response:
        """One call as a plain client makes it."""
        headers = more.pop("headers", {})
        body = {"model": model, "messages": [{"role": "user", "content": "What is the toll?"}], **more}
        return httpx.post(f"{self.v1}/{path}", json=body, headers=headers, timeout=PATIENCE, trust_env=False)

    def connect(self) -> socket.socket:
        """A raw connection to its port."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def calls(self, **filters: Any) -> list[Row]:
        """Rows of `/admin/calls`, newest first."""
        answer = self.admin.get("/admin/calls", params={"limit": 1000, **filters})
        assert answer.status_code == 200, answer.text
        items: list[Row] = answer.json()["items"]
        return items

    def rows(self, count: int, within: float = PATIENCE, **filters: Any) -> list[Row]:
        """As many rows as there must be for these filters, as soon as they show."""

        def look() -> list[Row] | None:
            found = self.calls(**filters)
            return found if len(found) >= count else None

        found = until(look, f"{count} rows with {filters}", within)
        assert len(found) == count
        return found

    def row(self, within: float = PATIENCE, **filters: Any) -> Row:
        """The one row that there must be for these filters, alone, as soon as it shows."""
        rows = until(lambda: self.calls(**filters), f"a row with {filters}", within)
        assert len(rows) == 1, rows
        alone: Row = self.admin.get(f"/admin/calls/{rows[0]['id']}").json()
        return alone

    def call(self, answer: httpx.Response, within: float = PATIENCE) -> Row:
        """The row of the call that got this answer."""
        return self.call_of(answer.headers["x-tollkeeper-call-id"], within)

    def call_of(self, id: str, within: float = PATIENCE) -> Row:
        def look() -> Row | None:
            answer = self.admin.get(f"/admin/calls/{id}")
            found: Row | None = answer.json() if answer.status_code == 200 else None
            return found

        return until(look, f"the row of call {id}", within)

    def metric(self, name: str, **labels: str) -> float:
        """The sum over all series of a metric that have these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        lines = [line for line in self.admin.get("/metrics").text.splitlines() if re.match(rf"{name}[ {{]", line)]
        return sum(float(line.rpartition(" ")[2]) for line in lines if all(one in line for one in wanted))

    def memory(self) -> int:
        """Resident bytes of its process."""
        status = Path(f"/proc/{self.program.pid}/status").read_text(encoding="ascii")
        found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024

    @property
    def log(self) -> str:
        return (self.data / "gateway.log").read_text(encoding="utf-8")

    def stop(self) -> None:
        """A signal must end it well, and nothing may have gone wrong that it did not expect."""
        self.program.send_signal(signal.SIGTERM)
        assert self.program.wait(PATIENCE * 3) == 0, self.log[-2000:]
        crashes = [line for line in self.log.splitlines() if "Traceback" in line]
        assert not crashes, crashes[0]

    def kill(self) -> None:
        self.program.kill()
        self.program.wait(PATIENCE)


@contextmanager
def serving(
    data: Path, settings: str, *args: str, program: Sequence[str] = PROGRAM, **environ: str
) -> Iterator[Served]:
    """A gateway with these settings while the block runs; it may be ended before by `stop` or `kill`.

    `program`: what serves, if it is not ours as it is.
    """
    data.mkdir(parents=True, exist_ok=True)
    config = data / "tollkeeper.yaml"
    config.write_text(settings, encoding="utf-8")
    command = [*program, "serve", "--config", str(config), "--port", "0", *args]
    with (data / "gateway.log").open("ab") as log, (data / "gateway.out").open("wb") as out:
        started = subprocess.Popen(command, env=environment(data, **environ), stdout=out, stderr=log)
    try:
        address = _address(data, started)
        token = (data / "admin-token").read_text(encoding="ascii").strip()
        headers = {"authorization": f"Bearer {token}"}
        with httpx.Client(
            base_url=address,
            headers=headers,
            timeout=PATIENCE,
            trust_env=False,
            verify=False,  # noqa: S501
        ) as admin:
            served = Served(address, data, config, started, admin, environ)
            yield served
            if started.poll() is None:
                served.stop()
    finally:
        started.kill()
        started.wait()


def _address(data: Path, program: "subprocess.Popen[bytes]") -> str:
    def look() -> str | None:
        assert program.poll() is None, (data / "gateway.log").read_text(encoding="utf-8")
        banner = (data / "gateway.out").read_text(encoding="utf-8")
        found = re.search(r"https?://[^/\s]+", banner) if "providers" in banner else None
        return found.group() if found else None

    return until(look, "the gateway's start", START)
