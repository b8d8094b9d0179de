"""What the control plane knows of alerts, deliveries and channels. Filled by the composition root."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.ports import Channel
from gateway.storage.actions import ActionRepository, ActionStore
from gateway.storage.alerts import AlertRepository
from gateway.storage.deliveries import Outbox


@dataclass(frozen=True, slots=True)
class DeclaredChannel:
    """A channel that the settings file declares, and where: `tollkeeper.yaml, line 12`."""

    channel: Channel
    allow_private: bool = False
    place: str | None = None


@dataclass(frozen=True, slots=True)
class AlertDesk:
    """Everything about alerts."""

    repository: AlertRepository
    outbox: Outbox
    actions: ActionRepository
    acting: ActionStore
    """Those in force in this process's memory, refreshed after each decision so that it holds here at once."""
    channels: Mapping[str, DeclaredChannel] = field(default_factory=dict)
    rules: Sequence[Mapping[str, object]] = ()
    """What the settings file watches for, as it is shown."""
    base: str | None = None
    """What links to this gateway begin with; null if nobody knows."""
    owner: str = "admin"
    """This process, as the sender of tests."""
