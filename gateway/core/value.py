"""The decorator of the values that every call makes dozens of.

Frozen where it counts: for the type checker `value(frozen=True)` is `dataclass(frozen=True)` and refuses any assignment
after the beginning. At run time nothing checks it, because a dataclass that is frozen at run time takes four times as
long to make, and a call makes some hundred fields. The compiler knows the decorator by what the type checker sees, and
makes classes of its own kind of them, which have no need of slots.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:

    def value(*, frozen):
        """A dataclass with equality and a hash, immutable by type."""
        assert frozen, "a value does not change"

        def made(cls):
            return dataclass(slots=not hasattr(cls, "__mypyc_attrs__"), unsafe_hash=True)(cls)

        return made


__all__ = ["value"]
