"""Compiles the hot path into the wheel (mypyc), where that is possible; elsewhere the wheel is plain Python.

The sources are one and the same. Compiled they take about half the time for a call. Without a C compiler, or with
`TOLLKEEPER_COMPILE=0`, the wheel is built from Python alone and says so; `TOLLKEEPER_COMPILE=1` makes that an error.
Knows which modules are compiled (pyproject.toml has their names), nothing of what they do.
"""

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
