from __future__ import annotations

import colorsys
import copy

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from framehook.inference.geometry import Fit, Letterbox
from framehook.training.augment import (
    PAD,
    Augmentation,
    Labelled,
    Matrix,
    Pixels,
    centred,
    mixed,
    mosaic_of,
    moved_boxes,
    random_matrix,
    recolour,
    warped,
)
from framehook.training.options import TrainOptions

SIDE = 96
BRIGHT = 255


def marked(size: tuple[int, int], box: tuple[int, int, int, int], cls: int = 0) -> Labelled:
    """A dark picture of a size (width, height) with one bright box, which is its label."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    left, top, right, bottom = box
    image[top:bottom, left:right] = BRIGHT
    return Labelled(image, np.array([cls]), np.array([box], np.float64))


def bright_box(image: Pixels) -> npt.NDArray[np.float64]:
    """Where the bright pixels are, to a part of a pixel: those at the edge count as far as they are bright."""
    light = (image[..., 0].astype(np.float64) - PAD).clip(0) / (BRIGHT - PAD)
    rows, columns = light.max(axis=1), light.max(axis=0)
    ys, xs = np.flatnonzero(rows > 0.25), np.flatnonzero(columns > 0.25)
    return np.array([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1], np.float64)


@pytest.mark.parametrize(
    "how",
    [
        Augmentation(scale=0.5, translate=0.1),
        Augmentation(scale=0.5, translate=0.1, flipud=0.5, fliplr=0.5),
        Augmentation(degrees=180, scale=0.3, translate=0.1),
        Augmentation(shear=20, scale=0.3, translate=0.1, fliplr=0.5),
        Augmentation(perspective=0.001, degrees=20, translate=0.1),
        Augmentation(degrees=30, shear=10, scale=0.3, translate=0.2, perspective=0.0005, flipud=0.5, fliplr=0.5),
    ],
)
def test_boxes_go_where_their_pixels_go(how: Augmentation) -> None:
    rng = np.random.default_rng(5)
    compared = 0
    for _ in range(25):
        left, top = rng.integers(8, 30, 2)
        part = marked((SIDE, SIDE), (left, top, left + rng.integers(20, 50), top + rng.integers(20, 50)))
        result = warped(part, random_matrix((SIDE, SIDE), SIDE, how, rng), SIDE)
        assert result.image.shape == (SIDE, SIDE, 3)
        if len(result.xyxy) and np.all((result.xyxy > 0) & (result.xyxy < SIDE)):
            # Of a corner that points outwards the last pixels are covered to a small part only, and look dark.
            assert bright_box(result.image) == pytest.approx(result.xyxy[0], abs=2)
            compared += 1
    assert compared >= 8


def test_boxes_hold_their_objects_to_a_fraction_of_a_pixel() -> None:
    part = marked((SIDE, SIDE), (28, 33, 67, 62))
    how = Augmentation(degrees=25, scale=0.3, shear=10, perspective=0.0005, translate=0.1)
    # The same in a picture 10 times as fine, where edges and corners are 10 times as sharp.
    fine = cv2.resize(part.image, (10 * SIDE, 10 * SIDE), interpolation=cv2.INTER_NEAREST)
    for seed in range(6):
        matrix = random_matrix((SIDE, SIDE), SIDE, how, np.random.default_rng(seed))
        finely = np.diag([10.0, 10.0, 1.0]) @ matrix @ np.diag([0.1, 0.1, 1.0])
        found = warped(Labelled(fine, part.cls, part.xyxy * 10), finely, 10 * SIDE)
        light = found.image[..., 0] > (BRIGHT + PAD) // 2
        ys, xs = np.flatnonzero(light.any(axis=1)), np.flatnonzero(light.any(axis=0))
        seen = np.array([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1]) / 10
        assert moved_boxes(part.xyxy, matrix).clip(0, SIDE)[0] == pytest.approx(seen, abs=0.2)


def test_what_is_not_moved_stays_as_it_is_to_the_pixel() -> None:
    rng = np.random.default_rng(0)
    part = Labelled(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8), np.array([2]), np.array([[3.25, 4.5, 60.0, 70.75]]))
    result = warped(part, random_matrix((SIDE, SIDE), SIDE, Augmentation(), rng), SIDE)
    assert np.array_equal(result.image, part.image)
    assert np.array_equal(result.xyxy, part.xyxy)
    assert result.cls.tolist() == [2]


@pytest.mark.parametrize(("name", "axis", "box"), [("fliplr", 1, [36, 10, 86, 40]), ("flipud", 0, [10, 56, 60, 86])])
def test_a_flip_is_a_mirror_to_the_pixel(name: str, axis: int, box: list[int]) -> None:
    rng = np.random.default_rng(0)
    part = Labelled(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8), np.array([0]), np.array([[10.0, 10.0, 60.0, 40.0]]))
    result = warped(part, random_matrix((SIDE, SIDE), SIDE, Augmentation(**{name: 1.0}), rng), SIDE)
    assert np.array_equal(result.image, np.flip(part.image, axis))
    assert result.xyxy.tolist() == [box]


def test_beside_a_picture_is_the_grey_of_inference() -> None:
    shrunk = np.array([[0.5, 0, 24], [0, 0.5, 24], [0, 0, 1]])
    result = warped(marked((SIDE, SIDE), (0, 0, SIDE, SIDE)), shrunk, SIDE)
    assert np.all(result.image[:23] == PAD)
    assert np.all(result.image[25:71, 25:71] == BRIGHT)
    assert result.xyxy.tolist() == [[24, 24, 72, 72]]


def shifted(x: float, y: float) -> Matrix:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])


@pytest.mark.parametrize(
    ("shift", "left"),
    [
        ((0, 0), [[10, 20, 50, 60]]),
        ((-20, 0), [[0, 20, 30, 60]]),
        ((-45, 0), [[0, 20, 5, 60]]),
        ((-47, 0), []),  # less than a tenth of it
        ((0, 70), [[10, 90, 50, 96]]),
        ((90, 0), []),
    ],
)
def test_boxes_are_clipped_and_left_out_where_little_of_them_is_left(shift: tuple[int, int], left: list[list[int]]) -> None:
    result = warped(marked((SIDE, SIDE), (10, 20, 50, 60)), shifted(*shift), SIDE)
    assert result.xyxy.tolist() == left
    assert len(result.cls) == len(left)


def test_boxes_that_become_thinner_than_two_pixels_are_left_out() -> None:
    part = Labelled(np.zeros((SIDE, SIDE, 3), np.uint8), np.array([0, 1]), np.array([[10.0, 10, 13, 50], [10, 10, 14, 50]]))
    result = warped(part, np.diag([0.5, 0.5, 1.0]), SIDE)
    assert result.cls.tolist() == [1]


def test_the_largest_perspective_turns_nothing_inside_out() -> None:
    how = Augmentation(perspective=0.001)
    boxes = np.array([[0.0, 0, 40, 40], [1240, 0, 1280, 40], [0, 1240, 40, 1280], [1240, 1240, 1280, 1280]]) * 2
    for seed in range(200):
        matrix = random_matrix((2560, 2560), 1280, how, np.random.default_rng(seed))
        corners = np.array([[0, 0, 1], [2560, 0, 1], [0, 2560, 1], [2560, 2560, 1]]) @ matrix.T
        assert corners[:, 2].min() > 0.09
        assert np.isfinite(moved_boxes(boxes, matrix)).all()


def test_a_mosaic_is_four_pictures_around_a_point_each_with_its_boxes() -> None:
    sizes = [(96, 96), (96, 60), (50, 96), (96, 72)]
    for seed in range(20):
        parts = [
            Labelled(np.full((height, width, 3), 10 + place, np.uint8), np.array([place]), np.array([[0.0, 0, width, height]]))
            for place, (width, height) in enumerate(sizes)
        ]
        result = mosaic_of(parts, SIDE, np.random.default_rng(seed))
        assert result.image.shape == (2 * SIDE, 2 * SIDE, 3)
        x, y = result.xyxy[0, 2:]
        assert SIDE / 2 <= x <= SIDE * 1.5
        assert SIDE / 2 <= y <= SIDE * 1.5
        assert sorted(result.cls.tolist()) == [0, 1, 2, 3]
        for cls, (left, top, right, bottom) in zip(result.cls.tolist(), result.xyxy, strict=True):
            assert (right if cls % 2 == 0 else left) == x
            assert (bottom if cls < 2 else top) == y
            ys, xs = np.nonzero(result.image[..., 0] == 10 + cls)
            assert (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) == (left, top, right, bottom)
            assert len(xs) == (right - left) * (bottom - top)
        assert set(np.unique(result.image)) <= {10, 11, 12, 13, PAD}


def test_in_a_mosaic_boxes_are_cut_where_pictures_are() -> None:
    rng = np.random.default_rng(1)
    cut = 0
    for _ in range(40):
        parts = [marked((SIDE, SIDE), (5, 5, 60, 70), place) for place in range(4)]
        result = mosaic_of(parts, SIDE, rng)
        for cls, (left, top, right, bottom) in zip(result.cls.tolist(), result.xyxy.astype(int), strict=True):
            assert np.all(result.image[top:bottom, left:right] == BRIGHT)
            cut += (right - left, bottom - top) != (55, 65)
            assert (right - left) * (bottom - top) >= 0.1 * 55 * 65, cls
    assert cut > 10


@pytest.mark.parametrize("size", [(96, 96), (96, 71), (50, 96), (96, 1)])
def test_a_single_picture_is_put_where_inference_puts_it(size: tuple[int, int]) -> None:
    width, height = size
    result = centred(marked(size, (0, 0, width, height)), SIDE)
    box = Letterbox.fit(size, (SIDE, SIDE), Fit.CENTER)
    assert box.inner_size == size
    assert np.array_equal(result.xyxy, box.to_input(np.array([[0, 0, width, height]], np.float32)))
    left, top, right, bottom = result.xyxy[0].astype(int)
    assert np.all(result.image[top:bottom, left:right] == BRIGHT)
    assert np.count_nonzero(result.image == PAD) == 3 * (SIDE * SIDE - width * height)


def test_hues_are_turned_by_the_share_of_the_circle_that_is_asked_for() -> None:
    how = Augmentation(hsv_h=0.25)
    red = np.zeros((2, 2, 3), np.uint8)
    red[...] = (0, 0, 255)
    hues = []
    for seed in range(300):
        image = red.copy()
        recolour(image, how, np.random.default_rng(seed))
        blue, green, full = image[0, 0] / 255
        hue, saturation, value = colorsys.rgb_to_hsv(full, green, blue)
        assert (saturation, value) == (1, 1)
        hues.append((hue + 0.5) % 1 - 0.5)
    assert min(hues) == pytest.approx(-0.25, abs=0.02)
    assert max(hues) == pytest.approx(0.25, abs=0.02)


def test_saturation_and_value_are_scaled_and_greys_stay_grey() -> None:
    values = []
    for seed in range(100):
        image = np.full((2, 2, 3), 100, np.uint8)
        recolour(image, Augmentation(hsv_h=0.5, hsv_s=0.9, hsv_v=0.4), np.random.default_rng(seed))
        assert image.min() == image.max()
        values.append(int(image[0, 0, 0]))
    assert 60 <= min(values) < 65
    assert 135 < max(values) <= 140


def test_brightness_does_not_run_over() -> None:
    image = np.full((2, 2, 3), 250, np.uint8)
    for seed in range(20):
        changed = image.copy()
        recolour(changed, Augmentation(hsv_v=1.0), np.random.default_rng(seed))
        factor = 1 + np.random.default_rng(seed).uniform(-1, 1, 3)[2]
        assert int(changed[0, 0, 0]) == pytest.approx(min(250 * factor, 255), abs=0.51)


def test_colours_that_are_not_to_change_do_not() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    before = image.copy()
    recolour(image, Augmentation(), np.random.default_rng(0))
    assert np.array_equal(image, before)


def test_mixup_shows_both_pictures_about_half_with_the_objects_of_both() -> None:
    one, other = marked((SIDE, SIDE), (0, 0, 40, 40), 1), marked((SIDE, SIDE), (50, 50, 90, 90), 2)
    for seed in range(20):
        result = mixed(one, other, np.random.default_rng(seed))
        assert result.cls.tolist() == [1, 2]
        assert result.xyxy.tolist() == [[0, 0, 40, 40], [50, 50, 90, 90]]
        first, second = int(result.image[20, 20, 0]), int(result.image[70, 70, 0])
        assert first + second == pytest.approx(BRIGHT, abs=1)
        assert 60 < first < 195


def test_everything_random_comes_from_the_generator() -> None:
    how = Augmentation.of(TrainOptions(degrees=10, shear=5, perspective=0.0003))

    def once(rng: np.random.Generator) -> Labelled:
        parts = [marked((SIDE, 60), (5, 5, 60, 50), place) for place in range(4)]
        made = warped(mosaic_of(parts, SIDE, rng), random_matrix((2 * SIDE, 2 * SIDE), SIDE, how, rng), SIDE)
        made = mixed(made, made, rng)
        recolour(made.image, how, rng)
        return made

    rng = np.random.default_rng(7)
    same = copy.deepcopy(rng)
    one, two, three = once(rng), once(same), once(rng)
    assert np.array_equal(one.image, two.image)
    assert np.array_equal(one.xyxy, two.xyxy)
    assert not np.array_equal(one.image, three.image)


def test_pictures_without_objects_go_through_everything() -> None:
    rng = np.random.default_rng(0)
    empty = Labelled(np.zeros((SIDE, SIDE, 3), np.uint8), np.zeros(0, np.int64), np.zeros((0, 4)))
    how = Augmentation(degrees=10, perspective=0.0005)
    made = warped(mosaic_of([empty] * 4, SIDE, rng), random_matrix((2 * SIDE, 2 * SIDE), SIDE, how, rng), SIDE)
    made = mixed(made, made, rng)
    assert made.cls.shape == (0,)
    assert made.xyxy.shape == (0, 4)


def test_an_augmentation_is_what_the_options_say() -> None:
    how = Augmentation.of(TrainOptions(hsv_h=0.1, degrees=5, mixup=0.25))
    assert (how.hsv_h, how.hsv_s, how.degrees, how.mixup, how.mosaic, how.fliplr) == (0.1, 0.7, 5, 0.25, 1, 0.5)
