import cv2
import numpy as np
import pytest

from framehook.inference.errors import FrameError, ReadOnlyFrameError
from framehook.inference.frame import Frame, SourceInfo, SourceKind, as_image

SOURCE = SourceInfo(id="a", name="a", path="a", kind=SourceKind.ARRAY)


def test_a_bgr_array_is_viewed_and_stays_writable_for_its_owner():
    pixels = np.zeros((4, 6, 3), np.uint8)
    image = as_image(pixels)
    assert np.shares_memory(image, pixels)
    pixels[0, 0] = 7
    assert image[0, 0].tolist() == [7, 7, 7]


def test_grey_and_bgra_become_bgr():
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for array in (grey, grey[..., None]):
        assert np.array_equal(as_image(array), np.repeat(grey[..., None], 3, axis=2))
    bgra = np.dstack([np.full((3, 4), value, np.uint8) for value in (1, 2, 3, 99)])
    assert np.array_equal(as_image(bgra), bgra[..., :3])


def test_a_sliced_array_becomes_contiguous():
    pixels = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    assert as_image(pixels[:, ::2]).flags.c_contiguous
    assert np.array_equal(as_image(pixels[..., ::-1]), pixels[..., ::-1])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((0, 4, 3), np.uint8), "an image of shape (0, 4, 3) has no pixels"),
        (
            np.zeros((4, 4, 3), np.float32),
            (
                "an image of dtype float32 cannot be used; pass uint8 pixels, 0..255 "
                "(for floats 0..1: (image * 255).astype(np.uint8))"
            ),
        ),
        (
            np.zeros((4, 4, 2), np.uint8),
            "an image of shape (4, 4, 2) cannot be used; pass H x W, H x W x 3 (BGR) or H x W x 4 (BGRA)",
        ),
        (np.zeros(4, np.uint8), "an image of shape (4,) cannot be used; pass H x W, H x W x 3 (BGR) or H x W x 4 (BGRA)"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_way_out(array, message):
    with pytest.raises(FrameError) as caught:
        as_image(array)
    assert str(caught.value) == message


def test_writing_to_a_frame_names_the_canvas():
    image = as_image(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ReadOnlyFrameError, match="canvas"):
        image[0, 0] = 1
    with pytest.raises(ReadOnlyFrameError, match="canvas"):
        image += 1
    with pytest.raises(ReadOnlyFrameError, match="canvas"):
        np.add(image, 1, out=image)
    with pytest.raises(ReadOnlyFrameError, match="canvas"):
        image[1:3][...] = 9
    assert not image.any()


def test_what_is_computed_from_a_frame_is_a_plain_array():
    image = as_image(np.full((4, 4, 3), 3, np.uint8))
    assert type(image + 1) is np.ndarray
    assert type(np.array(image)) is np.ndarray
    assert type(cv2.resize(image, (2, 2))) is np.ndarray
    copy = image.copy()
    copy[0] = 0
    copy += 1
    assert copy[0, 0, 0] == 1


def test_a_frame_is_frozen_and_knows_its_size():
    frame = Frame.of(np.zeros((4, 6, 3), np.uint8), index=3, source=SOURCE, pts=None, captured_at=0.0)
    assert frame.size == (6, 4)
    with pytest.raises(AttributeError):
        frame.index = 4
