"""What came of a training."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport:
    """What came of a training, for people and programs.

    Attributes:
        save_dir: Folder of all its files.
        best: Weights of the best epoch; None where nothing was validated or saved.
        last: Checkpoint of the last epoch; None where nothing was saved.
        metrics: Of the best epoch, by the names of the field (`metrics/mAP50(B)` ...); empty where nothing was validated.
        fitness: Of the best epoch.
        best_epoch: Its number, from 0.
        epochs: Epochs that were trained in all, also before a resume.
        is_cut: Whether the last of them was stopped before its last batch; a resume begins it again.
        why: What ended it: `epochs`, `patience`, `time`, `stop`.
        seconds: How long it took, since the beginning or the resume.
        waiting: Share of the training time in which it waited for pictures.
        skipped: Batches that were left out since their loss or gradients were no numbers.
        held_out: Folder of the pictures it was validated on, for exports to be compared on; None where that is no folder.
    """

    save_dir: Path
    best: Path | None
    last: Path | None
    metrics: Mapping[str, float]
    fitness: float | None
    best_epoch: int | None
    epochs: int
    is_cut: bool
    why: str
    seconds: float
    waiting: float
    skipped: int
    held_out: Path | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values by name."""
        return {
            field.name: str(value) if isinstance(value := getattr(self, field.name), Path) else value
            for field in dataclasses.fields(self)
        } | {"metrics": dict(self.metrics)}

    def lines(self) -> list[str]:
        """What to show at the end: figures, files, and what to do next."""
        minutes, seconds = divmod(round(self.seconds), 60)
        took = f"{minutes}:{seconds:02} min" if minutes else f"{seconds} s"
        epochs = f"{self.epochs} epoch{'' if self.epochs == 1 else 's'}{', the last one in part,' if self.is_cut else ''}"
        ends = {
            "epochs": "",
            "patience": ": no better for long enough",
            "time": ": the time was up",
            "stop": ": it was stopped",
        }
        lines = [
            f"trained {epochs} in {took}{ends[self.why]}",
            f"  waited for pictures {self.waiting:.0%} of the time",
        ]
        if self.skipped:
            lines.append(f"  batches left out, as their loss or gradients were no numbers: {self.skipped}")
        if self.fitness is not None and self.best_epoch is not None:
            lines.append(f"  best epoch {self.best_epoch + 1}: " + ", ".join(_figures(self.metrics)))
        weights = self.best or self.last
        if weights is None:
            return lines
        quoted = shlex.quote(str(weights))
        return [
            *lines,
            f"  weights {weights}",
            "watch it live:",
            f"  framehook gui 0 --model {quoted}",
            "make an ONNX file of it:",
            f"  framehook export {quoted}" + ("" if self.held_out is None else f" --data {shlex.quote(str(self.held_out))}"),
        ]


def _figures(metrics: Mapping[str, float]) -> list[str]:
    shown = {"mAP50": "metrics/mAP50(B)", "mAP50-95": "metrics/mAP50-95(B)"}
    shown |= {"precision": "metrics/precision(B)", "recall": "metrics/recall(B)"}
    return [f"{name} {metrics[key]:.3f}" for name, key in shown.items() if key in metrics]
