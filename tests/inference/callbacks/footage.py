"""What the tests of recordings record, and what they look at: the packets and boxes of a video file."""

import av
import numpy as np

from framehook.inference.callbacks import Callbacks
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.sources import Source

from .scenes import start

__all__ = ["Given", "boxes", "packets", "record", "seconds"]

NOISE = np.random.default_rng(0).integers(0, 255, (20, 96, 128, 3), dtype=np.uint8)


def record(source, recorder, **options):
    """A run that is recorded."""
    callbacks = Callbacks()
    callbacks.add(recorder)
    return start(source, callbacks=callbacks, **options)


class Given(Source):
    """A file with frames of noise at given times; `before(index)` is called before each is read."""

    def __init__(self, name, moments, *, before=lambda index: None):
        self.info = SourceInfo(name, name, name, SourceKind.VIDEO, fps=25.0)
        self.moments = iter(enumerate(moments))
        self.before = before

    def read(self):
        index, moment = next(self.moments, (None, None))
        if index is None:
            return None
        self.before(index)
        return Frame.of(NOISE[index % 20], index=index, source=self.info, pts=moment, captured_at=moment)

    def close(self):
        self.moments = iter(())


def packets(path):
    """Every packet of a video: (seconds, seconds it lasts, whether it is a key picture, its bytes)."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        tick = stream.time_base
        return [
            (float(packet.pts * tick), float(packet.duration * tick), packet.is_keyframe, bytes(packet))
            for packet in container.demux(stream)
            if packet.size  # the mark at the end has none
        ]


def seconds(path):
    """How long a video says that it is."""
    with av.open(str(path)) as container:
        return container.duration / av.time_base


def boxes(path):
    """The kinds of the outer boxes of an MP4."""
    data, kinds, start = path.read_bytes(), [], 0
    while start < len(data):
        length = int.from_bytes(data[start : start + 4], "big")
        kinds.append(data[start + 4 : start + 8].decode())
        start += length if length != 1 else int.from_bytes(data[start + 8 : start + 16], "big")
    return kinds
