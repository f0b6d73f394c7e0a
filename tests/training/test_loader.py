from __future__ import annotations

import multiprocessing
import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from framehook.inference.errors import TrainingError
from framehook.training.augment import Augmentation
from framehook.training.batch import TrainBatch
from framehook.training.data.sample import Sample
from framehook.training.dataset import TrainingSet
from framehook.training.loader import TrainLoader
from framehook.training.options import TrainOptions

PATIENCE = 300.0
"""Seconds to wait for what must come."""
SIDE = 32
COUNT = 11
USUAL = Augmentation.of(TrainOptions(mixup=0.5))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven pictures of noise."""
    folder = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(0)
    for index in range(COUNT):
        assert cv2.imwrite(str(folder / f"{index}.png"), rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8))
    return folder


def pictures(folder: Path, augment: Augmentation | None = USUAL, count: int = COUNT, **others: Any) -> TrainingSet:
    """Those of a folder; the number of a picture is that of its boxes too, so that some have none."""
    samples = []
    for index in range(count):
        boxes = np.array([[1.0, 2, 30, 31]] * (index % 4)).reshape(-1, 4)
        cls = np.full(len(boxes), index)
        crowd = np.zeros(len(boxes), bool)
        samples.append(Sample(folder / f"{index}.png", (SIDE, SIDE), cls, boxes, crowd, np.ones(len(boxes))))
    return TrainingSet(samples, imgsz=SIDE, augment=augment, seed=1, **others)


@contextmanager
def loader(dataset: TrainingSet, **how: Any) -> Iterator[TrainLoader]:
    made = TrainLoader(dataset, **{"batch": 4, "seed": 1, "workers": 0, **how})
    try:
        yield made
    finally:
        made.close()


def epoch_of(made: TrainLoader, epoch: int, *, mosaic: bool = True) -> list[TrainBatch]:
    made.set_epoch(epoch, mosaic=mosaic)
    return list(made)


def same(some: list[TrainBatch], others: list[TrainBatch]) -> bool:
    return len(some) == len(others) and all(
        torch.equal(a.images, b.images)
        and all(torch.equal(x, y) for x, y in zip(a.targets, b.targets, strict=True))
        and a.paths == b.paths
        for a, b in zip(some, others, strict=True)
    )


def order(batches: list[TrainBatch]) -> list[int]:
    return [int(Path(path).stem) for batch in batches for path in batch.paths]


def test_each_picture_comes_once_an_epoch_in_another_order_each_time(folder: Path) -> None:
    with loader(pictures(folder)) as made:
        orders = [order(epoch_of(made, epoch)) for epoch in (0, 1, 0)]
        assert [sorted(each) for each in orders] == [list(range(COUNT))] * 3
        assert orders[0] == orders[2] != orders[1]
        assert orders[0] != sorted(orders[0])


def test_without_shuffling_the_order_is_that_of_the_dataset(folder: Path) -> None:
    with loader(pictures(folder), shuffle=False) as made:
        assert order(epoch_of(made, 3)) == list(range(COUNT))


def test_a_batch_holds_pictures_of_one_size_and_their_objects(folder: Path) -> None:
    with loader(pictures(folder, augment=None)) as made:
        batches = epoch_of(made, 0)
    assert [len(batch.images) for batch in batches] == [4, 4, 3]
    assert len(made) == 3
    for batch in batches:
        assert batch.images.dtype == torch.uint8
        assert batch.images.shape[1:] == (3, SIDE, SIDE)
        assert [each.dtype for each in batch.targets] == [torch.int64, torch.int64, torch.float32]
        numbers = order([batch])
        wanted = [(place, number) for place, number in enumerate(numbers) for _ in range(number % 4)]
        assert list(zip(batch.targets.picture.tolist(), batch.targets.cls.tolist(), strict=True)) == wanted
        assert batch.targets.xyxy.tolist() == [[1, 2, 30, 31]] * len(wanted)
        for image, number in zip(batch.images, numbers, strict=True):
            stored = cv2.imread(str(folder / f"{number}.png"))[..., ::-1].transpose(2, 0, 1)
            assert np.array_equal(image.numpy(), stored)


def test_batches_without_any_object_have_empty_targets(folder: Path) -> None:
    with loader(pictures(folder, augment=None, count=1)) as made:
        (batch,) = epoch_of(made, 0)
    assert [tuple(each.shape) for each in batch.targets] == [(0,), (0,), (0, 4)]


def test_worker_processes_change_nothing_nor_does_a_resume(folder: Path) -> None:
    with loader(pictures(folder), batch=2) as made:
        alone = [epoch_of(made, epoch, mosaic=epoch < 2) for epoch in range(3)]
    with loader(pictures(folder), batch=2, workers=2) as made:
        assert made.workers == min(2, len(os.sched_getaffinity(0)))
        for epoch in range(3):
            assert same(epoch_of(made, epoch, mosaic=epoch < 2), alone[epoch])
    for workers in (0, 1):
        with loader(pictures(folder), batch=2, workers=workers) as made:
            assert same(epoch_of(made, 2, mosaic=False), alone[2])
    assert not same(alone[0], alone[1])


def test_workers_stay_over_epochs_and_end_with_the_loader(folder: Path) -> None:
    before = set(multiprocessing.active_children())
    with loader(pictures(folder), workers=1) as made:
        epoch_of(made, 0)
        first = {each.pid for each in multiprocessing.active_children() if each not in before}
        epoch_of(made, 1)
        assert {each.pid for each in multiprocessing.active_children() if each not in before} == first
        assert len(first) == 1
    assert set(multiprocessing.active_children()) == before
    made.close()
    with pytest.raises(TrainingError, match="closed"):
        next(iter(made))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_epoch_that_was_left_early_does_not_reach_into_the_next(folder: Path, workers: int) -> None:
    with loader(pictures(folder), batch=2) as made:
        whole = epoch_of(made, 1)
    with loader(pictures(folder), batch=2, workers=workers) as made:
        made.set_epoch(0, mosaic=True)
        for _ in made:
            break
        assert same(epoch_of(made, 1), whole)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_epoch_under_way_is_not_changed_by_naming_the_next(folder: Path, workers: int) -> None:
    with loader(pictures(folder), batch=1) as made:
        whole = epoch_of(made, 0)
    with loader(pictures(folder), batch=1, workers=workers) as made:
        made.set_epoch(0, mosaic=True)
        seen = []
        for batch in made:
            made.set_epoch(1, mosaic=False)
            seen.append(batch)
    assert same(seen, whole)


def test_a_loader_with_workers_nobody_took_a_batch_from_can_be_closed(folder: Path) -> None:
    with loader(pictures(folder), workers=2):
        pass


def test_there_are_no_more_workers_than_batches_or_cores(folder: Path) -> None:
    with loader(pictures(folder, count=3), workers=1000) as made:
        assert made.workers == 1
    with loader(pictures(folder), batch=1, workers=1000) as made:
        assert made.workers == min(COUNT, len(os.sched_getaffinity(0)))


@pytest.mark.parametrize(("world", "batches"), [(2, 2), (3, 1), (4, 1)])
def test_processes_of_one_training_share_the_pictures_evenly(folder: Path, world: int, batches: int) -> None:
    shares = []
    for rank in range(world):
        with loader(pictures(folder), rank=rank, world=world) as made:
            share = epoch_of(made, 0)
            assert len(share) == len(made) == batches
            shares.append(share)
    assert len({tuple(len(batch.images) for batch in share) for share in shares}) == 1
    seen = [number for share in shares for number in order(share)]
    assert set(seen) == set(range(COUNT))
    assert len(seen) == -(-COUNT // world) * world


def test_more_processes_than_pictures_get_one_each(folder: Path) -> None:
    for rank in range(5):
        with loader(pictures(folder, count=2), rank=rank, world=5) as made:
            assert len(order(epoch_of(made, 0))) == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_vanished_is_named_in_one_line(tmp_path: Path, folder: Path, workers: int) -> None:
    for index in range(4):
        (tmp_path / f"{index}.png").write_bytes((folder / f"{index}.png").read_bytes())
    dataset = pictures(tmp_path, augment=None, count=4)
    (tmp_path / "2.png").unlink()
    with loader(dataset, workers=workers, batch=1) as made, pytest.raises(TrainingError) as caught:
        epoch_of(made, 0)
    assert str(caught.value) == f"{tmp_path / '2.png'} does not exist; it was there when the dataset was read"


def test_workers_read_what_is_kept_in_memory(tmp_path: Path, folder: Path) -> None:
    for index in range(COUNT):
        (tmp_path / f"{index}.png").write_bytes((folder / f"{index}.png").read_bytes())
    dataset = pictures(tmp_path, cache=True)
    for index in range(COUNT):
        (tmp_path / f"{index}.png").unlink()
    with loader(dataset, workers=1) as made, loader(pictures(folder)) as other:
        some, others = epoch_of(made, 0), epoch_of(other, 0)
    assert all(torch.equal(a.images, b.images) for a, b in zip(some, others, strict=True))


def test_the_time_that_was_waited_is_told_for_each_epoch(folder: Path) -> None:
    with loader(pictures(folder)) as made:
        epoch_of(made, 0)
        first = made.waited
        assert 0 < first < 60
        made.set_epoch(1, mosaic=True)
        next(iter(made))
        assert made.waited > 0


def test_loading_takes_no_random_numbers_from_the_training(folder: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    for workers in (0, 1):
        with loader(pictures(folder), workers=workers) as made:
            epoch_of(made, 0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have torch look after its workers more often than every five seconds."""
    monkeypatch.setattr(_MultiProcessingDataLoaderIter._try_get_data, "__defaults__", (0.1,))


@pytest.mark.usefixtures("impatient")
def test_a_worker_that_was_killed_is_told_in_one_line(folder: Path) -> None:
    before = set(multiprocessing.active_children())
    with loader(pictures(folder), workers=1, batch=1) as made:
        iterator = iter(made)
        next(iterator)
        (worker,) = set(multiprocessing.active_children()) - before
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(TrainingError, match="a process that loads pictures died") as caught:
            list(iterator)
        assert "\n" not in str(caught.value)


SCRIPT = """
print("begun", flush=True)
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal; what runs the tests may have it ignored
from pathlib import Path
import numpy as np
from framehook.training.data.sample import Sample
from framehook.training.dataset import TrainingSet
from framehook.training.loader import TrainLoader

folder, nothing = Path(sys.argv[1]), (np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0, bool), np.zeros(0))
samples = [Sample(folder / f"{index}.png", (32, 32), *nothing) for index in range(11)]
dataset = TrainingSet(samples, imgsz=32, augment=None, seed=0)
loader = TrainLoader(dataset, batch=1, seed=0, workers=2)
told = False
try:
    while True:
        for batch in loader:
            if not told:
                print("loading", flush=True)
                told = True
except KeyboardInterrupt:
    loader.close()
    print("interrupted", flush=True)
loader = TrainLoader(dataset, batch=1, seed=0, workers=2)
print(len(list(loader)), flush=True)
while True:
    list(loader)
"""


def test_a_plain_script_has_workers_that_ignore_ctrl_c_and_die_with_it(tmp_path: Path, folder: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    with subprocess.Popen(
        [sys.executable, str(script), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        assert running.stdout is not None
        try:
            # Run once: no worker runs the script again.
            assert running.stdout.readline() == "begun\n"
            assert running.stdout.readline() == "loading\n"
            os.killpg(running.pid, signal.SIGINT)
            assert select.select([running.stdout], [], [], PATIENCE)[0], "it was not interrupted"
            assert running.stdout.readline() == "interrupted\n"
            assert running.stdout.readline() == f"{COUNT}\n"
        finally:
            running.kill()
        # Every process it started holds the other ends of these pipes: they close when the last of them ends.
        out, complaints = running.communicate(timeout=PATIENCE)
        assert out == ""
        # Python's own, that it cleans up after who was killed.
        assert all("resource_tracker" in line for line in complaints.splitlines()), complaints


@pytest.mark.usefixtures("impatient")
def test_a_worker_that_was_killed_between_epochs_is_told_in_one_line(folder: Path) -> None:
    before = set(multiprocessing.active_children())
    with loader(pictures(folder), workers=1) as made:
        epoch_of(made, 0)
        (worker,) = set(multiprocessing.active_children()) - before
        worker.kill()
        worker.join()
        with pytest.raises(TrainingError, match="a process that loads pictures died") as caught:
            epoch_of(made, 1)
        assert "\n" not in str(caught.value)


def test_room_for_batches_that_is_not_there_is_told_with_the_way_out(folder: Path) -> None:
    with files_of_at_most(1 << 20), pytest.raises(TrainingError, match=r"of shared memory.*; try workers=0, or") as caught:
        TrainLoader(pictures(folder), batch=400, seed=0, workers=1)
    assert "\n" not in str(caught.value)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file become larger, as where a disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
