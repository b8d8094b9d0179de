"""The book of prices as the settings make it; what the control plane does with it is tested there."""

from pathlib import Path

import pytest

from gateway.core.errors import Fault, Kind
from tests.app.building import built


def test_a_price_in_another_unit_at_the_provider_s_own_address_is_an_error_at_start(
    tmp_path: Path,
) -> None:
    """Known fault 21."""
    providers = "\n  openai: {}\n  box: {kind: vllm, base_url: 'http://10.0.0.5/v1'}"
    with pytest.raises(Fault, match="was it meant per token") as caught:
        built(tmp_path, providers=providers, prices="\n  openai/gpt-4o: {usd_per_million: {input: 0.0000025}}")
    assert (caught.value.kind, caught.value.param) == (Kind.INVALID, "prices.openai/gpt-4o")
    # On own hardware it may be meant: a warning.
    built(tmp_path, providers=providers, prices="\n  box/gpt-oss-120b: {usd_per_million: {input: 0.0000001}}")
