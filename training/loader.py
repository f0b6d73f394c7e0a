"""Batches to train on, made in worker processes ahead of the training.

How workers are started. Forking the training itself is quick, and is what the field does; but a fork copies one thread and the
locks of all: of OpenCV's and OpenMP's pools, of progress bars, uploads, Qt and CUDA. It hangs now and then, and Python 3.12
warns of it. A fresh interpreter for each worker imports torch again (two seconds each) and, as the fork server does, runs the
user's script again first, which would then need an `if __name__ == "__main__":`. So: workers come from the fork server, a
process without threads that imports this module once and is forked for each worker; and the user's script is hidden while they
start, as nothing a worker needs comes from it. Where there is no fork server (Windows), fresh interpreters it is. The server
stays, idle, until the program ends.

Workers end with the training, whatever becomes of it: each waits, in a thread, for the pipe to its parent to close.

How pictures travel. Workers write them to their places in memory that is shared once and for all, from where they are copied.
Torch would make a new shared file for every batch, which costs two more copies, ends with a bus error where `/dev/shm` is
small, as it is in containers, and leaves tracebacks of workers when the training is interrupted while it takes a file over.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import context, forkserver, resource_tracker
from types import ModuleType
from typing import Any, Final, NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from framehook.inference.errors import FramehookError, TrainingError, one_line
from framehook.training.augment import Pixels
from framehook.training.batch import Targets, TrainBatch
from framehook.training.dataset import Key, SharedBytes, TrainingSet

AHEAD: Final = 2
"""Batches each worker makes ahead."""


class _Made(NamedTuple):
    """A batch as it comes from a worker, or from this process.

    Attributes:
        images: The pictures, or the number of the place in shared memory where they are.
    """

    images: torch.Tensor | int
    picture: npt.NDArray[np.int64]
    cls: npt.NDArray[np.int64]
    xyxy: npt.NDArray[np.float32]
    paths: list[str]


_Sent: TypeAlias = _Made | FramehookError


class TrainLoader:
    """The pictures of a training set in batches, in another order each epoch.

    Order and pictures of an epoch depend on the seed and the epoch alone, whatever `workers` is, and whether the training was
    resumed. The last batch may be smaller. To be used from one thread, and closed.

    Attributes:
        dataset: The pictures.
        batch_size: Pictures of a batch, on each process of the training.
        workers: Worker processes: what was asked for, but no more than there are processor cores or batches.
        waited: Seconds that whoever iterates waited for batches in this epoch, or in the last one.
    """

    def __init__(
        self,
        dataset: TrainingSet,
        *,
        batch: int,
        seed: int,
        workers: int,
        rank: int = 0,
        world: int = 1,
        pin: bool = False,
        shuffle: bool = True,
    ) -> None:
        """Prepare for epoch 0, with mosaics; workers start with the first batch.

        Args:
            dataset: The pictures.
            batch: Pictures of a batch.
            seed: Of the order.
            workers: Processes that make batches ahead; 0 to make each when it is asked for.
            rank: Which process of a training on several this is.
            world: How many these are. Each gets as many batches; some pictures come twice where it does not come out even.
            pin: Put pictures into page-locked memory, from where GPUs can copy by themselves.
            shuffle: False for the order of the dataset.

        Raises:
            TrainingError: no room for what workers make.
        """
        self.dataset = dataset
        self.batch_size = batch
        self.waited = 0.0
        self._seed, self._rank, self._world, self._shuffle = seed, rank, world, shuffle
        self._epoch, self._mosaic = 0, True
        self.workers = min(workers, _cores(), len(self))
        self._pin = pin and torch.cuda.is_available()
        self._places: _Places | None = None
        several: dict[str, Any] = {}
        if self.workers:
            self._places = _Places(self.workers * (AHEAD + 1), (batch, 3, dataset.imgsz, dataset.imgsz))
            several = {
                "multiprocessing_context": _quiet_context(),
                "persistent_workers": True,
                "prefetch_factor": AHEAD,
                "worker_init_fn": _begin_worker,
            }
        self._running: Iterator[_Sent] | None = None
        self._loader: DataLoader[_Sent] | None = DataLoader(
            _Batches(dataset, self._places, pin=self._pin),
            batch_sampler=_Order(self),
            num_workers=self.workers,
            collate_fn=_as_it_is,  # type: ignore[arg-type]  # typed for datasets of single pictures
            # Its own: a number is drawn from it each epoch, which must not change what else is random in the training.
            generator=torch.Generator(),
            **several,
        )

    def set_epoch(self, epoch: int, *, mosaic: bool) -> None:
        """Say which epoch comes next, from 0, and whether it has mosaics and mixup."""
        self._epoch, self._mosaic = epoch, mosaic

    def __len__(self) -> int:
        """Batches of an epoch, on each process."""
        return -(-self._share() // self.batch_size)

    def __iter__(self) -> Iterator[TrainBatch]:
        """Go through the epoch. One that was left before its end is given up.

        Raises:
            TrainingError: a picture that cannot be read any more; workers that could not be started, or died.
        """
        self.waited = 0.0
        began = time.monotonic()
        running = self._start()
        while True:
            made = self._next(running)
            if isinstance(made, FramehookError):
                raise made
            batch = None if made is None else self._batch(made)
            self.waited += time.monotonic() - began
            if batch is None:
                return
            yield batch
            began = time.monotonic()

    def _start(self) -> Iterator[_Sent]:
        if self._loader is None:
            raise TrainingError("the loader is closed; make another one")
        try:
            self._running = running = iter(self._loader)
        except (OSError, EOFError) as error:
            raise TrainingError(
                f"no process that loads pictures could be started ({one_line(error)}); try workers=0"
            ) from error
        except RuntimeError as error:  # those of the epoch before are asked whether they are there
            _tell_death(error)
            raise
        return running

    def _next(self, running: Iterator[_Sent]) -> _Sent | None:
        try:
            return next(running, None)
        except (OSError, EOFError, RuntimeError) as error:
            if self.workers:
                _tell_death(error)
            raise

    def _batch(self, made: _Made) -> TrainBatch:
        targets = Targets(torch.from_numpy(made.picture), torch.from_numpy(made.cls), torch.from_numpy(made.xyxy))
        images = made.images
        if isinstance(images, int):
            assert self._places is not None
            shared = torch.from_numpy(self._places[images][: len(made.paths)])
            images = torch.empty(shared.shape, dtype=torch.uint8, pin_memory=self._pin).copy_(shared)
        return TrainBatch(images, targets, made.paths)

    def close(self) -> None:
        """End the workers, and wait for them. May be called again."""
        running, self._running, self._loader, self._places = self._running, None, None, None
        if self.workers and running is not None:
            # Deleting the iterator would do, were it certain that nobody else refers to it.
            running._shutdown_workers()  # type: ignore[attr-defined]

    def keys(self) -> list[list[Key]]:
        """The batches of this epoch on this process, as keys of the dataset."""
        count = len(self.dataset)
        order = np.arange(count)
        if self._shuffle:
            # A picture's own randomness is seeded with its index in place of the count, so never with the same.
            order = np.random.default_rng([self._seed, self._epoch, count]).permutation(count)
        mine = np.resize(order, self._share() * self._world)[self._rank :: self._world].tolist()
        keys = [(self._epoch, index, self._mosaic) for index in mine]
        return [keys[first : first + self.batch_size] for first in range(0, len(keys), self.batch_size)]

    def _share(self) -> int:
        return -(-len(self.dataset) // self._world)


class _Order:
    """What torch calls a batch sampler."""

    def __init__(self, loader: TrainLoader) -> None:
        self._loader = loader

    def __iter__(self) -> Iterator[list[Key]]:
        return iter(self._loader.keys())

    def __len__(self) -> int:
        return len(self._loader)


class _Places:
    """Shared memory for batches of pictures."""

    def __init__(self, count: int, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._size = math.prod(shape)
        self._bytes = SharedBytes(count * self._size, "the batches of workers", "try workers=0, or a smaller batch or imgsz")

    def __getitem__(self, number: int) -> Pixels:
        return self._bytes.part(number * self._size, self._shape)


class _Batches(Dataset[Any]):
    """A training set that gives whole batches, each picture written to its place in them at once."""

    def __init__(self, dataset: TrainingSet, places: _Places | None, *, pin: bool) -> None:
        self._dataset = dataset
        self._places = places
        self._pin = pin
        self._made = 0

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitems__(self, keys: list[Key]) -> _Sent:
        worker = get_worker_info()
        sent: torch.Tensor | int
        if worker is None or self._places is None:
            side = self._dataset.imgsz
            sent = torch.empty((len(keys), 3, side, side), dtype=torch.uint8, pin_memory=self._pin)
            images = sent.numpy()
        else:
            # While one batch is copied, the next ones are made: one place more than batches that a worker is ahead.
            sent = worker.id * (AHEAD + 1) + self._made % (AHEAD + 1)
            images = self._places[sent][: len(keys)]
            self._made += 1
        try:
            made = [self._dataset.fill(image, key) for image, key in zip(images, keys, strict=True)]
        except FramehookError as error:
            # Returned: of what is raised in a worker, torch makes something of many lines.
            return error
        return _Made(
            sent,
            np.repeat(np.arange(len(keys)), [len(cls) for cls, _ in made]),
            np.concatenate([cls for cls, _ in made]),
            np.concatenate([xyxy for _, xyxy in made]),
            [self._dataset.path(index) for _, index, _ in keys],
        )


def _tell_death(error: Exception) -> None:
    """Say in one line that a worker died, if that is what torch means.

    Raises:
        TrainingError: it is.
    """
    # What was raised in a worker comes as what it is, told as "Caught ...": a bug, to be seen with its traceback.
    if not isinstance(error, RuntimeError) or str(error).startswith("DataLoader worker"):
        raise TrainingError(
            f"a process that loads pictures died ({one_line(error)}); if memory ran out, try fewer workers or a lower batch"
        ) from error


def _as_it_is(made: _Sent) -> _Sent:
    return made


def _cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quiet_context() -> context.BaseContext:
    """How workers are started; see above."""
    started = _Context()
    if sys.platform != "win32":
        # In place of the user's script, which is what it imports by default.
        started.set_forkserver_preload([__name__])
        with _hidden_script():
            forkserver.ensure_running()  # it imports torch while the training is prepared
    return started


@contextmanager
def _hidden_script() -> Iterator[None]:
    """Keep the user's script from being run again by a process that is started, and Ctrl-C from interrupting that.

    The parent ends its workers itself on Ctrl-C; from them there would be nothing but tracebacks.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    masked = None
    if sys.platform != "win32":
        # Started first, as it unblocks the signal after it was started.
        resource_tracker.ensure_running()
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        sys.modules["__main__"] = script
        if masked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)


if sys.platform == "win32":

    class _Process(context.SpawnProcess):
        @staticmethod
        def _Popen(process_obj: Any) -> Any:  # noqa: N802
            with _hidden_script():
                return context.SpawnProcess._Popen(process_obj)

    class _Context(context.SpawnContext):
        Process = _Process
else:

    class _Process(context.ForkServerProcess):
        @staticmethod
        def _Popen(process_obj: Any) -> Any:  # noqa: N802
            with _hidden_script():
                return context.ForkServerProcess._Popen(process_obj)

    class _Context(context.ForkServerContext):
        Process = _Process


def _begin_worker(number: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)
    threading.Thread(target=_end_with_parent, name="framehook-parent", daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
