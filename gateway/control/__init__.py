"""The control plane: what the operator sees and changes, one file per feature."""

import sys

# FastAPI asks of each type whether it is a model of pydantic's first version, and imports that to find out: 1.6 MB, and
# 20 ms of a start. Nobody has such models here; where it cannot be imported, FastAPI takes that for the answer.
sys.modules.setdefault("pydantic.v1", None)  # type: ignore[arg-type]  # this is how an import is refused
