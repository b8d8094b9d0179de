"""What is this machine, and what may have come from another. Both planes decide by the same words."""

from ipaddress import ip_address
from urllib.parse import urlsplit

FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
"""Header fields of a request that somebody passed on, names in lower case."""


def is_loopback_address(text: str) -> bool:
    """Whether this is an address of the loopback, IPv4, IPv6 or the one inside the other; a name is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def host_of(field: str) -> str:
    """The host in a `Host` header, without port and brackets; empty if there is none."""
    try:
        return urlsplit(f"//{field}").hostname or ""
    except ValueError:
        return ""
