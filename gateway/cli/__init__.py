"""The program. Imports for a command what it needs: whoever serves would keep the others for weeks, 2 MB of them."""

import sys


def main() -> None:
    """The program `tollkeeper`."""
    if sys.argv[1:2] == ["serve"]:
        from gateway.cli.serve import app
    else:
        from gateway.cli.commands import app
    app(prog_name="tollkeeper")
