"""What all tests share: recorded data, and a watch over threads that are left behind."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

# Test processes that run side by side would fight for the cores, each with as many threads as there are.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Hundreds of tests start a process; where it may not keep what it has compiled, each of them compiles everything anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

ROOT = Path(__file__).resolve().parents[1]
GRACE = 30.0
"""Seconds that threads of a test are waited for, however busy the machine is: those that are left behind never end. A reader of
a camera that hangs is abandoned, and ends later by itself."""


def pytest_collection_finish() -> None:
    """Spare the collector what was imported: it would go through all of it again and again, and finds nothing."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of recorded clips and models: $FRAMEHOOK_TEST_DATA, or shared/data beside the checkout."""
    named = os.environ.get("FRAMEHOOK_TEST_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no recorded test data at {folder}; set FRAMEHOOK_TEST_DATA to where it is")
    return folder


@pytest.fixture(autouse=True)
def _no_thread_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test after which a thread of ours, or one that would keep the interpreter alive, still runs.

    A test that hangs a thread on purpose is marked `leaves_threads`.
    """
    before = set(threading.enumerate())
    yield
    if request.node.get_closest_marker("leaves_threads"):
        return
    deadline = time.monotonic() + GRACE
    while left := [each for each in threading.enumerate() if each not in before and _matters(each)]:
        if time.monotonic() > deadline:
            pytest.fail(f"threads left behind: {', '.join(sorted(each.name for each in left))}")
        left[0].join(0.05)


def _matters(thread: threading.Thread) -> bool:
    return thread.is_alive() and (not thread.daemon or thread.name.startswith("framehook-"))
