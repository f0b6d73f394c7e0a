"""Callbacks: the registry every engine shares, and those that come with Framehook."""

from importlib import import_module
from typing import TYPE_CHECKING

from framehook.inference.callbacks.base import Callback
from framehook.inference.callbacks.builtin import builtin_callbacks
from framehook.inference.callbacks.overlay import Overlay
from framehook.inference.callbacks.registry import CallbackFunction, Callbacks, Handle, OnError, Registration
from framehook.inference.callbacks.tracking import Tracking

if TYPE_CHECKING:
    from framehook.inference.callbacks.crops import Crops
    from framehook.inference.callbacks.frame_rate import FrameRate
    from framehook.inference.callbacks.labels import Labels
    from framehook.inference.callbacks.metrics import Metrics
    from framehook.inference.callbacks.pictures import Pictures
    from framehook.inference.callbacks.recorder import Recorder
    from framehook.inference.callbacks.rows import Rows
    from framehook.inference.callbacks.snapshots import Snapshots
    from framehook.inference.callbacks.stats_log import StatsLog
    from framehook.inference.callbacks.userfile import load_callbacks
    from framehook.inference.callbacks.zones import ZoneCounter

__all__ = [
    "Callback",
    "CallbackFunction",
    "Callbacks",
    "Handle",
    "OnError",
    "Registration",
    "Tracking",
    "Overlay",
    "Recorder",
    "Pictures",
    "Labels",
    "Rows",
    "Crops",
    "Snapshots",
    "ZoneCounter",
    "FrameRate",
    "StatsLog",
    "Metrics",
    "builtin_callbacks",
    "load_callbacks",
]

# Imported on first use: most runs want none or one of them.
_HOMES = {
    "Crops": "framehook.inference.callbacks.crops",
    "FrameRate": "framehook.inference.callbacks.frame_rate",
    "Labels": "framehook.inference.callbacks.labels",
    "Metrics": "framehook.inference.callbacks.metrics",
    "Pictures": "framehook.inference.callbacks.pictures",
    "Recorder": "framehook.inference.callbacks.recorder",
    "Rows": "framehook.inference.callbacks.rows",
    "Snapshots": "framehook.inference.callbacks.snapshots",
    "StatsLog": "framehook.inference.callbacks.stats_log",
    "ZoneCounter": "framehook.inference.callbacks.zones",
    "load_callbacks": "framehook.inference.callbacks.userfile",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
