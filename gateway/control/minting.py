"""How a key and its secret are made. Knows neither HTTP nor SQL; the command line makes its keys here too."""

import secrets
import uuid
from collections.abc import Mapping, Sequence

from gateway.core.keys import PREFIX, Key, Secret, digest
from gateway.core.money import Nano

SHOWN_CHARACTERS = len(PREFIX) + 6
"""How much of a secret is kept to recognise it by: 36 of its 256 bits."""


def new_secret() -> Secret:
    """A secret of 32 random bytes, in the alphabet of URLs."""
    return Secret(PREFIX + secrets.token_urlsafe(32))


def shown_prefix(secret: Secret) -> str:
    """The part of a secret that may be shown again."""
    return secret.reveal()[:SHOWN_CHARACTERS]


def new_key(
    secret: Secret,
    name: str,
    created_us: int,
    *,
    team: str | None = None,
    models: tuple[str, ...] | None = None,
    labels: Mapping[str, str] | None = None,
    expires_us: int | None = None,
    max_cost_nano: Nano | None = None,
    required_labels: Sequence[str] = (),
) -> Key:
    """The key behind a secret, as it is stored: with its digest only."""
    return Key(
        id=f"key-{uuid.uuid4().hex[:12]}",
        name=name,
        prefix=shown_prefix(secret),
        digest=digest(secret.reveal()),
        created_us=created_us,
        team=team,
        models=models,
        labels=dict(labels or {}),
        expires_us=expires_us,
        max_cost_nano=max_cost_nano,
        required_labels=tuple(dict.fromkeys(required_labels)),
    )
