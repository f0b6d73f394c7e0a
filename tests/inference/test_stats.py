"""The figures of a run."""

import pytest

from framehook.inference.frame import SourceInfo, SourceKind
from framehook.inference.ledger import LedgerBook
from framehook.inference.stats import RECENT, STAGES, WINDOW, Meter

SOURCE = SourceInfo("clip#1", "clip", "clip", SourceKind.VIDEO)


def test_the_time_of_stages_is_told_over_many_frames_and_over_recent_ones():
    meter = Meter()
    assert meter.read(LedgerBook(), [], 0).speed_recent == {}
    for number in range(WINDOW + 100):
        slow = number >= WINDOW + 100 - RECENT
        meter.count(SOURCE, 5.0, [9.0 if slow else 1.0] * len(STAGES), 0, number / 30)
    stats = meter.read(LedgerBook(), [], 0)
    assert stats.speed_recent == pytest.approx(dict.fromkeys(STAGES, 9.0))
    assert stats.speed == pytest.approx(dict.fromkeys(STAGES, 1 + 8 * RECENT / WINDOW), rel=1e-3)
    assert stats.as_dict()["stages_recent_ms"] == stats.speed_recent
