"""The averaged network of a training as a detector, which is validated after epochs, and whose loss is measured with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from framehook.inference.backends.pytorch import TorchBackend
from framehook.inference.decoders import class_names_of, input_format_of, resolve_decoder
from framehook.inference.detector import Detector
from framehook.inference.geometry import Letterbox
from framehook.inference.nets.load import metadata_of, output_of
from framehook.inference.nets.net import DetectionNet, Heads
from framehook.training.batch import Targets
from framehook.training.data.sample import Sample
from framehook.training.losses import DetectionLoss


class WatchedNet(nn.Module):
    """A network in evaluation mode that keeps what its heads gave for the last pictures.

    Attributes:
        heads: Of the last call; None before.
    """

    def __init__(self, net: DetectionNet) -> None:
        super().__init__()
        self.net = net
        self.heads: Heads | None = None

    def forward(self, x: Tensor) -> Tensor:
        """As the network's own, of the head that it reads."""
        detect = self.net.detect
        features = self.net.features(x)
        many = detect.raw(features, "one2many")
        one = detect.raw(features, "one2one") if detect.one_to_one else None
        self.heads = Heads(many, one)
        if self.net.head == "one2one":
            assert one is not None  # such a network has it
            return detect.pick(one)
        return detect.decode(many)


class Watched:
    """A network under training as a validator takes it; its weights may change between validations.

    Attributes:
        detector: The network with its decoder.
    """

    def __init__(self, net: DetectionNet, loss: DetectionLoss, *, imgsz: int, device: str) -> None:
        """Watch a network.

        Args:
            net: In evaluation mode; it is not copied.
            loss: What its outputs are measured by.
            imgsz: Side in pixels of the pictures it is trained at.
            device: What it is on.
        """
        self._watched = WatchedNet(net)
        self._loss = loss
        backend = TorchBackend(
            self._watched,
            device=device,
            input_shape=(None, net.architecture.channels, None, None),
            outputs=[output_of(net)],
            metadata=metadata_of(net, {"imgsz": [imgsz, imgsz]}),
            source="the network under training",
        )
        decoder = resolve_decoder(None, backend.network)
        self.detector = Detector(
            backend,
            decoder,
            names=class_names_of(backend.network, decoder),
            form=input_format_of(backend.network, decoder),
        )

    @torch.no_grad()
    def losses(self, samples: Sequence[Sample], placements: Sequence[Letterbox]) -> npt.NDArray[np.float64]:
        """The losses of the pictures that the detector saw last.

        Args:
            samples: Those pictures.
            placements: Where each lies in the network's input.

        Returns:
            The items of the loss, as in training.
        """
        heads = self._watched.heads
        assert heads is not None  # it saw them
        items: npt.NDArray[np.float64] = self._loss(heads, targets_of(samples, placements, heads))[1].double().cpu().numpy()
        self._watched.heads = None  # the memory is for the next pictures
        return items


def targets_of(samples: Sequence[Sample], placements: Sequence[Letterbox], heads: Heads) -> Targets:
    """What is labelled in pictures, in pixels of the network's input; crowds are left out."""
    picture, cls, xyxy = [], [], []
    for number, (sample, placement) in enumerate(zip(samples, placements, strict=True)):
        single = ~sample.crowd
        cls.append(sample.cls[single])
        xyxy.append(placement.to_input(sample.xyxy[single].astype(np.float32)))
        picture.append(np.full(len(cls[-1]), number, np.int64))
    return Targets(
        torch.from_numpy(np.concatenate(picture)),
        torch.from_numpy(np.concatenate(cls).astype(np.int64)),
        torch.from_numpy(np.concatenate(xyxy).astype(np.float32).reshape(-1, 4)),
    ).to(heads.one2many.boxes.device)
