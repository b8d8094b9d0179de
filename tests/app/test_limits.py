"""Limits of the file become limits of the core."""

from pathlib import Path

from gateway.app.limits import declared_limits
from gateway.core.limits import Limit
from gateway.core.scopes import scope_of
from gateway.settings import load

FILE = """\
limits:
  each-key: {scope: {key: "*", tag: [env=prod]}, rpm: 600, in_flight: 50}
keys:
  ci: {secret: env:CI, tpm: 1000}
  free: {secret: env:FREE}
"""


def test_of_scopes_and_of_keys(tmp_path: Path) -> None:
    config = tmp_path / "tollkeeper.yaml"
    config.write_text(FILE, encoding="utf-8")
    settings = load(config, {"CI": "tk-1", "FREE": "tk-2", "HOME": str(tmp_path)})
    assert declared_limits(settings) == (
        Limit("each-key", scope_of([("key", "*"), ("tag", "env=prod")]), 600, None, 50, "file"),
        Limit("key:ci", scope_of([("key", "ci")]), None, 1000, None, "file"),
    )
