"""How the threads of PyTorch wait for each other."""

from __future__ import annotations

import os
import sys


def wait_asleep() -> None:
    """Have OpenMP's threads sleep where they wait, unless the user has said otherwise; to be called before torch is imported.

    By default they spin. That is well where each has a core to itself; beside a camera, a decoder or a window it is not: two
    threads of YOLO11n on two cores that something else used as well took 100 to 300 ms (at times 2 s) a call where they spun,
    and 40 ms where they slept.
    """
    if "torch" in sys.modules or "OMP_WAIT_POLICY" in os.environ:
        return
    os.environ.setdefault("GOMP_SPINCOUNT", "0")  # read once, when PyTorch's wheel for Linux loads its libgomp
