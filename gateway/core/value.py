"""The decorator of the values that every call makes dozens of.

Frozen where it counts: the type checker refuses any assignment after the beginning. At run time nothing checks it,
because a dataclass that is frozen at run time takes four times as long to make, and a call makes some hundred fields.
"""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True)
def value(cls: type[_T]) -> type[_T]:
    """A dataclass with slots, equality and a hash, immutable by type."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
