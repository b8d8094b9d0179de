"""From a provider's key to the header fields that authorise a request.

The one place where a secret of a provider is revealed. A key of ours never leaves through it.
"""

from gateway.core.errors import Fault, Kind
from gateway.core.keys import PREFIX, Secret
from gateway.providers.catalog import Auth, KindFacts


def auth_headers(facts: KindFacts, api_key: Secret | None, client_key: Secret | None) -> list[tuple[str, str]]:
    """Header fields for one request: the configured key, else the client's own, else none.

    Raises `Fault` (forbidden) for a key of ours and `Fault` (invalid) for one that no header can carry;
    neither repeats the key.
    """
    secret = api_key if api_key is not None else client_key
    if secret is None:
        return []
    key = secret.reveal()
    if key.startswith(PREFIX):
        raise Fault(
            Kind.FORBIDDEN,
            f"a key that begins with {PREFIX} is one of this gateway's and is never sent to a provider",
            hint="give the provider's own key",
            param="api_key",
        )
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise Fault(
            Kind.INVALID,
            f"the key for a provider of kind {facts.name} is empty or has a space, a line break or a sign beyond ASCII",
            hint="check the variable or file that holds it",
            param="api_key",
        )
    if facts.auth is Auth.API_KEY:
        return [("api-key", key)]
    return [("authorization", f"Bearer {key}")]
