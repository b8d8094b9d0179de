"""What is wrong with the settings: every mistake with its place, all of them at once.

Knows how a mistake reads; which values are right is the business of the rules.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something was written: a line of the file, or an environment variable (no line)."""

    source: str
    """The file as it was named, or the variable's name."""
    line: int | None
    folder: Path
    """What a relative path written there is relative to."""

    def absolute(self, text: str) -> Path:
        """The path that was written there, absolute, `~` resolved. Raises `Wrong`."""
        if not text.strip() or "\0" in text:
            raise Wrong("must be a path")
        try:
            return self.folder / Path(text).expanduser()
        except RuntimeError:
            raise Wrong("begins with `~`, and there is no such home folder") from None


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: what is wrong, where, and what to do. Never repeats a secret."""

    line: int | None
    """Counted from 1; None for an environment variable, or where a line says nothing."""
    path: str
    """The setting, `retries.attempts`; empty for the file as a whole."""
    message: str
    hint: str | None = None
    source: str | None = None
    """The file as it was named, or the environment variable."""

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}" if self.line is not None else self.source
        sentence = f"{self.message}; {self.hint}" if self.hint else self.message
        return ": ".join(part for part in (place, self.path, sentence) if part)


class SettingsError(Exception):
    """The settings cannot be used. `problems` holds every mistake, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Wrong(Exception):
    """A value that its rule does not take. Caught where values are read, and written down with its place."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Report:
    """Collects mistakes, so that reading can go on after the first."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, path: tuple[str, ...], origin: Origin, message: str, hint: str | None = None) -> None:
        self.problems.append(Problem(origin.line, ".".join(path), message, hint, origin.source))

    def raise_if_any(self) -> None:
        """Raises `SettingsError` with what was collected: the file first, line by line, then the environment."""
        if self.problems:
            raise SettingsError(sorted(self.problems, key=lambda p: (p.line is None, p.line or 0)))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was most likely meant, if one is close."""
    import difflib  # here: only a mistake needs it

    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known name, or all of them if none is close."""
    names = list(known)
    near = nearest(name, names)
    return f"did you mean `{near}`?" if near else "known here: " + ", ".join(names)
