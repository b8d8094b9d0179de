"""What calls are moved to must be able to answer them, as far as anybody knows."""

from pathlib import Path

import pytest

from gateway.settings import SettingsError
from tests.app.building import built
from tests.cli.terminal import invoke

PROVIDERS = "\n  openai: {}\n  box: {kind: vllm, base_url: 'http://10.0.0.5/v1'}"
MODELS = "\n  vectors: {targets: [openai/text-embedding-3-large]}\n  both: {targets: [box/e5, openai/gpt-4o-mini]}"
ANY = "\n  any: {targets: [openai/gpt-4o, openai/text-embedding-3-large]}"
EMBEDS = "openai/text-embedding-3-small"
KEY = {"OPENAI_API_KEY": "sk-1"}


def start(folder: Path, budget: str = "", rule: str = "") -> None:
    """Of a gateway with this budget and this rule."""
    budgets = f"\n  b: {{limit_usd: 5, {budget}}}" if budget else "{}"
    alerts = f"\n  rules:\n    r: {{action: downgrade, {rule}}}" if rule else "{}"
    built(folder, KEY, providers=PROVIDERS, models=MODELS + ANY, budgets=budgets, alerts=alerts)


@pytest.mark.parametrize(
    ("budget", "rule", "said"),
    [
        (f"on_exhausted: downgrade, downgrade_to: {EMBEDS}", "", f":10: budgets.b.downgrade_to: `{EMBEDS}` makes embe"),
        ("on_exhausted: downgrade, downgrade_to: both, scope: {model: vectors}", "", ":10: budgets.b.downgrade_to: `b"),
        ("", "kind: anomaly, downgrade_to: vectors", ":12: alerts.rules.r.downgrade_to: `vectors` makes embeddings"),
        ("mode: soft, scope: {model: openai/gpt-4o}", f"kind: forecast, budget: b, downgrade_to: {EMBEDS}", ":13: al"),
        ("", f"kind: errors, scope: {{model: '*'}}, downgrade_to: {EMBEDS}", "makes embeddings, and only calls for"),
    ],
)  # fmt: skip
def test_a_model_that_is_known_to_make_something_else_is_a_mistake(
    tmp_path: Path, budget: str, rule: str, said: str
) -> None:
    """Named with its line at a start and by `config check`."""
    with pytest.raises(SettingsError) as refused:
        start(tmp_path, budget, rule)
    assert said in str(refused.value)
    told = invoke(tmp_path, "config", "check", "--config", str(tmp_path / "tollkeeper.yaml"), **KEY)
    assert (told.exit_code, said in told.stderr) == (2, True), told.stderr


@pytest.mark.parametrize(
    ("budget", "rule"),
    [
        (f"on_exhausted: downgrade, downgrade_to: {EMBEDS}, scope: {{model: vectors}}", ""),
        ("on_exhausted: downgrade, downgrade_to: both", "kind: anomaly, downgrade_to: box/e5"),
        ("on_exhausted: downgrade, downgrade_to: box/e5, scope: {model: vectors}", ""),
        ("on_exhausted: downgrade, downgrade_to: any, scope: {model: vectors}", "kind: anomaly, downgrade_to: any"),
        ("", f"kind: errors, scope: {{model: gpt-whatever}}, downgrade_to: {EMBEDS}"),
        ("", f"kind: threshold, budget: of-the-database, downgrade_to: {EMBEDS}"),
    ],
)
def test_what_fits_or_nobody_knows_is_none(tmp_path: Path, budget: str, rule: str) -> None:
    start(tmp_path, budget, rule)
    told = invoke(tmp_path, "config", "check", "--config", str(tmp_path / "tollkeeper.yaml"), **KEY)
    assert told.exit_code == 0, told.stderr
