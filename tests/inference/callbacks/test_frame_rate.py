import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from framehook.inference.callbacks import FrameRate, frame_rate

from .scenes import play


def test_the_rate_of_a_live_source_is_attached_before_users_see_the_results():
    seen = []
    running = play("testsrc:64x48@20:live", FrameRate())
    running.predictor.callbacks.add(
        "on_predict_batch_end", lambda predictor: seen.append(predictor.frame_results[0].data["fps"])
    )
    with running:
        for result in running:
            if result.frame.index >= 30:
                break
    assert seen[0] == 0
    assert seen[-1] == result.data["fps"]
    assert 0 < seen[-1] < 25


def test_it_is_that_of_the_last_seconds(monkeypatch):
    moments = itertools.accumulate([0.001] * 20 + [0.5] * 6)
    monkeypatch.setattr(frame_rate, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    running = play("testsrc:64x48@30:26", FrameRate())
    rates = [result.data["fps"] for result in running]
    assert rates[19] > 4 * rates[-1]
    assert rates[-1] <= 2.1


@pytest.mark.parametrize("draw", [True, False])
def test_it_is_drawn_in_the_corner_when_asked(draw):
    result = list(play("testsrc:640x480@30:3", FrameRate(draw=draw)))[-1]
    changed = np.any(result.canvas != result.orig_img, axis=2)
    assert changed[:20, -40:].any() == draw
    assert not changed[100:].any()
