"""Callbacks for trainings that come with Framehook. All are off until they are added; `CSVLogger` is part of every training."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from framehook.training.callbacks.csv_logger import CSVLogger, read_history
    from framehook.training.callbacks.early_stopping import EarlyStopping
    from framehook.training.callbacks.learning_rate_finder import LearningRateFinder
    from framehook.training.callbacks.mlflow import MLflow
    from framehook.training.callbacks.progress_bar import ProgressBar
    from framehook.training.callbacks.remote import RemoteSession, RemoteStatus, UsageEvents, send_left
    from framehook.training.callbacks.sample_predictions import SamplePredictions
    from framehook.training.callbacks.tensorboard import TensorBoard
    from framehook.training.callbacks.wandb import WandB

__all__ = [
    "CSVLogger",
    "EarlyStopping",
    "LearningRateFinder",
    "MLflow",
    "ProgressBar",
    "RemoteSession",
    "RemoteStatus",
    "SamplePredictions",
    "TensorBoard",
    "UsageEvents",
    "WandB",
    "read_history",
    "send_left",
]

# Imported on first use: most trainings want none or one of them.
_HOMES = {
    "CSVLogger": "framehook.training.callbacks.csv_logger",
    "EarlyStopping": "framehook.training.callbacks.early_stopping",
    "LearningRateFinder": "framehook.training.callbacks.learning_rate_finder",
    "MLflow": "framehook.training.callbacks.mlflow",
    "ProgressBar": "framehook.training.callbacks.progress_bar",
    "RemoteSession": "framehook.training.callbacks.remote",
    "RemoteStatus": "framehook.training.callbacks.remote",
    "SamplePredictions": "framehook.training.callbacks.sample_predictions",
    "TensorBoard": "framehook.training.callbacks.tensorboard",
    "UsageEvents": "framehook.training.callbacks.remote",
    "WandB": "framehook.training.callbacks.wandb",
    "read_history": "framehook.training.callbacks.csv_logger",
    "send_left": "framehook.training.callbacks.remote",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
