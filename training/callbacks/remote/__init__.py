"""A remote session: what a hosted hub gives a training, on an MLflow server of one's own."""

from framehook.training.callbacks.remote.leftovers import Sent, send_left
from framehook.training.callbacks.remote.session import RemoteSession, RemoteStatus
from framehook.training.callbacks.remote.usage import UsageEvents

__all__ = ["RemoteSession", "RemoteStatus", "Sent", "UsageEvents", "send_left"]
