"""What the tests of training share: a dataset of shapes, and networks small enough to train in a test."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from framehook.training.data.example import write_example

if TYPE_CHECKING:
    from framehook.inference.nets.net import DetectionNet

CLASSES = ("circle", "square", "triangle")


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data.yaml of 24 pictures to train on and 8 to validate on, of 96 x 72 pixels; not to be written to."""
    return write_example(tmp_path_factory.mktemp("example") / "shapes", train=24, val=8, size=(96, 72), classes=CLASSES)


@pytest.fixture
def tiny_net() -> DetectionNet:
    """YOLO11 in miniature, for the classes of `example`; the same weights in every test."""
    return _tiny("yolo11n")


@pytest.fixture
def tiny_net26() -> DetectionNet:
    """YOLO26 in miniature: two heads, and no distributions."""
    return _tiny("yolo26n")


def _tiny(name: str) -> DetectionNet:
    torch = pytest.importorskip("torch")
    from framehook.inference.nets.architecture import Scale, architecture_of
    from framehook.inference.nets.net import DetectionNet

    architecture = dataclasses.replace(
        architecture_of(name, nc=len(CLASSES)), scale=Scale(0.33, 0.0625, 1024), name=f"{name}-tiny"
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return DetectionNet(architecture, names=dict(enumerate(CLASSES)))
