"""The preprocessor against the straightforward chain: resize, pad, reorder, convert, normalise."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from framehook.inference.geometry import Fit, Letterbox
from framehook.inference.preprocess import InputFormat, Preprocessor

NANODET = {"scale": 1, "mean": (103.53, 116.28, 123.675), "std": (57.375, 57.12, 58.395)}
FORMS = [
    InputFormat(),
    InputFormat(fit=Fit.TOP_LEFT, rgb=False, scale=1),
    InputFormat(fit=Fit.STRETCH, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    InputFormat(rgb=False, pad=0, **NANODET),
    InputFormat(channels_last=True, pad=7),
    InputFormat(channels_last=True, rgb=False, scale=1),
    InputFormat(channels_last=True, **NANODET),
]
SIZES = [(64, 48), (200, 100), (37, 91), (640, 480), (1, 1)]
INPUT = (64, 48)


def picture(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Read-only, as captured frames are."""
    image = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image.flags.writeable = False
    return image


def reference(image: np.ndarray, form: InputFormat, size: tuple[int, int] = INPUT) -> np.ndarray:
    box = Letterbox.fit((image.shape[1], image.shape[0]), size, form.fit)
    canvas = np.full((size[1], size[0], 3), form.pad, np.uint8)
    (x, y), (width, height) = box.offset, box.inner_size
    canvas[y : y + height, x : x + width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    values = canvas[..., :: -1 if form.rgb else 1].astype(np.float64) * form.scale
    values = (values - np.array(form.mean or (0, 0, 0))) / np.array(form.std or (1, 1, 1))
    return values if form.channels_last else values.transpose(2, 0, 1)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("form", FORMS)
def test_it_computes_what_the_plain_chain_computes(form: InputFormat, size: tuple[int, int]) -> None:
    image = picture(size)
    preprocessor = Preprocessor(form, input_size=INPUT, batch=1)
    (box,) = preprocessor.fill([image])
    assert box == Letterbox.fit(size, INPUT, form.fit)
    assert preprocessor.tensor.dtype == np.float32
    np.testing.assert_allclose(preprocessor.tensor[0], reference(image, form), rtol=0, atol=2e-6 if form.scale != 1 else 1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_frames_of_other_sizes_leave_no_trace(form: InputFormat) -> None:
    preprocessor = Preprocessor(form, input_size=INPUT, batch=1)
    for number, size in enumerate([*SIZES, *reversed(SIZES)]):
        image = picture(size, number)
        preprocessor.fill([image])
        np.testing.assert_allclose(preprocessor.tensor[0], reference(image, form), rtol=0, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_a_batch_takes_frames_of_different_sizes_and_keeps_the_rows_it_does_not_fill(form: InputFormat) -> None:
    preprocessor = Preprocessor(form, input_size=INPUT, batch=3)
    images = [picture(size, number) for number, size in enumerate(SIZES[:3])]
    boxes = preprocessor.fill(images)
    assert [box.frame_size for box in boxes] == SIZES[:3]
    last = preprocessor.tensor[2].copy()
    preprocessor.fill(images[1::-1])
    for row, image in enumerate(images[1::-1]):
        np.testing.assert_allclose(preprocessor.tensor[row], reference(image, form), rtol=0, atol=1e-4)
    np.testing.assert_array_equal(preprocessor.tensor[2], last)


def test_the_same_buffer_is_filled_again() -> None:
    preprocessor = Preprocessor(InputFormat(), input_size=INPUT, batch=1)
    before = preprocessor.tensor
    preprocessor.fill([picture((200, 100))])
    assert preprocessor.tensor is before
    assert preprocessor.tensor.flags.c_contiguous


def test_captured_frames_are_not_written_to() -> None:
    image = picture(INPUT)
    before = image.copy()
    for form in FORMS:
        Preprocessor(form, input_size=INPUT, batch=1).fill([image])
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("rgb", [True, False])
@pytest.mark.parametrize("channels_last", [True, False])
def test_byte_inputs_are_exact(rgb: bool, channels_last: bool) -> None:
    form = InputFormat(scale=1, rgb=rgb, channels_last=channels_last)
    preprocessor = Preprocessor(form, input_size=INPUT, batch=1, dtype=np.uint8)
    image = picture((200, 100))
    preprocessor.fill([image])
    assert preprocessor.tensor.dtype == np.uint8
    np.testing.assert_array_equal(preprocessor.tensor[0], reference(image, form))


@pytest.mark.parametrize("form", FORMS)
def test_half_precision_is_rounded_once(form: InputFormat) -> None:
    image = picture((200, 100))
    half = Preprocessor(form, input_size=INPUT, batch=1, dtype=np.float16)
    single = Preprocessor(form, input_size=INPUT, batch=1)
    half.fill([image])
    single.fill([image])
    np.testing.assert_array_equal(half.tensor, single.tensor.astype(np.float16))


def test_views_of_larger_pictures_are_taken() -> None:
    whole = picture((300, 200))
    for view in (whole[20:120, 30:200], whole[::2, ::2], whole[:, ::-1]):
        preprocessor = Preprocessor(InputFormat(), input_size=INPUT, batch=1)
        preprocessor.fill([view])
        np.testing.assert_allclose(preprocessor.tensor[0], reference(np.ascontiguousarray(view), InputFormat()), atol=2e-6)
    same = whole[10:58, 20:84]  # the size of the input, so that nothing is resized
    preprocessor = Preprocessor(InputFormat(), input_size=INPUT, batch=1)
    preprocessor.fill([same])
    np.testing.assert_allclose(preprocessor.tensor[0], reference(same, InputFormat()), atol=2e-6)
