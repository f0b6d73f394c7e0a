import bisect
import logging
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from framehook.inference.errors import SeekError, SourceFormatError
from framehook.inference.frame import SourceKind
from framehook.inference.sources import frame_number, open_source
from framehook.inference.sources.video import VideoSource

STEADY = [number * 40 for number in range(60)]
UNEVEN = np.cumsum(np.random.default_rng(0).integers(20, 200, 60)).tolist()
UNEVEN = [time - UNEVEN[0] for time in UNEVEN]

KINDS = {
    "uneven.mp4": (UNEVEN, {}),
    "uneven.mkv": (UNEVEN, {}),
    "late.mp4": (UNEVEN, {"shift": 5000}),
    "late.mkv": (UNEVEN, {"shift": 5000}),
    "steady.ts": (STEADY, {}),
    "mpeg4.avi": (STEADY, {"codec": "mpeg4", "unit": Fraction(1, 25)}),
    "b_frames.avi": (STEADY, {"unit": Fraction(1, 25)}),
    "vp8.webm": (STEADY, {"codec": "libvpx"}),
    "bare_frames.mkv": (UNEVEN, {"b_frames": 0}),
    "one_key.mkv": (UNEVEN, {"key_every": 1000}),
}


@pytest.fixture
def clip(write_clip, request):
    name = request.param
    times, options = KINDS[name]
    options = dict(options)
    shift = options.pop("shift", 0)
    return write_clip(name, [time + shift for time in times], **options), times


def write_gif(path: Path, pictures, delays):
    image = pytest.importorskip("PIL.Image", reason="Pillow writes the test's GIF")
    frames = [image.fromarray(picture[..., ::-1]) for picture in pictures]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=delays, loop=0)
    return path


@pytest.mark.parametrize("clip", KINDS, indirect=True)
def test_every_frame_comes_in_order_with_its_true_time(clip):
    path, times = clip
    with VideoSource(path) as source:
        frames = list(source)
    assert [frame_number(frame.image) for frame in frames] == list(range(len(times)))
    assert [frame.index for frame in frames] == list(range(len(times)))
    assert [frame.pts for frame in frames] == pytest.approx([time / 1000 for time in times], abs=1e-6)
    assert {frame.segment for frame in frames} == {0}
    captured = [frame.captured_at for frame in frames]
    assert captured == sorted(captured)


@pytest.mark.parametrize("clip", KINDS, indirect=True)
def test_seek_gives_the_frame_shown_at_that_time_and_goes_on_from_there(clip):
    path, times = clip
    chance = np.random.default_rng(1)
    wanted = [*chance.uniform(0, times[-1] + 300, 12), *chance.choice(times, 8), 0.0, times[-1], times[1] - 0.5, 1e9]
    with VideoSource(path) as source:
        while source.skip():
            pass
        for time in wanted:
            source.seek(float(time) / 1000)
            shown, following = source.read(), source.read()
            expected = bisect.bisect_right(times, time + 1e-3) - 1
            assert frame_number(shown.image) == expected, f"at {time} ms"
            assert shown.pts == pytest.approx(times[expected] / 1000, abs=1e-6)
            if expected + 1 < len(times):
                assert frame_number(following.image) == expected + 1
            else:
                assert following is None


def test_a_gif_keeps_its_varying_delays_and_seeks(tmp_path, pictures):
    delays = [100, 50, 200, 30, 400, 100, 100, 250, 80, 120]
    times = [0, *np.cumsum(delays[:-1]).tolist()]
    with open_source(write_gif(tmp_path / "film.gif", pictures[:10], delays)) as source:
        frames = list(source)
        assert [frame_number(frame.image) for frame in frames] == list(range(10))
        assert [frame.pts for frame in frames] == pytest.approx([time / 1000 for time in times])
        for time, expected in ((379, 3), (380, 4), (0, 0), (5000, 9)):
            source.seek(time / 1000)
            assert frame_number(source.read().image) == expected


def test_seek_and_skip_keep_the_index_counting_and_seek_begins_a_segment(write_clip):
    with VideoSource(write_clip("film.mp4", STEADY)) as source:
        assert source.read().index == 0
        assert source.skip() is source.info
        source.seek(1.0)
        frame = source.read()
        assert (frame.index, frame.segment, frame_number(frame.image)) == (2, 1, 25)
        source.seek(0.0)
        assert (source.skip(), source.read().index, source.read().segment) == (source.info, 4, 2)


def test_what_is_known_of_a_file(write_clip):
    path = write_clip("film.mp4", STEADY)
    with VideoSource(path) as source, VideoSource(path) as again:
        info = source.info
        assert (info.name, info.path, info.kind, info.live) == ("film.mp4", str(path), SourceKind.VIDEO, False)
        assert (info.size, info.frame_count, info.fps) == ((160, 96), 60, pytest.approx(25, rel=0.01))
        assert source.seekable
        assert not source.endless
        assert info.id != again.info.id


def test_frames_are_their_own_and_stay_when_the_source_goes_on(write_clip):
    with VideoSource(write_clip("film.mp4", STEADY)) as source:
        first = source.read()
        copy = np.array(first.image)
        while source.skip():
            pass
    np.testing.assert_array_equal(first.image, copy)


def test_pixels_are_those_opencv_decodes(write_clip):
    path = write_clip("film.mp4", STEADY)
    capture = cv2.VideoCapture(str(path))
    with VideoSource(path) as source:
        for frame in source:
            np.testing.assert_array_equal(frame.image, capture.read()[1])
    capture.release()


@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        ((0, 1, -1, 0), cv2.ROTATE_90_CLOCKWISE),
        ((-1, 0, 0, -1), cv2.ROTATE_180),
        ((0, -1, 1, 0), cv2.ROTATE_90_COUNTERCLOCKWISE),
    ],
)
def test_a_film_is_turned_upright_as_its_file_notes(write_clip, matrix, turn):
    plain = write_clip("film.mp4", STEADY[:3])
    data = bytearray(plain.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # the matrix of a version 0 track header
    for place, value in zip((0, 4, 12, 16), matrix, strict=True):
        data[at + place : at + place + 4] = (value << 16).to_bytes(4, "big", signed=True)
    turned = plain.with_name("turned.mp4")
    turned.write_bytes(data)
    with VideoSource(plain) as flat, VideoSource(turned) as upright:
        picture = upright.read()
        np.testing.assert_array_equal(picture.image, cv2.rotate(np.array(flat.read().image), turn))
        assert upright.info.size == picture.size


def test_a_size_that_changes_on_the_way_is_followed(tmp_path, pictures):
    path = tmp_path / "film.mjpeg"
    small, large = pictures[0], cv2.resize(pictures[1], (320, 192))
    path.write_bytes(b"".join(cv2.imencode(".jpg", picture)[1].tobytes() for picture in [small] * 3 + [large] * 3))
    with VideoSource(path) as source:
        frames = list(source)
    assert [frame.size for frame in frames] == [(160, 96)] * 3 + [(320, 192)] * 3
    assert [frame_number(frame.image) for frame in frames] == [0, 0, 0, 1, 1, 1]


def test_a_format_without_times_gives_none_and_says_that_it_cannot_seek(write_clip):
    with VideoSource(write_clip("film.h264", STEADY, container_format="h264")) as source:
        assert not source.seekable
        with pytest.raises(SeekError, match=r"^film\.h264 cannot seek; it carries no times$"):
            source.seek(1.0)
        frames = list(source)
    assert len(frames) == 60
    assert {frame.pts for frame in frames} == {None}


def test_a_file_cut_off_gives_what_there_is_and_one_warning(write_clip, caplog):
    path = write_clip("film.mp4", STEADY, options={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    with caplog.at_level(logging.WARNING, "framehook"), VideoSource(path) as source:
        numbers = [frame_number(frame.image) for frame in source]
        assert source.read() is None
    assert 0 < len(numbers) < 60
    assert numbers == list(range(len(numbers)))
    assert len(caplog.records) == 1
    assert "film.mp4 ends after" in caplog.text


@pytest.mark.parametrize("b_frames", [0, 2])
def test_an_avi_cut_off_warns_though_its_length_was_shortened(write_clip, caplog, b_frames):
    path = write_clip("film.avi", STEADY, unit=Fraction(1, 25), b_frames=b_frames)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with caplog.at_level(logging.WARNING, "framehook"), VideoSource(path) as source:
        assert 0 < sum(1 for _ in source) < 54
    (record,) = caplog.records
    assert "film.avi ends after" in record.getMessage()
    assert "of 2.40 s" in record.getMessage()


def test_whole_files_end_without_a_warning(write_clip, tmp_path, pictures, caplog):
    paths = [write_clip(name, [time + 5000 * ("late" in name) for time in UNEVEN]) for name in ("a.mp4", "late.mkv", "b.ts")]
    for path in paths:
        with VideoSource(path) as source:
            assert sum(1 for _ in source) == 60
    # With gaps, which an AVI file fills with empty frames that count in its header.
    gaps = [*range(0, 400, 40), *range(1200, 2000, 40)]
    for path in (
        write_clip("whole.avi", STEADY, unit=Fraction(1, 25)),
        write_clip("gaps.avi", gaps, codec="mpeg4", unit=Fraction(1, 25)),
        write_clip("gaps.mkv", gaps),
    ):
        with VideoSource(path) as source:
            assert sum(1 for _ in source) in (60, len(gaps))
    assert not caplog.records


def test_damage_in_the_middle_is_passed_over(write_clip):
    path = write_clip("film.ts", STEADY)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = np.random.default_rng(0).integers(0, 256, 400, np.uint8).tobytes()
    path.write_bytes(data)
    with VideoSource(path) as source:
        frames = list(source)
    assert len(frames) > 30
    assert frame_number(frames[-1].image) == 59


@pytest.mark.parametrize("content", [b"", b"hello world\n" * 100, b"\0" * 5000], ids=["empty", "text", "zeros"])
def test_what_is_no_film_is_refused_in_one_line_and_quietly(tmp_path, content, capfd):
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceFormatError) as caught:
        open_source(path)
    assert str(caught.value).startswith(f"{path} is no video that can be read (")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_film_without_its_index_is_refused(write_clip, capfd):
    path = write_clip("film.mp4", STEADY)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(SourceFormatError, match="is no video that can be read"):
        VideoSource(path)
    assert capfd.readouterr().err == ""


def test_closing_twice_is_fine_and_ends_it(write_clip):
    source = VideoSource(write_clip("film.mp4", STEADY))
    source.read()
    source.close()
    source.close()
    assert source.read() is None
    assert source.skip() is None
    with pytest.raises(SeekError):
        source.seek(0)


def test_real_footage_plays_whole(data_dir):
    with VideoSource(data_dir / "clips" / "vtest.avi") as source:
        assert source.info.size == (768, 576)
        last = None
        while (frame := source.read()) is not None:
            last = frame
        assert (last.index, last.pts) == (794, pytest.approx(79.4))
        source.seek(30.0)
        assert source.read().pts == pytest.approx(30.0)
