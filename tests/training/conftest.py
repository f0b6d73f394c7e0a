"""What the tests of training share: a dataset of shapes, and networks small enough to train in a test."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from framehook.inference.callbacks import registry
from framehook.inference.nets.architecture import Architecture, Scale, architecture_of, parse
from framehook.training.data.example import write_example

if TYPE_CHECKING:
    from framehook.inference.nets.net import DetectionNet

CLASSES = ("circle", "square", "triangle")
TINY = Scale(depth=0.33, width=0.0625)


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data.yaml of 24 pictures to train on and 8 to validate on, of 96 x 72 pixels; not to be written to."""
    return write_example(tmp_path_factory.mktemp("example") / "shapes", train=24, val=8, size=(96, 72), classes=CLASSES)


@pytest.fixture
def tiny_net() -> DetectionNet:
    """Blocks and head of YOLO11 in seven layers, for the classes of `example`; the same weights in every test."""
    return _tiny()


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of `tiny_net`; not to be written to."""
    net, file = _tiny(), tmp_path_factory.mktemp("tiny") / "tiny.pt"
    from framehook.inference.nets.save import save_checkpoint

    save_checkpoint(file, net)
    return file


@pytest.fixture
def patient_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Background callbacks are waited for at the end, however long the machine holds their thread up."""
    monkeypatch.setattr(registry, "DRAIN_SECONDS", 60.0)


def _tiny() -> DetectionNet:
    layers = [
        *([-1, 1, "Conv", [64, 3, 2]], [-1, 1, "Conv", [128, 3, 2]], [-1, 1, "C3k2", [256, False, 0.25]]),
        *([-1, 1, "Conv", [256, 3, 2]], [-1, 1, "Conv", [512, 3, 2]], [-1, 1, "Conv", [1024, 3, 2]]),
    ]
    head = [[[3, 4, 5], 1, "Detect", ["nc"]]]
    scales = {"": [TINY.depth, TINY.width, TINY.max_channels]}
    description = {"backbone": layers, "head": head, "nc": len(CLASSES), "scales": scales, "yaml_file": "tiny.yaml"}
    return _same(parse(description, source="tiny"))


@pytest.fixture
def tiny_net26() -> DetectionNet:
    """All of YOLO26, as thin as can be: two heads, and no distributions."""
    whole = architecture_of("yolo26n", nc=len(CLASSES))
    return _same(dataclasses.replace(whole, scale=TINY, name="yolo26n-tiny"))


def _same(architecture: Architecture) -> DetectionNet:
    """A network of this architecture, with the same weights each time."""
    torch = pytest.importorskip("torch")

    from framehook.inference.nets.net import DetectionNet

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return DetectionNet(architecture, names=dict(enumerate(CLASSES)))
