"""Trainings in a process of their own, so that the window goes on, and that whatever they need is given back at their end."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from framehook.app.session.child import Child, python_module
from framehook.app.session.state import Level, Tell
from framehook.app.session.stopping import STOP
from framehook.inference.errors import FramehookError, MissingDependencyError, one_line
from framehook.training.data.example import write_example
from framehook.training.options import TrainOptions

NEEDED: Final = {"torch": "torch", "yaml": "pyyaml", "faster_coco_eval": "faster-coco-eval"}
"""Modules without which nothing can be trained, and the packages they are in."""
CHILD: Final = "framehook.app.train_child"
MAP50: Final = "metrics/mAP50(B)"
MAP: Final = "metrics/mAP50-95(B)"
TRAIN: Final = "train/"
VAL: Final = "val/"


@dataclass(frozen=True, slots=True)
class EpochFigures:
    """What came of an epoch.

    Attributes:
        epoch: Its number, from 1.
        figures: By the names of the field: `train/box_loss`, `metrics/mAP50(B)`, `val/box_loss`, `lr/pg0` ...
    """

    epoch: int
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SamplePicture:
    """What the model finds in some pictures it is validated on.

    Attributes:
        path: The file.
        pixels: RGB, height x width x 3 bytes, read-only.
    """

    path: Path
    pixels: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class TrainingState:
    """How a training stands.

    Attributes:
        stage: What is going on, for people.
        going_on: Whether it still goes on.
        stopping: Whether it was told to stop.
        epoch: The epoch under way, from 1; 0 before the first.
        epochs: Epochs that are wanted; 0 where that is not known yet.
        batch: The batch of the epoch that was trained last, from 1; 0 before the first.
        batches: Batches of an epoch; 0 where that is not known yet.
        losses: Means over the epoch so far, by the names of the field: `train/box_loss` ...
        left: Seconds until its end, as far as can be told, or None.
        device: What it runs on, or an empty text where that is not known yet.
        history: The epochs that ended.
        folder: Where its files are, or None where that is not known yet.
        best: The weights of the best epoch, once they are there.
        last: The checkpoint of the last epoch, once it is there.
        sample: The newest picture of what it finds, or None.
        report: What came of it, as `TrainReport.as_dict` has it; empty before the end.
        error: What ended it, in a line, or None.
        detail: What the process printed last, where it failed.
    """

    stage: str = "starting"
    going_on: bool = True
    stopping: bool = False
    epoch: int = 0
    epochs: int = 0
    batch: int = 0
    batches: int = 0
    losses: Mapping[str, float] = field(default_factory=dict)
    left: float | None = None
    device: str = ""
    history: tuple[EpochFigures, ...] = ()
    folder: Path | None = None
    best: Path | None = None
    last: Path | None = None
    sample: SamplePicture | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    detail: str = ""

    @property
    def fraction(self) -> float | None:
        """How much is done, 0..1; None where that is not known yet."""
        if not self.epochs or not self.batches or not self.epoch:
            return None
        return min((self.epoch - 1 + self.batch / self.batches) / self.epochs, 1.0)

    @property
    def best_epoch(self) -> EpochFigures | None:
        """The epoch with the largest mAP50-95 so far; None where nothing was validated."""
        validated = [each for each in self.history if math.isfinite(each.figures.get(MAP, math.nan))]
        return max(validated, key=lambda each: each.figures[MAP], default=None)


class TrainingJob:
    """One training, from its beginning to its end.

    The process is started, listened to and waited for on a thread, so that nothing here waits. However it ends, the checkpoints
    it has written stay.

    Attributes:
        state: How it stands; a new object with every change.
    """

    def __init__(
        self,
        source: str | Path,
        options: Mapping[str, Any],
        changed: Callable[[], None],
        *,
        note: Tell | None = None,
        before: TrainingState | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        """Begin.

        Args:
            source: What to start from: a `.pt` file, or an architecture such as `yolo11n.yaml`.
            options: See `TrainOptions`.
            changed: Called, from the thread, whenever `state` has changed.
            note: Handed what the library logs meanwhile, from the thread.
            before: How the training stood that is gone on with.
            command: What to run as the process, in place of `CHILD`.

        Raises:
            UnknownOptionError, OptionError: an option is wrong.
            MissingDependencyError: a package is not installed.
        """
        TrainOptions.build(options)
        check_installed()
        self.state = TrainingState()
        if before is not None:
            kept = {name: getattr(before, name) for name in ("history", "epochs", "folder", "best", "last", "sample")}
            self.state = replace(self.state, **kept)
        self._changed = changed
        self._note = note
        self._command = python_module(CHILD) if command is None else list(command)
        self._wanted = {"source": str(source), "options": dict(options)}
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._left = False
        self._thread = threading.Thread(target=self._work, name="framehook-training", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The number of its process; None before it is started."""
        return None if self._child is None else self._child.pid

    def stop(self) -> None:
        """Have it end after the batch under way, with all that belongs to an end; returns at once."""
        with self._lock:
            if not self.state.going_on or self.state.stopping:
                return
            self.state = replace(self.state, stopping=True)
            if self._child is not None:
                self._child.tell(STOP)
        self._changed()

    def leave(self) -> None:
        """Have it end at once, wherever it is; returns at once. What it has written stays."""
        with self._lock:
            self._left = True
            self.state = replace(self.state, stopping=self.state.going_on)
            if self._child is not None:
                self._child.leave()

    def close(self, timeout: float | None = None) -> bool:
        """Have it end at once if it still goes on, and wait until its process is gone.

        Args:
            timeout: Seconds to wait at most; None for as long as it takes.

        Returns:
            Whether it is gone.
        """
        self.leave()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # On the thread ----------------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            child = self._started()
        except (OSError, ValueError) as error:
            self._end(error=f"the training cannot be started: {one_line(error)}")
            return
        said: dict[str, Any] = {}
        for each in child.said():
            try:
                said.update(self._heard(each))
            except (AttributeError, KeyError, TypeError, ValueError):
                said = {"error": f"the training was ended, as it said what is not understood: {one_line(each)[:200]}"}
                child.terminate()
                break
        code, detail = child.end()
        if "done" in said:
            self._end(stage="done", report=said["done"])
        elif "error" in said:
            self._end(error=said["error"], detail=detail)
        elif self._left:
            self._end(stage="ended")
        else:
            self._end(error=_how_it_died(code), detail=detail)

    def _started(self) -> Child:
        with self._lock:
            self._child = child = Child(self._command)
            child.tell(self._wanted)
            if self.state.stopping:
                child.tell(STOP)
            if self._left:
                child.leave()
        return child

    def _heard(self, said: dict[str, Any]) -> dict[str, Any]:
        """Take in what the process said; returns what is for the end."""
        if "note" in said:
            if self._note is not None:
                self._note(_LEVELS.get(said["level"], Level.INFO), said["note"], "")
            return {}
        changes = {name: said[name] for name in _PLAIN & said.keys()}
        changes |= {name: Path(said[name]) for name in _PATHS & said.keys()}
        if "ended" in said:
            ended = EpochFigures(**said["ended"])
            changes["history"] = (*(each for each in self.state.history if each.epoch < ended.epoch), ended)
            changes["losses"] = {}
        if "picture" in said:
            sample = _sample(Path(said["picture"]))
            if sample is not None:
                changes["sample"] = sample
        if changes:
            self._change(**changes)
        return {name: said[name] for name in ("done", "error") if name in said}

    def _end(self, **changes: Any) -> None:
        self._change(going_on=False, left=None, **changes)

    def _change(self, **changes: Any) -> None:
        with self._lock:
            self.state = replace(self.state, **changes)
        self._changed()


_PLAIN: Final = frozenset({"stage", "epoch", "epochs", "batch", "batches", "losses", "left", "device"})
_PATHS: Final = frozenset({"folder", "best", "last"})
_LEVELS: Final = {"WARNING": Level.WARNING, "ERROR": Level.ERROR, "CRITICAL": Level.ERROR}


def check_installed() -> None:
    """Tell what is missing before anything is begun; imports nothing.

    Raises:
        MissingDependencyError: a package is not installed that trainings need.
    """
    missing = [package for module, package in NEEDED.items() if find_spec(module) is None]
    if missing:
        raise MissingDependencyError(
            f"trainings need {' and '.join(missing)}, which {'are' if len(missing) > 1 else 'is'} not installed; "
            "install with: pip install 'framehook[train]'"
        )


def free_folder(parent: Path, name: str = "train") -> Path:
    """The first of `train`, `train2`, `train3` ... that is not there yet; nothing is made."""
    number = 1
    while (folder := parent / (name if number == 1 else f"{name}{number}")).exists():
        number += 1
    return folder


class ExampleSet:
    """Draws the small dataset to try a training with, on a thread, where it is not there yet.

    Attributes:
        path: Its `data.yaml`, once it is there.
        error: Why it could not be drawn, in a line, or None.
    """

    def __init__(self, folder: Path, done: Callable[[], None]) -> None:
        """Begin.

        Args:
            folder: Where to.
            done: Called, from the thread, at the end.
        """
        self.path: Path | None = None
        self.error: str | None = None
        self._folder = folder
        self._done = done
        self._thread = threading.Thread(target=self._draw, name="framehook-example", daemon=True)
        self._thread.start()

    def close(self, timeout: float | None = None) -> bool:
        """Wait until it is drawn, at most so many seconds; whether it is."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _draw(self) -> None:
        there = self._folder / "data.yaml"
        try:
            self.path = there if there.is_file() else write_example(self._folder)
        except (FramehookError, OSError) as error:
            self.error = one_line(error)
        self._done()


def _sample(path: Path) -> SamplePicture | None:
    picture = cv2.imread(str(path))
    if picture is None:
        return None  # it was written anew meanwhile, or removed; the next one comes
    pixels = np.ascontiguousarray(picture[..., ::-1], np.uint8)
    pixels.setflags(write=False)
    return SamplePicture(path, pixels)


def _how_it_died(code: int) -> str:
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        if name == "SIGKILL":
            return (
                "the training was killed from outside, most likely for want of memory; close other programs, or choose a "
                "smaller batch or image size"
            )
        return f"the training died of {name}, in a library most likely; its checkpoints are there"
    return f"the training ended with code {code} and said nothing; what it printed is in the log"
