import subprocess
import sys

import pytest

PROGRAM = """
import os
from framehook import Model
Model('yolo11n.yaml')
print(os.environ.get('GOMP_SPINCOUNT'))
"""


@pytest.mark.parametrize(
    ("given", "before", "expected"),
    [
        ({}, "", "1000"),
        ({"GOMP_SPINCOUNT": "5"}, "", "5"),
        ({"OMP_WAIT_POLICY": "active"}, "", "None"),
        ({}, "import torch", "None"),
    ],
    ids=["by default", "count said", "policy said", "torch is there"],
)
def test_threads_of_pytorch_soon_sleep_unless_the_user_said_otherwise(given, before, expected, monkeypatch):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    done = subprocess.run([sys.executable, "-c", before + PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
