import os
import subprocess
import sys

import pytest

from framehook.inference.backends.openmp import wait_briefly

PROGRAM = """
import os, sys
from framehook import Model
Model(sys.argv[1])
print(os.environ.get('GOMP_SPINCOUNT'))
"""
SMALL = "nc: 1\nbackbone:\n  - [-1, 1, Conv, [16, 3, 2]]\nhead:\n  - [-1, 1, Detect, [nc]]\n"


def test_threads_of_pytorch_soon_sleep(tmp_path, monkeypatch):
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    (tmp_path / "small.yaml").write_text(SMALL, encoding="utf-8")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "small.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1000"


@pytest.mark.parametrize(
    ("given", "there", "expected"),
    [
        ({}, False, "1000"),
        ({"GOMP_SPINCOUNT": "5"}, False, "5"),
        ({"OMP_WAIT_POLICY": "active"}, False, None),
        ({}, True, None),
    ],
    ids=["by default", "count said", "policy said", "torch is there"],
)
def test_unless_the_user_said_otherwise_or_it_is_too_late(given, there, expected, monkeypatch):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")  # so that what is set below is taken back
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(sys.modules, "torch", sys)
    if not there:
        monkeypatch.delitem(sys.modules, "torch")
    wait_briefly()
    assert os.environ.get("GOMP_SPINCOUNT") == expected
