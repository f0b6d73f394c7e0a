"""Going on with an interrupted training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from framehook.inference.checkpoints import Checkpoint
from framehook.inference.errors import DatasetError, OptionError, TrainingError
from framehook.inference.nets.net import DetectionNet
from framehook.inference.nets.restore import net_from
from framehook.training.arguments import plain_args
from framehook.training.checkpoints import TrainState, read_state
from framehook.training.options import TrainOptions

MAY_CHANGE: Final = ("data", "epochs", "time", "patience", "device", "workers", "cache", "save_period", "val_period", "plots")
"""Options that do not change what was trained so far; `data` for a dataset that was moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """An interrupted training.

    Attributes:
        path: Its checkpoint.
        args: Its options, with those that were given anew.
        state: Where it was.
        best_fitness: The best it had reached.
        checkpoint: The checkpoint's own weights are those of the average.
    """

    path: Path
    args: TrainOptions
    state: TrainState
    best_fitness: float | None
    checkpoint: Checkpoint

    @property
    def next_epoch(self) -> int:
        """Number of the epoch to go on with."""
        return self.state.epoch + 1 if self.state.is_whole else self.state.epoch

    @property
    def save_dir(self) -> Path:
        """Folder of its files."""
        folder = self.path.absolute().parent
        return folder.parent if folder.name == "weights" else folder

    def network(self, names: Mapping[int, str]) -> DetectionNet:
        """Its network, with the weights of the average.

        Raises:
            DatasetError: the classes of the data are others now.
        """
        net = net_from(self.checkpoint, source=str(self.path))
        if net.names != dict(names):
            raise DatasetError(
                f"{self.path} was trained for the classes {_listed(net.names)}, and the data now has {_listed(names)}; resume "
                "with the data as it was, or start another training from these weights: leave out resume"
            )
        return net

    def averaged(self) -> Mapping[str, Tensor]:
        """State dict of the average."""
        return {key: torch.from_numpy(value.copy()) for key, value in self.checkpoint.tensors.items()}


def resumed(source: Any, given: Mapping[str, Any]) -> Resumed:
    """Read where a training was.

    Args:
        source: What the model was loaded from, in case `resume` is but True.
        given: The options that were given, `resume` among them.

    Raises:
        OptionError: an option was given that cannot change now, or nothing to go on from.
        ModelError, TrainingError: it cannot be gone on from.
    """
    wanted = given["resume"]
    if wanted is True and not (isinstance(source, str | Path) and Path(source).suffix.lower() == ".pt"):
        raise OptionError(
            "resume=True goes on with the training that the model's checkpoint is from, and the model is from none; load its "
            "last.pt, or pass resume='runs/train/weights/last.pt'"
        )
    path = Path(source if wanted is True else wanted).expanduser()
    if path.is_dir():
        path = next((each for each in (path / "weights" / "last.pt", path / "last.pt") if each.is_file()), path)
    checkpoint, state = read_state(path)
    changes = {name: value for name, value in given.items() if name != "resume"}
    plain = plain_args(TrainOptions.build(changes), data=path)
    if fixed := [name for name in changes if name not in MAY_CHANGE and plain[name] != checkpoint.args.get(name)]:
        raise OptionError(
            f"{fixed[0]}={plain[fixed[0]]!r} cannot change while a training goes on, as it decides what came before; leave "
            f"it out, or start another training. {', '.join(MAY_CHANGE)} can"
        )
    known = TrainOptions().as_dict()
    told = {name: value for name, value in checkpoint.args.items() if name in known}
    try:
        args = TrainOptions.build({**told, **changes, "resume": str(path)})
    except OptionError as error:
        raise TrainingError(f"{path} cannot be gone on from: {error}") from error
    return Resumed(path=path, args=args, state=state, best_fitness=checkpoint.best_fitness, checkpoint=checkpoint)


def _listed(names: Mapping[int, str]) -> str:
    shown = ", ".join(list(names.values())[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
