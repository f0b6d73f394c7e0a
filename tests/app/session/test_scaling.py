"""How frames look once they are scaled: near to Lanczos' filter, in their place, and never of an earlier frame."""

import cv2
import numpy as np
import pytest
from PIL import Image

from framehook.app.session.scaling import Scaler

SCALES = (0.11, 0.2, 0.25, 0.3, 0.35, 0.39, 0.41, 0.45, 0.47, 0.5, 0.55, 0.6, 0.67, 0.75, 0.79, 0.8, 0.81, 0.9, 0.98)


def scene(width, height, seed=0):
    """A picture with details of all sizes, as photographs have them: noise of each octave, the stronger the coarser it is."""
    chance = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for octave in range(8):
        coarse = chance.normal(size=(max(height >> octave, 2), max(width >> octave, 2), 3))
        total += 1.5**octave * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + total * 45 / total.std(), 0, 255).astype(np.uint8)


def decibels(pixels, ideal):
    return 10 * np.log10(255**2 / np.mean((pixels.astype(float) - ideal) ** 2))


@pytest.mark.parametrize("scale", SCALES)
def test_a_frame_is_shrunk_as_near_to_the_ideal_as_by_areas_or_nearly(scale):
    frame = scene(960, 540)
    size = round(960 * scale), round(540 * scale)
    ideal = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))
    pixels = Scaler().scale(frame, size)
    assert pixels.shape == (size[1], size[0], 4)
    assert (pixels[:, :, 3] == 255).all()
    by_areas = decibels(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), ideal)
    reached = decibels(pixels[:, :, :3], ideal)
    assert reached > by_areas - 1.6
    if scale > 0.5:
        assert reached > by_areas


@pytest.mark.parametrize("size", [(333, 187), (97, 60), (250, 250), (641, 359), (3, 700)])
def test_nothing_moves(size):
    # A ramp in both directions tells of each pixel where it comes from.
    frame = np.zeros((240, 250, 3), np.uint8)
    frame[:, :, 0], frame[:, :, 1] = np.arange(250), np.arange(240)[:, None]
    pixels = Scaler().scale(frame, size)
    for channel, (side, length) in enumerate(zip(size, (250, 240), strict=True)):
        expected = np.clip((np.arange(side) + 0.5) * length / side - 0.5, 0, length - 1)
        found = pixels[:, :, channel].mean(axis=channel).astype(float)
        off = (found - expected)[2:-2] if side > 8 else found - expected
        assert np.abs(off).max() <= 1.5  # each step rounds
        assert abs(off.mean()) < 0.9


def test_frames_and_sizes_may_change_at_any_time():
    scaler = Scaler()
    for seed, frame_size, size in (
        (1, (320, 180), (100, 56)),
        (2, (320, 180), (100, 56)),
        (3, (320, 180), (300, 170)),
        (4, (200, 300), (50, 75)),
        (5, (200, 300), (200, 300)),
        (6, (201, 303), (400, 600)),
        (7, (320, 180), (100, 56)),
    ):
        frame = scene(*frame_size, seed)
        assert np.array_equal(scaler.scale(frame, size), Scaler().scale(frame, size))


@pytest.mark.parametrize("size", [(320, 180), (160, 90), (100, 56), (300, 170), (500, 280)])
def test_the_outcome_can_be_put_where_it_is_wanted(size):
    frame = scene(320, 180)
    there = np.empty((size[1], size[0], 4), np.uint8)
    assert Scaler().scale(frame, size, into=there) is there
    assert np.array_equal(there, Scaler().scale(frame, size))


def test_a_part_of_a_frame_is_not_changed_by_scaling_it():
    frame = scene(320, 180)
    before = frame.copy()
    part = frame[20:140, 31:270]
    assert np.array_equal(Scaler().scale(part, (239, 120))[:, :, :3], part)
    Scaler().scale(part, (60, 30))
    Scaler().scale(part, (480, 240))
    assert np.array_equal(frame, before)


def test_pixels_are_squares_where_that_is_wanted():
    frame = scene(20, 10)
    pixels = Scaler().scale(frame, (80, 40), squares=True)
    assert np.array_equal(pixels[:, :, :3], np.repeat(np.repeat(frame, 4, axis=0), 4, axis=1))
