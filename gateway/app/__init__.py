"""The composition root: the only floor that names a concrete adapter for a port, and mounts both planes."""

from gateway.app.gateway import Gateway, build

__all__ = ["Gateway", "build"]
