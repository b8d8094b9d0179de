"""What the control plane is given to work with limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.core.limits import Limit
from gateway.storage.limits import LimitRepository, LimitStore


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitDesk:
    """Everything about limits."""

    repository: LimitRepository
    store: LimitStore
    """Refreshed after each change, so that it holds here at once."""
    declared: tuple[Limit, ...] = ()
    """Those of the settings file."""
    places: Mapping[str, str | None] = field(default_factory=dict)
    """Where the settings file declares them: `tollkeeper.yaml, line 12`."""
