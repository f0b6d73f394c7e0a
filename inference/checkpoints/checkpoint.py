"""What a checkpoint holds, once it has been read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Kind: TypeAlias = Literal["ultralytics", "yolov5", "framehook", "state_dict"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """A checkpoint, as plain data.

    Attributes:
        kind: Who wrote it: `ultralytics`, `yolov5` (its net is of the classes `models.*`), `framehook`, or `state_dict` for
            tensors that come without a description of their net.
        tensors: Every entry of the net's state dict, in the net's own order, in the machine's byte order; `bfloat16` as
            float32, everything else as it was stored. Read-only: two keys may share their memory.
        architecture: The description the net was made from (`backbone` and `head`: rows of from, repeats, module,
            arguments; `nc`, `scales`, `scale` ...), in dicts, lists, tuples, texts and numbers alone; None where there is none.
        names: Class number to name; None where there are none.
        stride: Pixels of the input per cell, for each level of the head; None where it is not told.
        task: What the net is for, `detect` unless the file says otherwise.
        args: What it was trained with (`imgsz`, `data` ...), as plain as `architecture`.
        figures: What was measured at the end of training, by name.
        mid_training: The weights are the averaged ones of a training that had not ended.
        epoch: Number of the last epoch, from 0; None where it is not told, or training is over.
        best_fitness: The best score an epoch reached.
        date, version, license, docs: As the file says; None where it does not.
        net: Class of the net as the file names it, as in `ultralytics.nn.tasks.DetectionModel`; None for plain tensors.
    """

    kind: Kind
    tensors: Mapping[str, npt.NDArray[np.generic]]
    architecture: Mapping[str, Any] | None = None
    names: Mapping[int, str] | None = None
    stride: tuple[int, ...] | None = None
    task: str = "detect"
    args: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    mid_training: bool = False
    epoch: int | None = None
    best_fitness: float | None = None
    date: str | None = None
    version: str | None = None
    license: str | None = None
    docs: str | None = None
    net: str | None = None
