"""Callbacks: the registry every engine shares, and those that come with Framehook."""

from framehook.inference.callbacks.base import Callback
from framehook.inference.callbacks.builtin import builtin_callbacks
from framehook.inference.callbacks.registry import CallbackFunction, Callbacks, Handle, OnError, Registration

__all__ = ["Callback", "CallbackFunction", "Callbacks", "Handle", "OnError", "Registration", "builtin_callbacks"]
