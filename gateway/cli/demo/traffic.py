"""The callers of the demo: ordinary HTTP clients that know nothing but a base URL and a key."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from random import Random
from typing import Any

import httpx

from gateway.cli.demo.scenario import CALLS_PER_SECOND, TEAMS, Habit

_WORDS = ("invoice", "customer", "latency", "answer", "please", "compare", "summarise", "the", "report", "and", "tell")
_MOST_IN_FLIGHT = 100
_PATIENCE_SECONDS = 15.0
"""For what is in flight when the time is up."""
_PATIENCE_STOPPED_SECONDS = 2.0
"""For the same when somebody wants it to end."""


class Traffic:
    """Sends calls at random moments; its counts may be read at any time."""

    def __init__(self, client: httpx.AsyncClient, secrets: Mapping[str, str], chance: Random) -> None:
        self._client = client
        self._secrets = secrets
        self._chance = chance
        self._tasks: set[asyncio.Task[None]] = set()
        self.sent = 0
        self.failed = 0
        """Calls whose caller was told of an error, or whose answer broke off."""
        self.left = 0
        """Calls whose caller hung up early."""

    @property
    def in_flight(self) -> int:
        return len(self._tasks)

    async def run(self, seconds: float, stop: asyncio.Event) -> None:
        """Send until the time is up or `stop` is set, then wait for what is in flight."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not stop.is_set():
                    await asyncio.sleep(self._chance.expovariate(CALLS_PER_SECOND))
                    if self.in_flight < _MOST_IN_FLIGHT:
                        self._send()
        if self._tasks:
            patience = _PATIENCE_STOPPED_SECONDS if stop.is_set() else _PATIENCE_SECONDS
            _, late = await asyncio.wait(self._tasks, timeout=patience)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _send(self) -> None:
        team = self._chance.choice(list(TEAMS))
        habits = TEAMS[team]
        (habit,) = self._chance.choices(habits, [habit.weight for habit in habits])
        self.sent += 1
        task = asyncio.create_task(self._call(team, habit))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call(self, team: str, habit: Habit) -> None:
        body = self._body(habit)
        reads = self._chance.randint(2, 40) if self._chance.random() < habit.leaves else None
        headers = {"authorization": f"Bearer {self._secrets[team]}", "x-tollkeeper-tags": f"feature={habit.model}"}
        try:
            async with self._client.stream("POST", f"v1/{habit.path}", json=body, headers=headers) as answer:
                await self._read(answer, reads if body.get("stream") else None)
        except httpx.HTTPError:
            self.failed += 1

    async def _read(self, answer: httpx.Response, reads: int | None) -> None:
        """Take an answer to its end, or hang up after some reads."""
        failed = answer.is_error
        async for data in answer.aiter_raw():
            # An error in mid-stream comes as an event.
            failed = failed or b'data: {"error"' in data
            if reads is not None and (reads := reads - 1) <= 0:
                self.left += 1
                break
        self.failed += failed

    def _body(self, habit: Habit) -> dict[str, Any]:
        prompt = " ".join(self._chance.choices(_WORDS, k=self._chance.randint(*habit.prompt_words)))
        if habit.path == "embeddings":
            return {"model": habit.model, "input": prompt}
        body: dict[str, Any] = {"model": habit.model, "messages": [{"role": "user", "content": prompt}]}
        body["max_tokens"] = habit.max_tokens
        if self._chance.random() < habit.streams:
            body["stream"] = True
        return body
