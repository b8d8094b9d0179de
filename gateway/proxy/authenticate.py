"""Presented key → caller, before a byte of the body is read (contract §4).

A keyless call is served only where nobody but this machine's user can send it: a web page in a browser,
a forwarded request and a foreign host name are refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.core.actions import InForce
from gateway.core.errors import Fault, Kind
from gateway.core.keys import KEYLESS, PREFIX, Secret
from gateway.core.local import FORWARDED, host_of, is_loopback_address
from gateway.ports import KeyRing
from gateway.proxy.call import Admitted


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """When a key is needed: always, never on loopback, or (None) as soon as one, or something by key, is configured."""

    required: bool | None
    bound_to_loopback: bool
    allowed_origins: frozenset[str] = frozenset()


class Authenticate:
    """Step one."""

    def __init__(
        self,
        keys: KeyRing,
        policy: KeyPolicy,
        counted: Callable[[], bool] = lambda: False,
        actions: Callable[[], InForce] = InForce,
    ) -> None:
        """`counted`: whether budgets or limits count by key now; `actions`: what alert rules have done, as it is in
        force now."""
        self._keys = keys
        self._policy = policy
        self._counted = counted
        self._actions = actions

    def __call__(self, headers: Mapping[str, str], peer: str | None) -> Admitted:
        """Raises `Fault` (bad key)."""
        presented = _presented(headers)
        if presented is not None:
            caller = self._keys.find(presented)
            if caller is not None:
                frozen = self._actions().frozen
                if frozen and caller.key in frozen:
                    raise Fault(Kind.BAD_KEY, frozen[caller.key])
                return Admitted(caller)
            if presented.startswith(PREFIX):
                raise Fault(Kind.BAD_KEY, "the API key is unknown, expired or revoked")
        if self._needed():
            if presented is None:
                raise Fault(Kind.BAD_KEY, "no API key was sent", hint="send one as `Authorization: Bearer`")
            raise Fault(Kind.BAD_KEY, "this is not a key of this gateway", hint="its keys begin with tk-")
        reason = self._not_local(headers, peer)
        if reason is not None:
            message = f"calls without a key are served on this machine alone, and {reason}"
            raise Fault(Kind.BAD_KEY, message, hint="create a key with `tollkeeper key create`")
        return Admitted(KEYLESS, Secret(presented) if presented else None)

    def _needed(self) -> bool:
        if self._policy.required is not None:
            return self._policy.required
        return not self._policy.bound_to_loopback or self._keys.any or self._counted()

    def _not_local(self, headers: Mapping[str, str], peer: str | None) -> str | None:
        """Why this keyless request may come from somebody else; None if it cannot."""
        if peer is None or not is_loopback(peer):
            return "this one comes from another"
        if not is_loopback(host_of(headers.get("host", ""))):
            return "this one names a foreign host"
        if any(name in headers for name in FORWARDED):
            return "this one was forwarded"
        origin = headers.get("origin")
        if origin is not None and origin not in self._policy.allowed_origins:
            here = urlsplit(origin)
            if not is_loopback(here.hostname or "") or here.netloc != headers.get("host"):
                return "this one was sent by a web page"
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and origin is None:
            return "this one was sent by a web page"
        return None


def _presented(headers: Mapping[str, str]) -> str | None:
    field = headers.get("authorization")
    if field is not None:
        scheme, _, token = field.partition(" ")
        return token.strip() or None if scheme.lower() == "bearer" else field
    return headers.get("api-key") or headers.get("x-api-key")


def is_loopback(host: str) -> bool:
    """Whether this host name or address is this machine."""
    return host == "localhost" or host.endswith(".localhost") or is_loopback_address(host)
