"""The callbacks that a run's options ask for."""

from __future__ import annotations

from framehook.inference.callbacks.base import Callback
from framehook.inference.callbacks.overlay import Overlay
from framehook.inference.callbacks.tracking import Tracking
from framehook.inference.options import ROW_FORMATS, PredictOptions


def builtin_callbacks(options: PredictOptions) -> list[Callback]:
    """Make the callbacks that the options of a run ask for.

    Tracking and overlay are always among them and follow the options, so that they can be switched on between frames.
    """
    # What few runs want is imported by those that want it, so that importing the library stays quick.
    callbacks: list[Callback] = [Tracking(), Overlay()]
    if options.zones:
        from framehook.inference.callbacks.zones import ZoneCounter

        callbacks.append(ZoneCounter(options.zones))
    if options.show_fps:
        from framehook.inference.callbacks.frame_rate import FrameRate

        callbacks.append(FrameRate())
    if options.save:
        callbacks += _recording(options)
    if options.save_txt:
        from framehook.inference.callbacks.labels import Labels

        callbacks.append(Labels())
    if options.save_rows is not None:
        from framehook.inference.callbacks.rows import Rows

        of_format = options.save_rows in ROW_FORMATS
        callbacks.append(Rows(format=str(options.save_rows)) if of_format else Rows(options.save_rows))
    if options.save_crop:
        from framehook.inference.callbacks.crops import Crops

        callbacks.append(Crops())
    if options.save_frames is not None:
        from framehook.inference.callbacks.snapshots import Snapshots

        callbacks.append(Snapshots(every=options.save_frames))
    return callbacks


def _recording(options: PredictOptions) -> list[Callback]:
    from framehook.inference.callbacks.pictures import Pictures
    from framehook.inference.callbacks.recorder import Recorder

    recorder = Recorder(
        pictures=False, segment_seconds=options.save_segment, keep=options.save_keep, on_error=options.save_on_error
    )
    return [recorder, Pictures()]
