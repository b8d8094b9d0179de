"""The composition root: the only floor that names a concrete adapter for a port, and mounts both planes."""

from gateway.app.gateway import Gateway, build
from gateway.app.team import Team, check_room

__all__ = ["Gateway", "Team", "build", "check_room"]
