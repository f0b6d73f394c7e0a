import time

import numpy as np
import pytest

from framehook.inference.callbacks.recording import Limits, Recording
from framehook.inference.frame import Frame, SourceInfo, SourceKind

from .footage import boxes, packets, seconds


class Desk:
    """Records frames of one source at given times, as the recorder does, into `1.mp4`, `2.mp4` ..."""

    def __init__(self, folder, limits=Limits(), *, live=False, fps=30.0, suffix=".mp4", noise=False):  # noqa: B008 - it is frozen
        kind = SourceKind.CAMERA if live else SourceKind.VIDEO
        self.source = SourceInfo("door", "door", "door", kind, live=live, fps=fps)
        self.folder, self.suffix, self.noise = folder, suffix, noise
        self.recording = Recording(self.source, limits)
        self.files, self.left_out = [], 0
        self.zero = time.monotonic()

    def add(self, moment, size=(128, 96)):
        image = np.random.default_rng(int(moment * 1000) if self.noise else 0).integers(
            0, 255, (size[1], size[0], 3), dtype=np.uint8
        )
        live = self.source.live
        frame = Frame.of(image, index=0, source=self.source, pts=None if live else moment, captured_at=self.zero + moment)
        if not self.recording.take(frame, 1):
            self.left_out += 1
            return
        if not self.recording.is_open:
            self.files.append(self.folder / f"{len(self.files) + 1}{self.suffix}")
            self.recording.open(self.files[-1], frame, crf=30)
        self.recording.add(frame.image)

    def close(self):
        self.recording.close()
        return [packets(file) for file in self.files]


def starts(part):
    return [start for start, *_ in part]


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(
    ("fps", "moments"),
    [
        (25.0, [number / 25 for number in range(80)]),
        (30.0, [number / 5 for number in range(30)]),  # the camera says 30, and gives 5
        (1.0, [number / 60 for number in range(200)]),
        (None, [*np.cumsum(np.random.default_rng(1).uniform(0.01, 0.3, 60)), 40.0, 40.1]),
    ],
    ids=["steady", "slower", "faster", "uneven"],
)
def test_there_is_a_key_picture_every_second_whatever_the_rate(tmp_path, live, fps, moments):
    desk = Desk(tmp_path, live=live, fps=fps)
    desk.zero -= 100
    for moment in moments:
        while desk.recording.is_open and not desk.recording._encoder.has_room():
            time.sleep(0.01)  # else it would be left out
        desk.add(moment)
    [video] = desk.close()
    assert starts(video) == pytest.approx([moment - moments[0] for moment in moments], abs=1e-4)
    key_at = None
    for start, _, key, _ in video:
        key_at = start if key else key_at
        assert start - key_at <= 1.0


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_while_a_live_source_is_silent_its_last_picture_stands(tmp_path, suffix):
    desk = Desk(tmp_path, live=True, fps=1000.0, suffix=suffix)
    desk.zero -= 20.0
    for moment in (0.0, 0.1, 0.2, 7.2, 7.3):  # silent for 7 s, and again until now
        desk.add(moment)
    before = time.monotonic() - desk.zero
    [video] = desk.close()
    after = time.monotonic() - desk.zero
    assert desk.left_out == 0
    assert [lasts for _, lasts, _, _ in video[:4]] == pytest.approx([0.1, 0.1, 7.0, 0.1], abs=0.002)
    assert before >= 20.0
    assert before - 0.01 <= seconds(desk.files[0]) <= after + 0.01


def test_a_file_that_is_over_begins_another_and_no_frame_is_lost_or_doubled(tmp_path):
    desk = Desk(tmp_path, Limits(seconds=2.0), fps=25.0)
    for number in range(130):
        desk.add(number / 25)
    parts = desk.close()
    assert [len(part) for part in parts] == [50, 50, 30]
    for part, file in zip(parts, desk.files, strict=True):
        assert starts(part) == pytest.approx([number / 25 for number in range(len(part))], abs=1e-4)
        assert part[0][2]  # it begins with a key picture
        assert seconds(file) == pytest.approx(len(part) / 25)
        assert "moof" not in boxes(file)


def test_a_silence_across_the_end_of_a_file_is_kept_in_the_older_one(tmp_path):
    desk = Desk(tmp_path, Limits(seconds=2.0), live=True)
    desk.zero -= 9.3
    for moment in (0.0, 0.5, 9.0, 9.1, 9.2):
        desk.add(moment)
    parts = desk.close()
    assert [len(part) for part in parts] == [2, 3]
    assert seconds(desk.files[0]) == pytest.approx(9.0, abs=0.001)
    assert starts(parts[1]) == pytest.approx([0, 0.1, 0.2], abs=0.001)


def test_a_silence_that_no_file_can_hold_begins_another(tmp_path):
    desk = Desk(tmp_path, live=True)
    desk.zero -= 30 * 3600 + 1
    for moment in (0.0, 0.1, 30 * 3600.0, 30 * 3600 + 0.1):
        desk.add(moment)
    parts = desk.close()
    assert [len(part) for part in parts] == [2, 2]
    assert seconds(desk.files[0]) == pytest.approx(8 * 3600 + 0.1)


def test_a_file_is_over_when_it_is_large_enough(tmp_path):
    desk = Desk(tmp_path, Limits(bytes=100_000), fps=25.0, noise=True)
    for number in range(120):
        desk.add(number / 25)
    parts = desk.close()
    assert len(parts) > 2
    assert sum(len(part) for part in parts) == 120
    sizes = [file.stat().st_size for file in desk.files]
    assert all(100_000 <= size < 300_000 for size in sizes[:-1])  # what waits to be encoded comes on top


def test_complete_files_are_told_of_oldest_first_and_once(tmp_path):
    desk = Desk(tmp_path, Limits(seconds=1.0), fps=25.0)
    for number in range(100):
        desk.add(number / 25)
    desk.close()
    assert desk.recording.surplus(4) == []
    assert desk.recording.surplus(3) == desk.files[:1]
    assert desk.recording.surplus(3) == []
    assert desk.recording.surplus(1) == desk.files[1:3]


def test_a_live_source_goes_on_in_its_file_while_the_one_before_is_not_complete(tmp_path, monkeypatch):
    import threading

    from framehook.inference.callbacks import encoder

    let_go, make = threading.Event(), encoder.make_fast_start
    monkeypatch.setattr(encoder, "make_fast_start", lambda *a, **k: (let_go.wait(30), make(*a, **k)))
    desk = Desk(tmp_path, Limits(seconds=1.0), live=True)
    desk.zero -= 10
    moments = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]  # the third begins a file; the fifth would, but the first is not complete
    for moment in moments:
        desk.add(moment)
    desk.add(3.0, size=(64, 48))  # needs a file of its own, and cannot have one
    assert desk.left_out == 1
    let_go.set()
    parts = desk.close()
    assert [len(part) for part in parts] == [2, 4]
    assert starts(parts[1]) == pytest.approx([0, 0.5, 1.0, 1.5], abs=0.001)


def test_a_live_source_that_falters_has_a_key_picture_every_second_all_the_same(tmp_path):
    desk = Desk(tmp_path, live=True, fps=25.0)
    desk.zero -= 100
    for moment in (*(number / 25 for number in range(24)), 1.07, 1.11):  # the next was due at .96
        while desk.recording.is_open and not desk.recording._encoder.has_room():
            time.sleep(0.01)  # else it would be left out
        desk.add(moment)
    [video] = desk.close()
    keys = [start for start, _, key, _ in video if key]
    assert len(keys) == 2
    assert keys[1] - keys[0] <= 1.0
