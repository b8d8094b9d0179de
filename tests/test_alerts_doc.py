"""What `docs/alerts.md` gives to copy works: the settings, the event, and the check of a signature."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.core.alerts.event import TITLES
from gateway.core.keys import Secret
from gateway.notify.webhook import signature, signing_key
from gateway.settings import load

TEXT = (Path(__file__).parents[1] / "docs" / "alerts.md").read_text(encoding="utf-8")


def examples(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def example(language: str) -> str:
    (found,) = examples(language)
    return found


def test_the_settings_are_free_of_mistakes(tmp_path: Path) -> None:
    channels, reports = examples("yaml")
    text = channels + reports.removeprefix("alerts:\n")
    (tmp_path / "tollkeeper.yaml").write_text(text, encoding="utf-8")
    alerts = load(tmp_path / "tollkeeper.yaml", {}).alerts
    assert list(alerts.channels) == ["ops", "local", "team", "mail"]
    assert list(alerts.reports) == ["daily", "monthly"]


def test_the_event_is_json_and_every_type_is_named() -> None:
    assert json.loads(example("json"))["type"] in TITLES
    assert [kind for kind in TITLES if f"`{kind}`" not in TEXT] == []


@pytest.mark.parametrize("secret", ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "any text: ä"])
def test_the_check_of_a_signature_tells_ours_from_others(secret: str) -> None:
    names: dict[str, Any] = {}
    exec(example("python"), names)  # noqa: S102 (the document is ours)
    is_ours: Callable[[str, dict[str, str], bytes], bool] = names["is_ours"]
    at = int(time.time())
    signed = signature(signing_key(Secret(secret), "ops"), "msg-1", at, b"{}")
    headers = {"webhook-id": "msg-1", "webhook-timestamp": str(at), "webhook-signature": f"v1,AAAA {signed}"}
    assert is_ours(secret, headers, b"{}")
    assert not is_ours(secret, headers, b"{} ")
    assert not is_ours("another", headers, b"{}")
    assert not is_ours(secret, headers | {"webhook-timestamp": str(at - 301)}, b"{}")
