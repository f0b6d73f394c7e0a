"""How the threads of PyTorch wait for each other."""

from __future__ import annotations

import os
import sys


def wait_briefly() -> None:
    """Have OpenMP's threads sleep soon where they wait, unless the user chose; to be called before torch is imported.

    By default they spin for long. That is well where each has a core to itself; beside a camera, a decoder or a window it is
    not. A call of YOLO11n with two threads on two cores took 25 ms on an idle machine and 130 to 550 ms (at times 2 s) where
    something else used the cores as well; with short spinning 28 and 50 to 65 ms; without any 45 and 40 ms.

    It sets GOMP_SPINCOUNT in the environment of this process, which processes that it starts inherit.
    """
    if "torch" in sys.modules or "OMP_WAIT_POLICY" in os.environ:
        return
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # read once, when PyTorch's wheel for Linux loads its libgomp
