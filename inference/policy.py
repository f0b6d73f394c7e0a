"""Under which policy the frames of a source reach a run."""

from __future__ import annotations

from typing import Final

from framehook.inference.backends import usable_cores
from framehook.inference.feed import DirectFeed, Feed, ThreadedFeed
from framehook.inference.frame import SourceInfo, SourceKind
from framehook.inference.gate import Gate
from framehook.inference.ledger import Cause, LedgerBook
from framehook.inference.options import PredictOptions
from framehook.inference.sources.base import Source

READ_AHEAD_BYTES: Final = 256 << 20
"""Pixels of a source that are read ahead of the network at most."""
PICTURES: Final = (SourceKind.IMAGE, SourceKind.ARRAY)


def feed_for(source: Source, options: PredictOptions, ledger: LedgerBook, gate: Gate, *, alone: bool) -> Feed:
    """The feed of a source, live or file, which takes it over; `alone` tells that a run has no other."""
    info, stride = source.info, options.vid_stride
    if alone and _is_few(source):
        return DirectFeed(source, ledger, gate, stride=stride)
    newest_only, depth = None, 1
    if info.live:
        newest_only = Cause.OVERWRITTEN
    elif options.pace == "realtime" and info.kind not in PICTURES:
        newest_only = Cause.PACE
    else:
        depth = _depth(info)
    return ThreadedFeed(source, ledger, gate, stride=stride, depth=depth, newest_only=newest_only)


def _is_few(source: Source) -> bool:
    """Whether there are but a few pictures, at hand: a thread would cost more than it saves."""
    info = source.info
    at_hand = info.kind in PICTURES and not source.may_block
    return at_hand and info.frame_count is not None and info.frame_count < max(usable_cores(), 2)


def _depth(info: SourceInfo) -> int:
    """Frames to read ahead: one for each core, but no more than fit in `READ_AHEAD_BYTES`."""
    width, height = info.size or (1920, 1080)
    return max(1, min(usable_cores(), READ_AHEAD_BYTES // (width * height * 3)))
