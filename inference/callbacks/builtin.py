"""The callbacks that a run's options ask for."""

from __future__ import annotations

from framehook.inference.callbacks.base import Callback
from framehook.inference.callbacks.crops import Crops
from framehook.inference.callbacks.frame_rate import FrameRate
from framehook.inference.callbacks.labels import Labels
from framehook.inference.callbacks.overlay import Overlay
from framehook.inference.callbacks.pictures import Pictures
from framehook.inference.callbacks.recorder import Recorder
from framehook.inference.callbacks.rows import Rows
from framehook.inference.callbacks.snapshots import Snapshots
from framehook.inference.callbacks.tracking import Tracking
from framehook.inference.callbacks.zones import ZoneCounter
from framehook.inference.options import ROW_FORMATS, PredictOptions


def builtin_callbacks(options: PredictOptions) -> list[Callback]:
    """Make the callbacks that the options of a run ask for.

    Tracking and overlay are always among them and follow the options, so that they can be switched on between frames.
    """
    callbacks: list[Callback] = [Tracking(), Overlay()]
    if options.zones:
        callbacks.append(ZoneCounter(options.zones))
    if options.show_fps:
        callbacks.append(FrameRate())
    if options.save:
        recorder = Recorder(
            pictures=False,
            segment_seconds=options.save_segment,
            keep=options.save_keep,
            on_error=options.save_on_error,
        )
        callbacks += [recorder, Pictures()]
    if options.save_txt:
        callbacks.append(Labels())
    if options.save_rows is not None:
        of_format = options.save_rows in ROW_FORMATS
        callbacks.append(Rows(format=str(options.save_rows)) if of_format else Rows(options.save_rows))
    if options.save_crop:
        callbacks.append(Crops())
    if options.save_frames is not None:
        callbacks.append(Snapshots(every=options.save_frames))
    return callbacks
