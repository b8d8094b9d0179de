"""A key as the admin API and the command line write it: never its secret, never its digest."""

from typing import Any

from gateway.control import times
from gateway.control.key_terms import own_facts
from gateway.core.keys import Key
from gateway.core.money import usd_text
from gateway.storage.key_terms import NO_TERMS, OwnTerms


def key_facts(key: Key, terms: OwnTerms = NO_TERMS) -> dict[str, Any]:
    """The fields of a key, in the order in which they are written; times in RFC 3339."""
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "team": key.team,
        "models": None if key.models is None else list(key.models),
        "labels": dict(key.labels),
        "required_labels": list(key.required_labels),
        "max_cost_usd": None if key.max_cost_nano is None else usd_text(key.max_cost_nano),
        **own_facts(terms),
        # The settings file does not say when.
        "created_at": None if key.source == "file" else times.rfc3339(key.created_us),
        "expires_at": times.rfc3339(key.expires_us),
        "revoked_at": times.rfc3339(key.revoked_us),
        "old_secret_until": times.rfc3339(key.old_digest_until_us),
        "source": key.source,
    }
