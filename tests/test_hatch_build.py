"""What a wheel is compiled from: the same modules, with the beginnings of their values written out."""

import inspect
import sys
import types
from pathlib import Path

import pytest

from hatch_build import with_beginnings

HOUSE = Path(__file__).parent.parent
VALUES = sorted(
    path for path in (HOUSE / "gateway").rglob("*.py") if "\n@value(frozen=True)\n" in path.read_text("utf-8")
)


def test_there_are_values_to_compile() -> None:
    assert len(VALUES) > 10


@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.relative_to(HOUSE).as_posix())
def test_values_begin_as_they_do_in_python(path: Path) -> None:
    """Same parameters, same defaults, same content, still equal by content."""
    name = ".".join(path.relative_to(HOUSE).with_suffix("").parts)
    __import__(name)
    plain = sys.modules[name]
    written_out = types.ModuleType(f"written_out_{path.stem}")
    sys.modules[written_out.__name__] = written_out
    try:
        exec(compile(with_beginnings(path.read_text("utf-8")), str(path), "exec"), vars(written_out))  # noqa: S102  ours
    finally:
        del sys.modules[written_out.__name__]
    for made in [
        one for one in vars(written_out).values() if inspect.isclass(one) and one.__module__ == written_out.__name__
    ]:
        expected, found = (inspect.signature(cls).parameters for cls in (getattr(plain, made.__name__), made))
        assert list(found) == list(expected)
        required = {name for name, one in found.items() if one.default is one.empty}
        assert required == {name for name, one in expected.items() if one.default is one.empty}


def test_a_default_is_made_anew_for_each_value() -> None:
    source = (
        "from dataclasses import field\n"
        "from gateway.core.value import value\n\n\n"
        "@value(frozen=True)\n"
        "class Pair:\n"
        '    """Two."""\n\n'
        "    left: int\n"
        "    right: dict[str, int] = field(default_factory=dict)\n"
    )
    space: dict[str, object] = {"__name__": "pairs"}
    sys.modules["pairs"] = types.ModuleType("pairs")
    try:
        exec(with_beginnings(source), space)  # noqa: S102  ours
    finally:
        del sys.modules["pairs"]
    pair = space["Pair"]
    assert callable(pair)
    one, other = pair(1), pair(1)
    assert one == other
    assert one.right == {}
    assert one.right is not other.right
    assert pair(1, {"a": 2}).right == {"a": 2}


def test_what_has_no_values_stays_as_it_is() -> None:
    assert with_beginnings("import os\n\nNAME = os.name\n") == "import os\n\nNAME = os.name\n"
