"""The events of every engine, by the names the field knows them.

They all live here, torch-free, so that a callback for any engine can be registered on any install. `EVENTS` maps each name
to the engine that fires it. An engine may fire events beyond the twenty-five of the design; they are listed here too.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from framehook.inference.errors import UnknownEventError, did_you_mean


class PredictEvent(StrEnum):
    """Events of a `Predictor`; each callback receives the predictor.

    Fired once a run: START and END. Fired once a batch (one frame unless `batch` says otherwise), in this order: BATCH_START,
    POSTPROCESS_END, BATCH_END. Fired between batches, and while the run waits for one: SOURCE_CHANGE.
    """

    START = "on_predict_start"
    """The source and the model are open, no frame was read. `predictor.source`, `model`, `args`, `device` are set."""
    BATCH_START = "on_predict_batch_start"
    """Frames were captured, nothing was computed. `predictor.batch` is set; its `images` may be replaced by same-sized ones."""
    POSTPROCESS_END = "on_predict_postprocess_end"
    """Boxes are in frame pixels. `predictor.results`, `frame_results`, `frame` and `speed` are set; tracking happens here."""
    BATCH_END = "on_predict_batch_end"
    """Last stop before the results are yielded; `predictor.results` may be replaced by any iterable."""
    SOURCE_CHANGE = "on_source_change"
    """A source connected, stalled, is reconnecting or ended; `predictor.change` tells which, why and how often. Files connect
    before their first frame and end after their last."""
    END = "on_predict_end"
    """The run is over, whatever ended it. `predictor.stats` is final and `predictor.error` tells why (None on success)."""


class ExportEvent(StrEnum):
    """Events of an `Exporter`; each callback receives the exporter."""

    START = "on_export_start"
    """The model is loaded, nothing was written."""
    PROGRESS = "on_export_progress"
    """A stage began or moved on: `exporter.stage` names it, `exporter.fraction` (0..1) tells how much of the export is done."""
    END = "on_export_end"
    """The export is over; `exporter.path` and `report` on success, `exporter.error` otherwise."""


class TrainEvent(StrEnum):
    """Events of a `Trainer`; each callback receives the trainer.

    Once a run: PRETRAIN_ROUTINE_START, PRETRAIN_ROUTINE_END, START, END, TEARDOWN. Once an epoch: EPOCH_START, EPOCH_END, then
    the events of the validator, MODEL_SAVE, FIT_EPOCH_END. Once a batch: BATCH_START, BATCH_END, and between them, where the
    gradients of enough batches are gathered for a step: OPTIMIZER_STEP, PARAMS_UPDATE, BEFORE_ZERO_GRAD. If memory is too short
    for a batch, its epoch begins again, with EPOCH_START.
    """

    PRETRAIN_ROUTINE_START = "on_pretrain_routine_start"
    """Options, dataset's description and network are there (`trainer.args`, `data`, `model`), and the folder `save_dir`."""
    PRETRAIN_ROUTINE_END = "on_pretrain_routine_end"
    """Everything is set up: `ema`, `optimizer`, `scheduler`, `train_loader`, `validator`; what is resumed has its weights."""
    START = "on_train_start"
    """Training begins."""
    EPOCH_START = "on_train_epoch_start"
    """An epoch begins: `trainer.epoch`, counted from 0."""
    BATCH_START = "on_train_batch_start"
    """`trainer.batch` is on the device, nothing was computed."""
    OPTIMIZER_STEP = "optimizer_step"
    """Gradients are there, clipped, and the step is to be made."""
    BEFORE_ZERO_GRAD = "on_before_zero_grad"
    """The step was made; gradients are dropped next."""
    BATCH_END = "on_train_batch_end"
    """`trainer.loss`, `loss_items` and `tloss` (the means of the epoch so far) are those of the batch."""
    EPOCH_END = "on_train_epoch_end"
    """All batches of the epoch are done; nothing was validated or saved."""
    FIT_EPOCH_END = "on_fit_epoch_end"
    """The epoch was validated and saved: `trainer.metrics`, `fitness`, `best_fitness`, `epoch_time`."""
    MODEL_SAVE = "on_model_save"
    """`trainer.last` was written, and `trainer.best` if `trainer.is_best`."""
    END = "on_train_end"
    """Training is over, whatever ended it: `trainer.report`, or `trainer.error`."""
    PARAMS_UPDATE = "on_params_update"
    """The optimizer has made its step, and the average `trainer.ema` follows."""
    TEARDOWN = "teardown"
    """The last event, whatever happened, also where a training failed before it began: close what was opened."""


class ValEvent(StrEnum):
    """Events of a `Validator`, also of that of a training; each callback receives the validator."""

    START = "on_val_start"
    """The dataset is read, no picture was shown to the network. `validator.training` tells whether a trainer asks."""
    BATCH_START = "on_val_batch_start"
    """`validator.batch` is read, nothing was computed; its `images` may be replaced by same-sized ones."""
    BATCH_END = "on_val_batch_end"
    """`validator.preds` holds the boxes of each picture, in its pixels."""
    END = "on_val_end"
    """The validation is over: `validator.metrics`, `confusion_matrix` and `speed`, or `validator.error`."""


EVENTS: Final = MappingProxyType(
    {
        str(event): engine
        for engine, group in {
            "predict": PredictEvent,
            "export": ExportEvent,
            "train": TrainEvent,
            "val": ValEvent,
        }.items()
        for event in group
    }
)
"""Event name to the engine that fires it: predict, export, train or val."""

ONCE_A_RUN: Final = frozenset(
    {
        PredictEvent.START,
        PredictEvent.END,
        ExportEvent.START,
        ExportEvent.END,
        TrainEvent.PRETRAIN_ROUTINE_START,
        TrainEvent.PRETRAIN_ROUTINE_END,
        TrainEvent.START,
        TrainEvent.END,
        TrainEvent.TEARDOWN,
        ValEvent.START,
        ValEvent.END,
    }
)
"""Events that a callback may count on: in the background they are queued even when frames have to be dropped."""


def check_event(name: str) -> str:
    """Return `name` as a plain string.

    Raises:
        UnknownEventError: no engine fires it; the message names the nearest event.
    """
    if name not in EVENTS:
        known = did_you_mean(name, EVENTS) or f" The events of a predictor are {', '.join(PredictEvent)}."
        raise UnknownEventError(f"unknown event '{name}'.{known}")
    return str(name)
