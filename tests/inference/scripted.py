"""A source whose every frame is let through by the test, or that runs freely."""

import threading
import time

import numpy as np

from framehook.inference.errors import SourceUnavailableError
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.sources.base import Source

PIXELS = np.zeros((4, 4, 3), np.uint8)
PATIENCE = 30.0
"""Seconds that what takes a moment may take on a machine that is busy with other things."""


class Scripted(Source):
    def __init__(
        self, count=None, *, live=False, stepwise=False, fps=10.0, fail_at=None, kind=SourceKind.VIDEO, name="s", pixels=PIXELS
    ):
        self.info = SourceInfo(id=name, name=name, path=name, kind=kind, live=live, fps=fps, frame_count=count)
        self.seekable = not live
        self.may_block = live
        self.count = count
        self.pixels = pixels
        self.position = 0
        self.index = 0
        self.segment = 0
        self.allowed = threading.Semaphore(0) if stepwise else None
        self.fail_at = fail_at
        self.interrupted = threading.Event()
        self.closed = 0

    def read(self):
        if self.allowed is not None:
            self.allowed.acquire()
        if self.index == self.fail_at:
            raise SourceUnavailableError(f"{self.info.name} went away")
        if self.interrupted.is_set() or (self.count is not None and self.position >= self.count):
            return None
        pts = self.position / self.info.fps
        frame = Frame.of(
            self.pixels, index=self.index, source=self.info, pts=pts, captured_at=time.monotonic(), segment=self.segment
        )
        self.position += 1
        self.index += 1
        return frame

    def seek(self, seconds):
        if not self.seekable:
            super().seek(seconds)
        self.position = round(seconds * self.info.fps)
        self.segment += 1

    def interrupt(self):
        self.interrupted.set()
        if self.allowed is not None:
            self.allowed.release()

    def close(self):
        self.closed += 1


def until(condition, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.001)
