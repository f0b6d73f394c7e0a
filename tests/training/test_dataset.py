from __future__ import annotations

import os
import resource
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from framehook.inference.errors import TrainingError
from framehook.inference.geometry import Fit, Letterbox
from framehook.inference.preprocess import InputFormat, Preprocessor
from framehook.training.augment import PAD, Augmentation
from framehook.training.data.sample import Sample
from framehook.training.dataset import Item, SharedBytes, TrainingSet
from framehook.training.options import TrainOptions

SIDE = 64
USUAL = Augmentation.of(TrainOptions(mixup=0.5))


def sample_of(path: Path, size: tuple[int, int], boxes: Sequence[Sequence[float]], crowd: Sequence[bool] = ()) -> Sample:
    xyxy = np.array(boxes, np.float64).reshape(-1, 4)
    cls = np.arange(len(xyxy))
    return Sample(path, size, cls, xyxy, np.array(crowd or [False] * len(xyxy), bool), np.ones(len(xyxy)))


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """Six pictures of noise, of several sizes, with a box each; losslessly stored."""
    folder = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(0)
    made = []
    for index, (width, height) in enumerate([(64, 64), (100, 41), (37, 80), (64, 30), (20, 10), (129, 97)]):
        path = folder / f"{index}.png"
        assert cv2.imwrite(str(path), rng.integers(0, 256, (height, width, 3), np.uint8))
        made.append(sample_of(path, (width, height), [[width * 0.1, height * 0.2, width * 0.8, height * 0.9]]))
    return made


def same(one: Item, other: Item) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one[:3], other[:3], strict=True)) and one.path == other.path


def test_without_augmentation_pictures_are_those_of_inference(samples: list[Sample]) -> None:
    form = InputFormat(scale=1.0)
    made = TrainingSet(samples, imgsz=SIDE, augment=None, seed=0)
    for index, sample in enumerate(samples):
        preprocessor = Preprocessor(form, input_size=(SIDE, SIDE), batch=1)
        preprocessor.fill([cv2.imread(str(sample.path))])
        item = made[5, index, True]
        assert item.image.dtype == np.uint8
        assert np.array_equal(item.image, preprocessor.tensor[0])
        box = Letterbox.fit(sample.size, (SIDE, SIDE), Fit.CENTER)
        assert item.xyxy.dtype == np.float32
        assert item.xyxy == pytest.approx(box.to_input(sample.xyxy.astype(np.float32)), abs=1e-4)
        assert item.cls.tolist() == [0]
        assert item.path == str(sample.path)


def test_what_comes_depends_on_seed_epoch_and_index_alone(samples: list[Sample]) -> None:
    keys = [(epoch, index, True) for epoch in range(2) for index in range(len(samples))]
    one, other = (TrainingSet(samples, imgsz=SIDE, augment=USUAL, seed=3) for _ in range(2))
    first = {key: one[key] for key in keys}
    np.random.seed(0)
    for key in reversed(keys):
        assert same(other[key], first[key])
        assert same(one[key], first[key])


def test_seed_epoch_and_index_each_make_another_picture(samples: list[Sample]) -> None:
    one, other = (TrainingSet([samples[5]] * 2, imgsz=SIDE, augment=USUAL, seed=seed) for seed in (0, 1))
    item = one[0, 0, True]
    for different in (one[1, 0, True], one[0, 1, True], other[0, 0, True]):
        assert not np.array_equal(item.image, different.image)


@pytest.fixture
def colours(tmp_path: Path) -> list[Sample]:
    """Eight pictures, each of one grey level, from 10 to 80, with a box around everything."""
    made = []
    for index in range(8):
        path = tmp_path / f"{index}.png"
        assert cv2.imwrite(str(path), np.full((SIDE, SIDE, 3), 10 * (index + 1), np.uint8))
        made.append(sample_of(path, (SIDE, SIDE), [[0, 0, SIDE, SIDE]]))
    return made


def greys(item: Item) -> set[int]:
    """The grey levels of more pixels than edges have, but for that of the padding."""
    levels, counts = np.unique(item.image[0], return_counts=True)
    return {int(level) for level, count in zip(levels, counts, strict=True) if count > 4 * SIDE and level != PAD}


def test_mosaics_and_mixup_come_in_epochs_that_have_them_alone(colours: list[Sample]) -> None:
    made = TrainingSet(colours, imgsz=SIDE, augment=Augmentation(mosaic=1, mixup=0.5, scale=0.5, translate=0.1), seed=0)
    for index in range(8):
        assert greys(made[0, index, False]) == {10 * (index + 1)}
    assert np.mean([len(greys(made[0, index, True])) > 1 for index in range(8)]) > 0.7


def test_mosaics_come_as_often_as_asked_for(colours: list[Sample]) -> None:
    made = TrainingSet(colours, imgsz=SIDE, augment=Augmentation(mosaic=0.3, translate=0.1), seed=0)
    several = [len(made[epoch, index, True].cls) > 1 for epoch in range(40) for index in range(8)]
    assert 0.2 < np.mean(several) < 0.4


def test_boxes_stay_within_the_picture(samples: list[Sample]) -> None:
    made = TrainingSet(samples, imgsz=SIDE, augment=USUAL, seed=0)
    seen = 0
    for epoch in range(20):
        for index in range(len(samples)):
            item = made[epoch, index, True]
            assert len(item.cls) == len(item.xyxy)
            assert item.xyxy.size == 0 or (item.xyxy.min() >= 0 and item.xyxy.max() <= SIDE)
            assert np.all(item.xyxy[:, 2:] - item.xyxy[:, :2] >= 2)
            seen += len(item.cls)
    assert seen > 120


def test_boxes_of_crowds_are_left_out(samples: list[Sample]) -> None:
    first = samples[0]
    boxes = [[0, 0, 30, 30], [10, 10, 60, 60], [20, 20, 40, 40]]
    several = [sample_of(first.path, first.size, boxes, crowd) for crowd in ([False, True, False], [True] * 3, [False] * 3)]
    made = TrainingSet(several, imgsz=SIDE, augment=None, seed=0)
    assert [made[0, index, False].cls.tolist() for index in range(3)] == [[0, 2], [], [0, 1, 2]]
    assert made[0, 0, False].xyxy.tolist() == [boxes[0], boxes[2]]


def test_pictures_without_labels_come_with_none(samples: list[Sample]) -> None:
    bare = [sample_of(each.path, each.size, []) for each in samples]
    for how in (None, USUAL):
        item = TrainingSet(bare, imgsz=SIDE, augment=how, seed=0)[0, 1, True]
        assert item.cls.shape == (0,)
        assert item.xyxy.shape == (0, 4)


def test_a_set_of_one_picture_makes_mosaics_of_it(samples: list[Sample]) -> None:
    item = TrainingSet(samples[:1], imgsz=SIDE, augment=USUAL, seed=0)[0, 0, True]
    assert item.image.shape == (3, SIDE, SIDE)


def vanish(path: Path) -> None:
    path.unlink()


def become_text(path: Path) -> None:
    path.write_text("no picture")


def become_empty(path: Path) -> None:
    path.write_bytes(b"")


def change_size(path: Path) -> None:
    assert cv2.imwrite(str(path), np.zeros((10, 12, 3), np.uint8))


@pytest.mark.parametrize(
    ("happens", "told"),
    [
        (vanish, "does not exist"),
        (become_text, "is no picture any more"),
        (become_empty, "is no picture any more"),
        (change_size, "has 12 x 10 pixels, and had 64 x 64"),
    ],
)
@pytest.mark.parametrize("how", [None, USUAL])
def test_a_picture_that_is_not_what_it_was_is_named(
    colours: list[Sample], happens: Callable[[Path], None], told: str, how: Augmentation | None
) -> None:
    made = TrainingSet(colours, imgsz=SIDE, augment=how, seed=0)
    happens(colours[3].path)
    with pytest.raises(TrainingError, match=told) as caught:
        made[0, 3, True]
    assert str(colours[3].path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pictures_kept_in_memory_are_the_same_and_their_files_are_not_read_again(tmp_path: Path, samples: list[Sample]) -> None:
    copies = []
    for each in samples:
        path = tmp_path / each.path.name
        path.write_bytes(each.path.read_bytes())
        copies.append(sample_of(path, each.size, each.xyxy))
    for how in (None, USUAL):
        plain = TrainingSet(samples, imgsz=SIDE, augment=how, seed=0)
        kept = TrainingSet(copies, imgsz=SIDE, augment=how, seed=0, cache=True)
        for copy in copies:
            copy.path.rename(copy.path.with_suffix(".away"))
        for epoch in range(3):
            for index in range(len(samples)):
                one, other = plain[epoch, index, True], kept[epoch, index, True]
                assert all(np.array_equal(a, b) for a, b in zip(one[:3], other[:3], strict=True))
        for copy in copies:
            copy.path.with_suffix(".away").rename(copy.path)


def test_a_picture_that_cannot_be_kept_is_named_at_once(colours: list[Sample]) -> None:
    colours[5].path.unlink()
    with pytest.raises(TrainingError, match=r"5\.png does not exist"):
        TrainingSet(colours, imgsz=SIDE, augment=None, seed=0, cache=True)


def test_more_pictures_than_fit_into_memory_are_refused_before_they_are_read(tmp_path: Path) -> None:
    huge = sample_of(tmp_path / "huge.png", (1_000_000, 1_000_000), [])
    with pytest.raises(TrainingError, match=r"take 3000\.0 GB of memory.*without cache=True"):
        TrainingSet([huge], imgsz=1_000_000, augment=None, seed=0, cache=True)


def test_memory_that_is_shared_is_there_before_it_is_used() -> None:
    shared = SharedBytes(3_000_000, "the pictures", "train without cache=True")
    # Else its first use is a bus error where there is no room for it.
    assert os.fstat(shared._arena.fd).st_blocks * 512 >= 3_000_000
    shared.part(2_999_990, (2, 5))[:] = 7
    assert shared.part(2_999_980, (20,)).tolist() == [0] * 10 + [7] * 10


def test_room_for_pictures_that_is_not_there_is_told_with_the_way_out(tmp_path: Path) -> None:
    large = sample_of(tmp_path / "large.png", (1000, 1000), [])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))  # as where a disk is full
    try:
        with pytest.raises(TrainingError, match=r"3 MB of shared memory.*; train without cache=True, or have TMPDIR") as caught:
            TrainingSet([large], imgsz=1000, augment=None, seed=0, cache=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
