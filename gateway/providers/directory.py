"""Which models the providers say they serve: `GET /v1/models`, remembered for a minute.

Implements `ports.Directory`. A provider that does not answer is asked again later and hides nobody else's models.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import orjson

from gateway.core.errors import UpstreamFault
from gateway.core.routing import Provider, Target

FRESH = 60.0
"""Seconds that a listing is believed."""
AGAIN = 5.0
"""Seconds after which a provider that failed, or did not know the model, is asked again."""
PATIENCE = 3.0
"""Seconds that a listing may take."""


class Fetch(Protocol):
    """A GET below a provider's base URL: (provider, path, timeout) → status and body. Raises `UpstreamFault`."""

    async def __call__(self, provider: str, path: str, timeout: float) -> tuple[int, bytes]: ...


class ModelDirectory:
    """Listings of all providers."""

    def __init__(self, providers: Mapping[str, Provider], fetch: Fetch) -> None:
        self._providers = providers
        self._fetch = fetch
        self._listed: dict[str, tuple[str, ...]] = {}
        self._asked: dict[str, float] = {}
        self._running: asyncio.Task[None] | None = None

    async def find(self, model: str) -> tuple[Target, ...]:
        """Targets that list this model name; asks the providers if nothing fresh is known."""
        await self._refresh(FRESH)
        found = self._known(model)
        if not found:
            await self._refresh(AGAIN)  # it may have been loaded a moment ago
            found = self._known(model)
        return found

    async def names(self) -> Sequence[str]:
        """Every target's name that some provider lists."""
        await self._refresh(FRESH)
        return [f"{provider}/{model}" for provider, models in self._listed.items() for model in models]

    def lists(self, provider: str, model: str) -> bool:
        """Whether a provider was last seen to list a model; asks nobody."""
        return model in self._listed.get(provider, ())

    def _known(self, model: str) -> tuple[Target, ...]:
        return tuple(
            Target(provider, model)
            for name, provider in self._providers.items()
            if model in self._listed.get(name, ())
        )

    async def _refresh(self, age: float) -> None:
        """Asks whoever was not asked within `age` seconds; calls at the same time share one round."""
        if self._running is None:
            now = time.monotonic()
            due = [name for name in self._providers if now - self._asked.get(name, -FRESH) >= age]
            if not due:
                return
            self._running = asyncio.get_running_loop().create_task(self._ask_all(due))
        await asyncio.shield(self._running)

    async def _ask_all(self, names: Sequence[str]) -> None:
        try:
            await asyncio.gather(*(self._ask(name) for name in names))
        finally:
            self._running = None

    async def _ask(self, name: str) -> None:
        try:
            status, body = await self._fetch(name, "models", PATIENCE)
        except UpstreamFault:
            status, body = 0, b""  # what it listed before is still the best guess
        self._asked[name] = time.monotonic()
        if status == 200 and (models := _ids(body)) is not None:
            self._listed[name] = models


def _ids(body: bytes) -> tuple[str, ...] | None:
    """The model ids of a listing, in OpenAI's shape or as a bare list; None if it is neither."""
    try:
        listing = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    models = listing.get("data", listing.get("models")) if isinstance(listing, dict) else listing
    if not isinstance(models, list):
        return None
    ids = (model.get("id") or model.get("name") for model in models if isinstance(model, dict))
    return tuple(name for name in ids if isinstance(name, str))
