"""The callbacks that a run's options ask for."""

from __future__ import annotations

from framehook.inference.callbacks.base import Callback
from framehook.inference.callbacks.labels import Labels
from framehook.inference.callbacks.overlay import Overlay
from framehook.inference.callbacks.pictures import Pictures
from framehook.inference.callbacks.recorder import Recorder
from framehook.inference.callbacks.tracking import Tracking
from framehook.inference.frame import SourceInfo
from framehook.inference.options import PredictOptions


def builtin_callbacks(options: PredictOptions, source: SourceInfo) -> list[Callback]:
    """Make the callbacks that the options of a run over `source` ask for.

    Tracking and overlay are always among them and follow the options, so that they can be switched on between frames.
    """
    callbacks: list[Callback] = [Tracking(), Overlay()]
    if options.save:
        callbacks += [Recorder(pictures=False), Pictures()]
    if options.save_txt:
        callbacks.append(Labels())
    return callbacks
