import threading

import cv2
import numpy as np
import pytest

from framehook.inference.errors import DatasetError
from framehook.training.batches import AHEAD, Batches, read_picture, rectangle

from .coloured import labelled, picture


@pytest.fixture
def samples(tmp_path):
    sizes = [(64, 48), (48, 64), (64, 64), (64, 48), (96, 32)]
    return [picture(tmp_path, f"{n}.png", [(0, n, n, n + 5, n + 9)], size) for n, size in enumerate(sizes)]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_pictures_come_in_order_with_their_labels_whoever_reads_them(samples, workers):
    batches = Batches(samples, batch=2, workers=workers)
    assert len(batches) == 3
    for _ in range(2):  # any number of times
        told = list(batches)
        assert [len(images) for _, images, _ in told] == [2, 2, 1]
        assert [path for paths, _, _ in told for path in paths] == [each.path for each in samples]
        assert [each for _, _, labels in told for each in labels] == samples
        for _, images, labels in told:
            for image, sample in zip(images, labels, strict=True):
                assert np.array_equal(image, cv2.imread(str(sample.path)))


def test_rectangular_batches_hold_pictures_of_like_shape(samples):
    batches = Batches(samples, batch=2, rect=True)
    shapes = [[image.shape[:2] for image in images] for _, images, _ in batches]
    assert shapes == [[(32, 96), (48, 64)], [(48, 64), (64, 64)], [(64, 48)]]


def test_threads_end_with_the_iterator_wherever_it_is_left(samples):
    iterator = iter(Batches(samples * 20, batch=2, workers=2))
    next(iterator)
    assert readers()
    iterator.close()
    assert not readers()


def readers():
    """The threads that read pictures ahead."""
    return [each for each in threading.enumerate() if each.name.startswith("framehook-val")]


def test_only_so_many_pictures_are_read_ahead(samples, tmp_path):
    # Pictures beyond what may be read ahead are gone, and nobody notices before their turn comes.
    workers, batch = 2, 2
    gone = [labelled(tmp_path / "gone.png", (64, 48), [])]
    early = [samples[0]] * (batch + batch + AHEAD * workers)
    iterator = iter(Batches(early + gone, batch=batch, workers=workers))
    for _ in range(len(early) // batch):
        next(iterator)
    with pytest.raises(DatasetError, match=r"gone\.png does not exist"):
        next(iterator)


def test_a_picture_that_is_no_longer_what_was_labelled_is_an_error_of_one_line(samples, tmp_path):
    damaged = samples[0]
    damaged.path.write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"0\.png is no picture any more; it was when the dataset was read"):
        read_picture(damaged)
    cv2.imwrite(str(samples[1].path), np.zeros((10, 20, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"1\.png is of 20x10 pixels now, and was of 48x64 when the dataset was read"):
        read_picture(samples[1])


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(640, 480)], (640, 480)),
        ([(1280, 720)], (640, 384)),
        ([(480, 640)], (480, 640)),
        ([(100, 20)], (640, 128)),
        ([(640, 480), (480, 640)], (640, 640)),
        ([(500, 500)], (640, 640)),
    ],
)
def test_a_rectangle_is_as_narrow_as_pictures_allow(tmp_path, sizes, expected):
    pictures = [labelled(tmp_path, size, []) for size in sizes]
    assert rectangle(pictures, (640, 640), 32) == expected
