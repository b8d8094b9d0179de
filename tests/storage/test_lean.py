import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from gateway.storage.lean import import_alone

WITHOUT = ("sqlalchemy.orm", "sqlalchemy.ext.asyncio.session", "sqlalchemy.dialects.postgresql.base")


@pytest.fixture
def package(tmp_path: Path) -> Iterator[str]:
    """A package of two modules, which imports both; `above.lean` leaves nothing behind."""
    name = "above.lean"
    folder = tmp_path / "above" / "lean"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("")
    (folder / "__init__.py").write_text("from .heavy import weight\nfrom .part import word\nname = 'whole'\n")
    (folder / "part.py").write_text("word = 'alone'\n")
    (folder / "heavy.py").write_text("weight = 7\n")
    sys.path.insert(0, str(tmp_path))
    import_module("above")
    yield name
    sys.path.remove(str(tmp_path))
    for one in [one for one in sys.modules if one.partition(".")[0] == "above"]:
        del sys.modules[one]


def test_a_part_comes_alone_and_the_rest_once_it_is_asked_for(package: str) -> None:
    import_alone(package, "part")
    assert sys.modules[f"{package}.part"].word == "alone"
    assert f"{package}.heavy" not in sys.modules

    whole = import_module(package)
    assert (whole.weight, whole.word, whole.name) == (7, "alone", "whole")
    assert f"{package}.heavy" in sys.modules
    assert sys.modules["above"].lean is whole


def test_another_module_of_the_package_is_found_without_the_rest(package: str) -> None:
    import_alone(package, "part")
    heavy = import_module(f"{package}.heavy")
    assert heavy.weight == 7
    assert "name" not in vars(sys.modules[package])


def test_what_is_not_there_is_an_error_as_ever(package: str) -> None:
    import_alone(package, "part")
    whole = import_module(package)
    for _ in range(2):
        with pytest.raises(AttributeError, match="lighter"):
            _ = whole.lighter
    with pytest.raises(ModuleNotFoundError, match=r"above\.no"):
        import_alone("above.no", "part")


def test_a_package_that_is_imported_already_stays_as_it_is(package: str) -> None:
    before = import_module(package)
    import_alone(package, "part")
    assert sys.modules[package] is before
    assert before.weight == 7


def test_storage_is_imported_without_what_it_does_not_use_and_others_may_use_it_still() -> None:
    script = f"""
import sys
import gateway.storage.engine, gateway.storage.ledger, gateway.storage.accounts, gateway.storage.reports
print(sorted(set(sys.modules) & set({WITHOUT!r})))
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.dialects.postgresql import JSONB, insert
from gateway.storage import lean
print(AsyncEngine is lean.AsyncEngine, create_async_engine is lean.create_async_engine, insert is lean.insert)
print(sorted(set({WITHOUT!r}) - set(sys.modules)))
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.splitlines() == ["[]", "True True True", "[]"]
