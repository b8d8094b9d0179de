"""All providers as one."""

from pathlib import Path

import pytest

from gateway.app.configured import configured_providers
from gateway.app.upstreams import upstreams_of
from gateway.settings import load
from tests.app.building import settings_file
from tests.fakes.clock import FakeClock


@pytest.mark.anyio
async def test_a_simulated_provider_lists_its_models_without_a_network(tmp_path: Path) -> None:
    providers = "{sim: {kind: simulated}, openai: {api_key: env:K}}"
    settings = load(settings_file(tmp_path, providers=providers), {})
    upstreams = upstreams_of(configured_providers(settings, {"K": "sk-any"}), FakeClock())
    status, listing = await upstreams.fetch("sim", "/models", 1.0)
    assert (status, list(upstreams.simulations)) == (200, ["sim"])
    assert b"data" in listing
