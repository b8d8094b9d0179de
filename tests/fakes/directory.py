"""An in-memory `Directory`."""

from collections.abc import Sequence

from gateway.core.routing import Target


class FixedDirectory:
    """Knows what it was told."""

    def __init__(self, *targets: Target) -> None:
        self.targets = targets
        self.asked: list[str] = []

    async def find(self, model: str) -> tuple[Target, ...]:
        self.asked.append(model)
        return tuple(target for target in self.targets if target.model == model)

    async def names(self) -> Sequence[str]:
        return [target.name for target in self.targets]
