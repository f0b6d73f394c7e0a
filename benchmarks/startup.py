"""What a newcomer waits for: the import, the help text, the first picture.

    python benchmarks/startup.py

Each figure is the median of several fresh processes. The import is told as what it adds to importing numpy and cv2;
`import framehook` alone loads nothing.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2

from framehook.inference.sources import open_source

BASE = "import time; began = time.perf_counter(); import numpy, cv2; print(time.perf_counter() - began)"
WHOLE = BASE.replace("import numpy, cv2;", "import numpy, cv2; from framehook import Model;")
FIRST = "import sys; from framehook import Model; print(len(Model().predict(sys.argv[1])))"


def printed_seconds(program: str) -> float:
    """What a program in a fresh interpreter measures and prints."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return float(done.stdout)


def wall_seconds(command: Sequence[str]) -> float:
    """How long a whole process takes."""
    began = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = range(parser.parse_args().rounds)

    printed_seconds(WHOLE)  # warm-up: file cache and byte code
    added = [printed_seconds(WHOLE) - printed_seconds(BASE) for _ in rounds]
    print(f"from framehook import Model: {statistics.median(added):.3f} s more than numpy and cv2 together")
    helped = [wall_seconds([sys.executable, "-m", "framehook", "--help"]) for _ in rounds]
    print(f"framehook --help: {statistics.median(helped):.2f} s")
    with tempfile.TemporaryDirectory() as folder, open_source("testsrc:640x480@30:1") as scene:
        path = Path(folder) / "picture.png"
        for frame in scene:
            cv2.imwrite(str(path), frame.image)
        first = [wall_seconds([sys.executable, "-c", FIRST, str(path)]) for _ in rounds]
    print(f"a first image predicted, from a cold start: {statistics.median(first):.2f} s")


if __name__ == "__main__":
    main()
