"""Where people reach this gateway, as far as its settings say."""

from gateway.settings.model import ServerSettings


def public_address(server: ServerSettings) -> str | None:
    """The begin of every link to it: `server.public_url`, else where it listens; null where that is no address yet."""
    if server.public_url is not None:
        return server.public_url
    if server.host in ("0.0.0.0", "::") or not server.port:  # noqa: S104 (compared with, not bound)
        return None
    host = f"[{server.host}]" if ":" in server.host else server.host
    return f"{'https' if server.tls else 'http'}://{host}:{server.port}"
