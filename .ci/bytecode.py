"""Imports what a start, a migration, a count of tokens and the demo import: thereby Python writes its bytecode.

pip would write it for all that it installs, which takes half a minute, and most of it is never imported. Without any,
where PYTHONDONTWRITEBYTECODE is set, every start would compile everything anew: a second more, and 6 MB that stay.
"""

import compileall
import contextlib
import io
import os
from importlib import import_module
from pathlib import Path

HOUSE = Path(__file__).parents[1]
OURS = ("gateway.app", "gateway.cli.demo.stage", "gateway.server.server")
ON_DEMAND = ("aiosqlite", "alembic.command", "alembic.config", "anyio", "tiktoken", "uvloop")

for name in (*OURS, *ON_DEMAND):
    import_module(name)
import_module("anyio").run(import_module("anyio").sleep, 0)  # imports what it runs on
# A command reads its arguments and the settings, whatever these are here, by more than is imported for its help.
with (
    contextlib.redirect_stdout(io.StringIO()),
    contextlib.redirect_stderr(io.StringIO()),
    contextlib.suppress(SystemExit),
):
    import_module("gateway.cli.commands").app(["config", "check", "--config", os.devnull])
for folder in ("gateway", "migrations"):
    compileall.compile_dir(HOUSE / folder, quiet=1)
