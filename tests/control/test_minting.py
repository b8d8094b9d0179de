from gateway.control.minting import new_key, new_secret, shown_prefix
from gateway.core.keys import digest


def test_secrets_are_long_and_never_the_same() -> None:
    secrets = {new_secret().reveal() for _ in range(1000)}
    assert len(secrets) == 1000
    assert all(secret.startswith("tk-") and len(secret) == 46 for secret in secrets)


def test_a_key_keeps_the_digest_and_a_prefix_of_its_secret_only() -> None:
    secret = new_secret()
    key = new_key(secret, "ci", 5, team="t", models=("m",), labels={"a": "b"}, expires_us=9)
    assert (key.name, key.created_us, key.team, key.models, key.expires_us) == ("ci", 5, "t", ("m",), 9)
    assert key.digest == digest(secret.reveal())
    assert secret.reveal().startswith(key.prefix)
    assert key.prefix == shown_prefix(secret)
    assert len(key.prefix) == 9
    assert secret.reveal() not in repr(key)
    assert new_key(secret, "ci", 5).id != key.id
