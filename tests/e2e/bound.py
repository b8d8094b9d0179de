"""The gateway as a program that asks for permission, whoever starts it: root would write what may only be read."""

import ctypes
import os
import sys

from tests.cli.terminal import PROGRAM

_DROP_CAPABILITY = 24
_OVERRIDE_PERMISSIONS = 1
"""`PR_CAPBSET_DROP` and `CAP_DAC_OVERRIDE` of Linux: what is dropped is gone with the next program."""

if __name__ == "__main__":
    system = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() == 0 and system.prctl(_DROP_CAPABILITY, _OVERRIDE_PERMISSIONS, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "root keeps the right to write everything")
    os.execv(PROGRAM[0], [*PROGRAM, *sys.argv[1:]])  # noqa: S606 - that is what it is for
