import random

import av
import cv2
import numpy as np
import pytest

from framehook.inference.sources.multipart import JpegDecoder, JpegSplitter, opens_multipart
from framehook.inference.sources.testsrc import frame_number

PART = b"--frame\r\nContent-Type: image/jpeg\r\n\r\n"


@pytest.fixture(scope="module", params=[[], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 3]])
def jpegs(request, pictures):
    """Plain, progressive, and with restart markers."""
    return [cv2.imencode(".jpg", picture, request.param)[1].tobytes() for picture in pictures[:6]]


def with_thumbnail(jpeg, thumbnail):
    """The picture, with another one in its notes (EXIF)."""
    note = b"Exif\0\0" + thumbnail
    return jpeg[:2] + b"\xff\xe1" + (len(note) + 2).to_bytes(2, "big") + note + jpeg[2:]


@pytest.mark.parametrize("step", [1, 7, 1000, 10**6])
def test_pictures_are_found_however_they_are_cut_into_packets(jpegs, step):
    flow = b"".join(PART + jpeg + b"\r\n" for jpeg in jpegs)
    splitter = JpegSplitter()
    found = [picture for at in range(0, len(flow), step) for picture in splitter.feed(flow[at : at + step])]
    assert found == jpegs
    assert splitter.damaged == 0


def test_a_picture_is_complete_with_its_last_byte(jpegs):
    splitter = JpegSplitter()
    assert splitter.feed(PART + jpegs[0][:-1]) == []
    assert splitter.feed(jpegs[0][-1:]) == [jpegs[0]]


def test_a_small_picture_inside_of_a_picture_is_none(jpegs):
    whole = with_thumbnail(jpegs[0], jpegs[1])
    assert JpegSplitter().feed(PART + whole + b"\r\n" + PART + jpegs[2]) == [whole, jpegs[2]]


def test_a_picture_that_is_cut_off_costs_no_other_one(jpegs):
    splitter = JpegSplitter()
    assert splitter.feed(PART + jpegs[0][:700] + jpegs[1] + PART + jpegs[2]) == [jpegs[1], jpegs[2]]
    assert splitter.damaged == 1


def test_pictures_without_an_end_are_ended_by_the_next_part(jpegs):
    splitter = JpegSplitter()
    found = splitter.feed(b"\r\n".join(PART + jpeg[:-2] for jpeg in jpegs))
    assert [picture.rstrip(b"\r") for picture in found] == [jpeg[:-2] for jpeg in jpegs[:-1]]
    decoder = JpegDecoder(1 << 20)
    frames = decoder.decode(av.Packet(b"\r\n".join(PART + jpeg[:-2] for jpeg in jpegs)))
    assert len(frames) == len(jpegs) - 1


def test_noise_is_passed_over_and_not_kept(jpegs):
    noise = random.Random(3)
    splitter = JpegSplitter()
    for _ in range(200):
        splitter.feed(noise.randbytes(50_000))
        assert len(splitter._data) < 200_000
    found = splitter.feed(PART + jpegs[0] + PART + jpegs[1] + PART + jpegs[2])
    assert found == jpegs[:3]


def test_a_picture_that_never_ends_does_not_fill_the_memory(jpegs):
    splitter = JpegSplitter()
    splitter.feed(jpegs[0][:-2])
    for _ in range(70):
        splitter.feed(bytes(1 << 20))
    assert splitter.damaged == 1
    assert len(splitter._data) < 10 << 20
    assert splitter.feed(jpegs[1]) == [jpegs[1]]


def test_what_cannot_be_decoded_is_counted_and_passed_over(jpegs):
    decoder = JpegDecoder(1 << 20)
    broken = jpegs[0][:2] + b"\xff\xd9"
    frames = decoder.decode(av.Packet(PART + jpegs[1] + PART + broken + PART + jpegs[2]))
    assert [frame_number(frame.to_ndarray(format="bgr24")) for frame in frames] == [1, 2]
    assert decoder.damaged == 1
    assert decoder.decode(None) == []


def test_pictures_may_change_their_size(jpegs):
    other = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
    frames = JpegDecoder(1 << 20).decode(av.Packet(PART + jpegs[0] + PART + other + PART + jpegs[1]))
    assert [(frame.width, frame.height) for frame in frames] == [(160, 96), (64, 48), (160, 96)]


@pytest.mark.parametrize(
    ("head", "verdict"),
    [
        (b"", None),
        (b"\r\n", None),
        (b"-", None),
        (b"\r\nconten", None),
        (b"--frame\r\nContent-Ty", True),
        (PART, True),
        (b"\r\n" + PART + b"\xff\xd8\xff\xe0", True),
        (b"content-type: image/jpeg\n\n\xff\xd8\xff\xdb", True),
        (b"--frame\r\nContent-Type: image/png\r\n\r\n\x89PNG", True),
        (b"\r\n" * 5000, False),
        (b"\xff\xd8\xff\xe0", False),
        (b"#EXTM3U\n", False),
        (b"G@\x00\x10", False),
        (b"<html>", False),
    ],
)
def test_parts_are_told_by_the_first_bytes(head, verdict):
    assert opens_multipart(head) is verdict


class Clock:
    """Tells the time that the test sets."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def numbered(frames):
    return [frame_number(frame.to_ndarray(format="bgr24")) for frame in frames]


def test_pictures_that_wait_in_line_for_long_are_passed_over_until_none_waits(jpegs):
    full = b"".join(PART + jpeg for jpeg in jpegs[:3])
    clock = Clock()
    decoder = JpegDecoder(len(full), clock=clock)
    assert numbered(decoder.decode(av.Packet(full))) == [0, 1, 2]
    clock.now += 0.6
    assert decoder.decode(av.Packet(full)) == []
    assert decoder.decode(av.Packet(full)) == []
    assert decoder.decode(av.Packet(PART + jpegs[5])) == []  # this was there, too
    decoder.waited = 0.02
    assert numbered(decoder.decode(av.Packet(PART + jpegs[3] + PART + jpegs[4]))) == [4]
    assert decoder.skipped == 8
    assert numbered(decoder.decode(av.Packet(full))) == [0, 1, 2]
    assert decoder.damaged == 0


def test_a_sender_that_is_never_caught_up_with_loses_few_pictures(jpegs):
    full = b"".join(PART + jpeg for jpeg in jpegs[:3])
    clock = Clock()
    decoder = JpegDecoder(len(full), clock=clock)
    for _ in range(3):
        decoder.decode(av.Packet(full))
        clock.now += 0.6
    for _ in range(3):
        clock.now += 0.6
        decoded = decoder.decode(av.Packet(full))
    assert numbered(decoded) == [0, 1, 2]
    skipped = decoder.skipped
    assert 0 < skipped < 12
    clock.now += 0.6
    assert numbered(decoder.decode(av.Packet(full))) == [0, 1, 2]
    assert decoder.skipped == skipped
