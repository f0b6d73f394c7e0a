"""What a training starts from: a checkpoint, an architecture, or a network of the user's own."""

from __future__ import annotations

import copy
import dataclasses
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch

from framehook.inference.checkpoints import read_checkpoint
from framehook.inference.errors import ModelFormatError, ModelNotFoundError, OptionError
from framehook.inference.load import BUNDLED, CHECKPOINTS, DESCRIPTIONS
from framehook.inference.nets.architecture import known_architectures
from framehook.inference.nets.load import read_architecture
from framehook.inference.nets.net import DetectionNet
from framehook.inference.nets.restore import net_from

log = logging.getLogger("framehook")

_LAST: Final = re.compile(r"\.(one2one_)?cv3\.\d+\.2\.(weight|bias)$")
"""What the last layers of class branches are called, which have a row for each class."""


def network_to_train(source: Any, names: Mapping[int, str], *, architecture: str | None = None, seed: int = 0) -> DetectionNet:
    """A network for the classes of a dataset, with as many weights of what it starts from as fit.

    Args:
        source: Path of a `.pt` checkpoint, name or file of an architecture (`yolo11n.yaml`), or a `DetectionNet`, which is
            copied.
        names: Class number to class name.
        architecture: Name of the network of a checkpoint that holds weights alone.
        seed: Of weights that are random.

    Raises:
        ModelNotFoundError: there is no such file.
        ModelFormatError: it is nothing that can be trained.
    """
    torch.manual_seed(seed)
    if isinstance(source, DetectionNet):
        own = copy.deepcopy(source).requires_grad_(True)
        if own.detect.reg_max > 1:
            own.detect.dfl.requires_grad_(False)  # which is no weight, but the numbers of its bins
        return _for_classes(own, names, "the network")
    if isinstance(source, str | Path) and source != BUNDLED:
        path = Path(source).expanduser()
        if path.suffix.lower() in DESCRIPTIONS:
            described = read_architecture(path)
            return DetectionNet(dataclasses.replace(described, nc=len(names)), names=names, source=str(source))
        if path.suffix.lower() in CHECKPOINTS:
            if not path.is_file():
                raise ModelNotFoundError(f"no checkpoint at {path}; pass the path of a .pt file that you have{_random(path)}")
            net = net_from(read_checkpoint(path), source=str(path), architecture=architecture)
            return _for_classes(net, names, path.name)
        if not path.is_file() and not path.suffix:
            raise ModelNotFoundError(f"no checkpoint at {path}; pass the path of a .pt file{_random(path)}")
    what = "the bundled detector" if source is None or source == BUNDLED else str(source)
    raise ModelFormatError(
        f"{what} cannot be trained; start from a .pt checkpoint, or from an architecture with random weights: "
        "Model('yolo11n.yaml')"
    )


def _random(path: Path) -> str:
    """What to pass for random weights, where a name is that of an architecture, and otherwise."""
    name = path.stem if path.stem in known_architectures() else "yolo11n"
    return f", or {name}.yaml to begin with random weights"


def _for_classes(net: DetectionNet, names: Mapping[int, str], source: str) -> DetectionNet:
    """The network itself where it has these classes, else one like it that has, with all weights of the same shape."""
    if net.names == dict(names):
        return net
    made = DetectionNet(dataclasses.replace(net.architecture, nc=len(names)), names=names, source=source)
    wanted, given = made.state_dict(), net.state_dict()
    fitting = {key: value for key, value in given.items() if key in wanted and wanted[key].shape == value.shape}
    numbers = {name: number for number, name in net.names.items()}
    pairs = [(number, numbers[name]) for number, name in names.items() if name in numbers]
    for key in [key for key in wanted if _LAST.search(key)] if pairs else []:
        # A class that both know keeps what was learned of it, whatever its number.
        fitting.pop(key, None)
        if wanted[key].shape[1:] == given[key].shape[1:]:
            rows = fitting[key] = wanted[key].clone()
            for number, before in pairs:
                rows[number] = given[key][before]
    made.load_state_dict(fitting, strict=False)
    made.head = net.head
    if len(fitting) < len(wanted):
        log.info(
            "%s has %d classes, the data %d: %d of %d tensors are taken over, the rest begins at random",
            source,
            net.architecture.nc,
            len(names),
            len(fitting),
            len(wanted),
        )
    return made


def freeze_layers(net: DetectionNet, freeze: int | Sequence[int] | None) -> frozenset[int]:
    """Let the layers that `TrainOptions.freeze` means learn nothing, and return their numbers.

    Raises:
        OptionError: the network has no such layer, or every layer was named.
    """
    frozen = frozenset(range(freeze) if isinstance(freeze, int) else freeze or ())
    count = len(net.model)
    if frozen and (max(frozen) >= count or len(frozen) >= count):
        raise OptionError(f"freeze={freeze} is too many: the network has the layers 0 to {count - 1}, and one must learn")
    for number in frozen:
        net.model[number].requires_grad_(False)
    return frozen
