"""References to secrets: the settings say where a secret is, never what it is.

Owns `env:NAME` and `file:PATH` and how they are followed, on request and not before.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.settings.problems import Origin, Problem, SettingsError, Wrong

MAX_BYTES = 64 * 1024
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is kept. Safe to print; `resolve` is the only way to the secret."""

    scheme: str
    """`env` or `file`."""
    name: str
    """The variable's name, or the file's absolute path."""
    setting: str = field(default="", compare=False)
    """The setting that refers to it, `providers.openai.api_key`."""
    line: int | None = field(default=None, compare=False)
    source: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.scheme}:{self.name}"

    def resolve(self, environ: Mapping[str, str]) -> str:
        """The secret, without the white space around it.

        Raises `SettingsError` if the variable or file is missing, empty, not text, or of more than one line.
        """
        try:
            return self._checked(self._from_file() if self.scheme == "file" else self._from(environ))
        except Wrong as wrong:
            problem = Problem(self.line, self.setting, wrong.message, wrong.hint, self.source)
            raise SettingsError([problem]) from None

    def _from(self, environ: Mapping[str, str]) -> str:
        try:
            return environ[self.name]
        except KeyError:
            raise Wrong(f"the environment variable {self.name} is not set") from None

    def _from_file(self) -> str:
        try:
            with Path(self.name).open("rb") as file:
                raw = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise Wrong(f"the file {self.name} cannot be read: {error.strerror}") from None
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise Wrong(f"the file {self.name} is not UTF-8 text") from None

    def _checked(self, text: str) -> str:
        where = f"the file {self.name}" if self.scheme == "file" else f"the environment variable {self.name}"
        secret = text.strip()
        if not secret:
            raise Wrong(f"{where} is empty")
        if len(secret.encode()) > MAX_BYTES:
            raise Wrong(f"{where} holds more than {MAX_BYTES} bytes")
        if not secret.isprintable():
            raise Wrong(f"{where} holds more than one line of text")
        return secret


def parse_reference(text: str, path: tuple[str, ...], origin: Origin) -> SecretRef:
    """A reference from its text. Raises `Wrong`, which never repeats the text: it may be the secret itself."""
    scheme, colon, name = text.partition(":")
    setting = ".".join(path)
    if colon and scheme == "env" and _VARIABLE.fullmatch(name):
        return SecretRef("env", name, setting, origin.line, origin.source)
    if colon and scheme == "file" and name.strip():
        return SecretRef("file", str(origin.absolute(name)), setting, origin.line, origin.source)
    if scheme == "env" and colon:
        raise Wrong("what follows `env:` is not the name of an environment variable")
    raise Wrong("a secret is written as a reference, never as itself", "write `env:NAME` or `file:PATH`")
