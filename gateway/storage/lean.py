"""Those parts of SQLAlchemy that come in packages with much that no gateway uses, 10 MB of it.

Its asynchronous connections stand beside the sessions of its object mapper, its `ON CONFLICT` beside all that it knows
of PostgreSQL. Imported from here they come alone; the rest of the package follows where somebody asks for it.
"""

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import Any


def import_alone(package: str, part: str) -> None:
    """Imports a module of a package before the package itself, which is imported when anything else of it is asked for.

    That has to be asked for by one thread. Does what `import` does where the package is imported already.
    """
    if package in sys.modules:
        import_module(f"{package}.{part}")
        return
    spec = find_spec(package)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"there is no package {package}", name=package)
    loader, bare = spec.loader, module_from_spec(spec)
    sys.modules[package] = bare
    above, _, name = package.rpartition(".")
    setattr(sys.modules[above], name, bare)
    import_module(f"{package}.{part}")

    def rest(wanted: str) -> Any:
        del bare.__getattr__
        loader.exec_module(bare)
        return getattr(bare, wanted)

    bare.__getattr__ = rest  # type: ignore[method-assign]


import_alone("sqlalchemy.ext.asyncio", "engine")
import_alone("sqlalchemy.dialects.postgresql", "dml")
import_module("greenlet")  # which that package would have done; else the first query does

from sqlalchemy.dialects.postgresql.array import ARRAY as ARRAY  # noqa: E402 - alone by now
from sqlalchemy.dialects.postgresql.dml import Insert as Insert  # noqa: E402
from sqlalchemy.dialects.postgresql.dml import insert as insert  # noqa: E402
from sqlalchemy.ext.asyncio.engine import AsyncConnection as AsyncConnection  # noqa: E402
from sqlalchemy.ext.asyncio.engine import AsyncEngine as AsyncEngine  # noqa: E402
from sqlalchemy.ext.asyncio.engine import create_async_engine as create_async_engine  # noqa: E402
