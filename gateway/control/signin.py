"""The admin token: from the environment, else made at first start and kept in the data folder for its owner alone."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from gateway.core.errors import Fault, Kind
from gateway.core.keys import Secret

VARIABLE = "TOLLKEEPER_ADMIN_TOKEN"
FILE = "admin-token"
ADMIN_PREFIX = "tka-"
"""Begins the tokens made here; not the prefix of a key for calls, so that nobody mistakes one for the other."""

_PRIVATE = 0o600


def admin_token(data_folder: Path, environ: Mapping[str, str]) -> Secret:
    """The admin token. An empty variable counts as none.

    Raises `Fault`: forbidden if others can read the file, invalid if it holds no token, unavailable if it cannot be
    made or read.
    """
    given = environ.get(VARIABLE, "").strip()
    if given:
        return Secret(given)
    path = data_folder / FILE
    try:
        if not path.exists():
            _make(path)
        return _read(path)
    except OSError as error:
        raise Fault(
            Kind.UNAVAILABLE, f"the admin token at {path} cannot be used: {error.strerror}", hint=f"or set {VARIABLE}"
        ) from error


def token_place(data_folder: Path, environ: Mapping[str, str]) -> str:
    """Where the admin token is, for the start message; never the token."""
    return f"the variable {VARIABLE}" if environ.get(VARIABLE, "").strip() else str(data_folder / FILE)


def _make(path: Path) -> None:
    """Write a new token under another name first: whoever finds the file finds a whole token in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{FILE}-{secrets.token_hex(8)}")
    # The mode is right from the first moment: a `chmod` afterwards would leave one in which others can read.
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _PRIVATE)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{ADMIN_PREFIX}{secrets.token_urlsafe(32)}\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        # Another process was faster: its token is the token.
        return
    finally:
        draft.unlink()


def _read(path: Path) -> Secret:
    with path.open() as file:
        mode = os.fstat(file.fileno()).st_mode & 0o777
        token = file.read().strip()
    if mode & 0o077:
        hint = f"if nobody has read it: chmod 600 {path}; else delete it, and the next start makes another"
        raise Fault(Kind.FORBIDDEN, f"others can read the admin token at {path} (mode {mode:03o})", hint=hint)
    if not token:
        raise Fault(Kind.INVALID, f"the admin token at {path} is empty", hint="delete it: the next start makes one")
    return Secret(token)
