"""Who gave a command, for the audit entry of what it changes."""

import getpass


def actor() -> str:
    """`cli:` and the user's name."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError):  # a container's user may have no name
        return "cli"
