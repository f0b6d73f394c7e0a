"""Callbacks: the registry every engine shares, and those that come with Framehook."""

from framehook.inference.callbacks.base import Callback
from framehook.inference.callbacks.builtin import builtin_callbacks
from framehook.inference.callbacks.crops import Crops
from framehook.inference.callbacks.frame_rate import FrameRate
from framehook.inference.callbacks.labels import Labels
from framehook.inference.callbacks.metrics import Metrics
from framehook.inference.callbacks.overlay import Overlay
from framehook.inference.callbacks.pictures import Pictures
from framehook.inference.callbacks.recorder import Recorder
from framehook.inference.callbacks.registry import CallbackFunction, Callbacks, Handle, OnError, Registration
from framehook.inference.callbacks.rows import Rows
from framehook.inference.callbacks.snapshots import Snapshots
from framehook.inference.callbacks.stats_log import StatsLog
from framehook.inference.callbacks.tracking import Tracking
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
