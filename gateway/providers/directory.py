"""Which models the providers say they serve: `GET /v1/models`, remembered for a minute.

Implements `ports.Directory`. A provider that does not answer is asked again later and hides nobody else's models,
nor what it listed itself before.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import orjson

from gateway.core.errors import Fault
from gateway.core.routing import Provider, Target

FRESH = 60.0
"""Seconds that a listing is believed."""
AGAIN = 5.0
"""Seconds after which a provider that failed, or did not know the model, is asked again."""
PATIENCE = 3.0
"""Seconds that a listing may take."""


class Fetch(Protocol):
    """A GET below a provider's base URL: (provider, path, timeout) → status and body. Raises `Fault`."""

    async def __call__(self, provider: str, path: str, timeout: float) -> tuple[int, bytes]: ...


class ModelDirectory:
    """Listings of all providers. Each is asked by one question at a time, whoever waits for it."""

    def __init__(
        self, providers: Mapping[str, Provider], fetch: Fetch, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._providers = providers
        self._fetch = fetch
        self._monotonic = monotonic
        self._listed: dict[str, tuple[str, ...]] = {}
        self._targets: dict[str, tuple[Target, ...]] = {}
        """By model name; rebuilt from what is listed."""
        self._asked: dict[str, float] = {}
        self._failed: set[str] = set()
        self._running: dict[str, asyncio.Task[None]] = {}

    async def find(self, model: str) -> tuple[Target, ...]:
        """Targets that list this model name; asks the providers if nothing fresh is known.

        For a name that is known it waits for those who listed it and for nobody else: a provider that hangs
        must not hold up the calls to all others.
        """
        self._ask_whoever_is_due(FRESH)
        found = self._targets.get(model, ())
        if found and not self._running:
            return found
        await self._heard(target.provider.name for target in found)
        if found := self._targets.get(model, ()):
            return found
        self._ask_whoever_is_due(AGAIN)  # it may have been loaded a moment ago
        await self._heard(self._providers)
        return self._targets.get(model, ())

    async def names(self) -> Sequence[str]:
        """Every target's name that some provider lists."""
        self._ask_whoever_is_due(FRESH)
        await self._heard(self._providers)
        return [f"{provider}/{model}" for provider, models in self._listed.items() for model in models]

    def lists(self, provider: str, model: str) -> bool:
        """Whether a provider was last seen to list a model; asks nobody."""
        return model in self._listed.get(provider, ())

    def _ask_whoever_is_due(self, age: float) -> None:
        """A question to whoever was not asked within `age` seconds, or not with success in the last few."""
        now = self._monotonic()
        for name in self._providers:
            since = now - self._asked.get(name, -math.inf)
            if name not in self._running and since >= (AGAIN if name in self._failed else age):
                self._running[name] = asyncio.get_running_loop().create_task(self._ask(name))

    async def _heard(self, names: Iterable[str]) -> None:
        """Returns when none of these is being asked. A waiter that is cancelled takes nobody's answer away."""
        running = [self._running[name] for name in names if name in self._running]
        if running:
            await asyncio.wait(running)

    async def _ask(self, name: str) -> None:
        try:
            status, body = await self._fetch(name, "models", PATIENCE)
            models = _ids(body) if status == 200 else None
        except Fault:
            models = None
        finally:
            self._asked[name] = self._monotonic()
            del self._running[name]
        if models is None:  # what it listed before is still the best guess
            self._failed.add(name)
            return
        self._failed.discard(name)
        self._listed[name] = models
        self._index()

    def _index(self) -> None:
        targets: dict[str, tuple[Target, ...]] = {}
        for name, provider in self._providers.items():
            for model in self._listed.get(name, ()):
                targets[model] = (*targets.get(model, ()), Target(provider, model))
        self._targets = targets


def _ids(body: bytes) -> tuple[str, ...] | None:
    """The model ids of a listing, each once, in OpenAI's shape or as a bare list; None if it is neither."""
    try:
        listing = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    models = listing.get("data", listing.get("models")) if isinstance(listing, dict) else listing
    if models is None and isinstance(listing, dict) and "data" in listing:
        return ()  # Ollama's way of having none
    if not isinstance(models, list):
        return None
    ids = (model.get("id") or model.get("name") if isinstance(model, dict) else model for model in models)
    return tuple(dict.fromkeys(name for name in ids if isinstance(name, str) and name))
