"""The values that a call grows through."""

from tests.proxy.rig import chat, rig


def test_an_arrival_knows_its_public_path() -> None:
    assert rig().arrival(chat()).path == "/v1/chat/completions"
