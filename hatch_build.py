"""Compiles the hot path into the wheel (mypyc), where that is possible; elsewhere the wheel is plain Python.

The sources are one and the same. Compiled they take about half the time for a call. Without a C compiler, or with
`TOLLKEEPER_COMPILE=0`, the wheel is built from Python alone and says so; `TOLLKEEPER_COMPILE=1` makes that an error.
Knows which modules are compiled (pyproject.toml has their names), nothing of what they do.
"""

import ast
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# One run of the C compiler for all modules: calls between them are plain calls of C, and that is half of the gain.
_SETUP = """
from mypyc.build import mypycify
from setuptools import setup

setup(name="compiled", ext_modules=mypycify({arguments!r}, opt_level="3", debug_level="0", strict_dunder_typing=True))
"""


_FACTORY = "field(default_factory="


def with_beginnings(source: str) -> str:
    """The same module, with the beginning of every value written out: `__init__`, one assignment for each field.

    A dataclass writes it at run time, in Python, which takes five times as long, and a call makes some twenty values.
    """
    lines = source.splitlines()
    values = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and _is_value(node)]
    for node in reversed(values):
        assert node.end_lineno is not None, "what was parsed from text has its place there"
        lines[node.end_lineno : node.end_lineno] = _beginning(node)
        lines[node.decorator_list[0].lineno - 1] = "@_dataclasses.dataclass(init=False, unsafe_hash=True)"
    if values:
        first = next(node for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom))
        lines.insert(first.lineno - 1, "import dataclasses as _dataclasses")
    return "\n".join(lines) + "\n"


def _is_value(node: ast.ClassDef) -> bool:
    """Whether this is a value whose beginning is nothing but assignments."""
    given = [ast.unparse(field.value) for field in node.body if isinstance(field, ast.AnnAssign) and field.value]
    special = [text for text in given if "field(" in text and not text.startswith(_FACTORY)]
    return [ast.unparse(one) for one in node.decorator_list] == ["value(frozen=True)"] and not special


def _beginning(node: ast.ClassDef) -> list[str]:
    parameters, assignments = ["self"], []
    for field in node.body:
        if not isinstance(field, ast.AnnAssign):
            continue
        name, kind = ast.unparse(field.target), ast.unparse(field.annotation)
        given = "" if field.value is None else ast.unparse(field.value)
        if not given:
            parameters.append(f"{name}: {kind}")
            assignments.append(f"self.{name} = {name}")
        elif given.startswith(_FACTORY):
            made = given.removeprefix(_FACTORY).removesuffix(")")
            parameters.append(f"{name}: {kind} | None = None")
            assignments.append(f"self.{name} = {name} if {name} is not None else {made}()")
        else:
            parameters.append(f"{name}: {kind} = {given}")
            assignments.append(f"self.{name} = {name}")
    return ["", f"    def __init__({', '.join(parameters)}) -> None:", *(f"        {one}" for one in assignments)]


class CompileHotPath(BuildHookInterface):  # type: ignore[type-arg]  # the hook of hatchling's, whatever its builder is
    """Called by hatchling for each wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds the compiled modules to a wheel; an editable installation stays as it is. Raises `RuntimeError`."""
        wanted = os.environ.get("TOLLKEEPER_COMPILE", "auto")
        if version == "editable" or wanted == "0":
            return
        self._work = Path(tempfile.mkdtemp(prefix="tollkeeper-build-"))
        trouble = self._compile()
        if trouble is not None:
            if wanted == "1":
                raise RuntimeError(f"the hot path could not be compiled:\n{trouble}")
            self.app.display_warning(f"a wheel of plain Python, which takes twice the time for a call: {trouble}")
            return
        for built in self._work.rglob("*" + sysconfig.get_config_var("EXT_SUFFIX")):
            if "build" not in built.relative_to(self._work).parts:
                build_data["force_include"][str(built)] = str(built.relative_to(self._work))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Leaves nothing behind."""
        if hasattr(self, "_work"):
            shutil.rmtree(self._work, ignore_errors=True)

    def _compile(self) -> str | None:
        """Compiles a copy of the package in place; what went wrong, if anything did."""
        if shutil.which(os.environ.get("CC", "cc")) is None:
            return "there is no C compiler"
        shutil.copytree(Path(self.root) / "gateway", self._work / "gateway", ignore=shutil.ignore_patterns("*.so"))
        for module in self._modules():
            path = self._work / module
            path.write_text(with_beginnings(path.read_text("utf-8")), "utf-8")
        (self._work / "mypy.ini").write_text("[mypy]\nstrict = True\nwarn_unused_ignores = False\n")
        arguments = ["--config-file", "mypy.ini", *self._modules()]
        (self._work / "setup.py").write_text(_SETUP.format(arguments=arguments))
        command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
        run = subprocess.run(command, cwd=self._work, capture_output=True, text=True, check=False)  # noqa: S603  ours
        if run.returncode == 0:
            return None
        return "\n".join((run.stdout + run.stderr).strip().splitlines()[-20:])

    def _modules(self) -> list[str]:
        """The files to compile, by the patterns of the settings."""
        found = {path for pattern in self.config["modules"] for path in self._work.glob(pattern)}
        left = {path for pattern in self.config["plain"] for path in self._work.glob(pattern)}
        return sorted(str(path.relative_to(self._work)) for path in found - left if path.name != "__init__.py")
