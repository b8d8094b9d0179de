"""What one check has found, in words for a person. Knows no check."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from gateway.core.errors import Fault


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """It works; somebody should look."""
    FAILED = "failed"
    """It does not work, or figures are missing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    check: str
    state: State
    detail: str
    """What was seen."""
    advice: str | None = None
    """What to do about it; none if all is well."""

    @property
    def failed(self) -> bool:
        return self.state is State.FAILED

    def scrubbed(self, scrub: Callable[[str], str]) -> "Finding":
        """The same without secrets, whoever put them into an error."""
        return replace(self, detail=scrub(self.detail), advice=self.advice and scrub(self.advice))


def ok(check: str, detail: str) -> Finding:
    return Finding(check, State.OK, detail)


def warning(check: str, detail: str, advice: str) -> Finding:
    return Finding(check, State.WARNING, detail, advice)


def failed(check: str, detail: str, advice: str | None) -> Finding:
    return Finding(check, State.FAILED, detail, advice)


def fault(check: str, error: Fault | OSError) -> Finding:
    """A check that could not be carried out, and why."""
    if isinstance(error, Fault):
        return failed(check, error.message, error.hint)
    return failed(check, f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "), None)
