"""One training: fires events, takes a network through epochs, keeps what can be gone on from."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any, Protocol, Unpack, runtime_checkable

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from framehook.inference.callbacks.registry import Callbacks
from framehook.inference.errors import DatasetError, OptionError, RunError, TrainingError
from framehook.inference.events import TrainEvent
from framehook.inference.nets.net import DetectionNet
from framehook.inference.saving import next_free_folder
from framehook.training.arguments import plain_args, write_args
from framehook.training.augment import Augmentation
from framehook.training.batch import TrainBatch
from framehook.training.callbacks.csv_logger import CSVLogger
from framehook.training.callbacks.drawings import Drawings
from framehook.training.checkpoints import TrainState
from framehook.training.data import DataSpec, Split, load_split, read_data
from framehook.training.dataset import TrainingSet
from framehook.training.ema import ModelEMA
from framehook.training.folder import TrainFolder, plain_figures
from framehook.training.loader import TrainLoader
from framehook.training.losses import DetectionLoss
from framehook.training.mishaps import Mishaps
from framehook.training.optimizers import Chosen, Schedule, batches_a_step, choose_optimizer, make_optimizer
from framehook.training.options import TrainArgs, TrainOptions
from framehook.training.processes import Processes
from framehook.training.report import TrainReport
from framehook.training.resume import Resumed, resumed
from framehook.training.snapshot import TrainSnapshot, label_losses, label_names
from framehook.training.start import freeze_layers, network_to_train
from framehook.training.steps import ShortOfMemoryError, Steps
from framehook.training.validator import Validator
from framehook.training.watched import Watched

log = logging.getLogger("framehook")


@runtime_checkable
class HasSpec(Protocol):
    """A model as the facade has it: what it was loaded from, and the callbacks of its runs."""

    callbacks: Callbacks

    @property
    def spec(self) -> Any:
        """What it was loaded from."""
        ...

    @property
    def architecture(self) -> str | None:
        """Name of the network of a checkpoint that holds weights alone."""
        ...


class Trainer:
    """One training of a detection network; it is used once.

    Callbacks receive the trainer. Whatever happens, a checkpoint that was complete once stays complete: files are written
    beside and renamed.

    Attributes:
        args: The options in force.
        data: The dataset.
        device: What it trains on, a `torch.device`.
        rank, world: Number of this process, and how many train together.
        model: The network that is trained. Set, as all that follows, from `on_pretrain_routine_end` on.
        ema: The running average of its weights, `ema.net`, which is validated and kept.
        optimizer, scheduler: PyTorch's own.
        train_loader: Gives `TrainBatch`es; its length is the number of batches in an epoch.
        test_loader: What the validator goes through; None without validation.
        validator: Measures after epochs; None without validation, and on all processes but the first.
        batch_size: Pictures of a batch, of this process.
        accumulate: Batches whose gradients make one step.
        amp: Whether it computes in mixed precision.
        epoch: Number of the epoch, from 0.
        epochs: Number of epochs in all.
        start_epoch: Number of the first epoch of this run: 0, or more after a resume.
        batch_i: Number of the batch in the epoch, from 0.
        batch: The batch, a `TrainBatch`, on the device.
        loss: What is gone backward from, of the batch: a tensor.
        loss_items: Its parts, a tensor of three.
        tloss: Their means over the epoch so far.
        loss_names: Their names: `box_loss`, `cls_loss`, `dfl_loss`; of YOLO26 the last is `l1_loss`.
        metrics: The last validation: `metrics/precision(B)`, `metrics/recall(B)`, `metrics/mAP50(B)`, `metrics/mAP50-95(B)`,
            `val/box_loss` ...; empty before the first.
        fitness: 0.1 mAP50 + 0.9 mAP50-95 of the last validation; None before the first.
        best_fitness: The best so far; None before the first.
        is_best: Whether the last epoch was the best so far.
        epoch_time: Seconds of the last complete epoch, with its validation; None before.
        save_dir: Folder of all files; `wdir`, its `weights`, that of checkpoints; `last`, `best` and `csv` are files in them.
        stop: Set it True in any callback: the training ends after the batch, which is then the last of its epoch.
        report: What came of it; set before `on_train_end`.
        error: What ended the training, or None.
        callbacks: The registry of this training, on top of that of the model.
    """

    def __init__(
        self,
        source: Any,
        *,
        callbacks: Callbacks | None = None,
        architecture: str | None = None,
        **options: Unpack[TrainArgs],
    ) -> None:
        """Prepare a training; nothing is written before `run`.

        Args:
            source: A `Model`, path of a `.pt` checkpoint, name or file of an architecture (`yolo11n.yaml`), or a
                `DetectionNet`, which is copied.
            callbacks: What is called; None for the callbacks of the model.
            architecture: Name of the network of a checkpoint that holds weights alone.
            **options: See `TrainOptions`.

        Raises:
            UnknownOptionError, OptionError: an option is wrong.
            DatasetError: the dataset cannot be read.
            ModelError: the source cannot be loaded, or is nothing that can be trained.
            TrainingError: it cannot be gone on from what `resume` names.
        """
        if isinstance(source, HasSpec):
            callbacks = source.callbacks if callbacks is None else callbacks
            source, architecture = source.spec, architecture or source.architecture
        self._source = str(source) if isinstance(source, str | Path) else type(source).__name__
        self.args = TrainOptions.build(options)
        self._resumed: Resumed | None = None
        if self.args.resume:
            self._resumed = resumed(source, options)
            self.args = self._resumed.args
        if self.args.data is None:
            raise OptionError("a training needs data: a dataset's YAML file, such as data='data.yaml'")
        self.data: DataSpec = read_data(self.args.data)
        self.model: DetectionNet = (
            self._resumed.network(self.data.names)
            if self._resumed
            else network_to_train(source, self.data.names, architecture=architecture, seed=self.args.seed)
        )
        _check_size(self.args.imgsz, self.model.stride)
        self._frozen = freeze_layers(self.model, self.args.freeze)
        self.epochs = self.args.epochs
        self.start_epoch = self.epoch = self._resumed.next_epoch if self._resumed else 0
        if self._resumed and self.start_epoch >= self.epochs:
            raise TrainingError(
                f"{self._resumed.path} has gone through {self.start_epoch} epochs already, and epochs={self.epochs} asks for "
                "no more; pass a larger number to go on"
            )
        if self.args.val and "val" not in self.data.splits:
            raise DatasetError(
                f"{self.data.file} has no val, by which to tell how good a network is; add one (framehook data split parts "
                "labelled pictures), or pass val=False"
            )
        self._processes = Processes(self.args.device)
        self.device, self.rank, self.world = self._processes.device, self._processes.rank, self._processes.world
        self.batch_i = 0
        self.batch: TrainBatch | None = None
        self.batch_size = self._resumed.state.batch if self._resumed else self.args.batch
        self.accumulate = 1
        self.amp = self.args.amp and self.device.type == "cuda"
        self.optimizer: Optimizer
        self.train_loader: TrainLoader
        self.validator: Validator | None = None
        self.tloss: Tensor | None = None
        self.metrics: dict[str, float] = dict(self._resumed.state.metrics) if self._resumed else {}
        self.fitness: float | None = self._resumed.state.fitness if self._resumed else None
        self.best_fitness: float | None = self._resumed.best_fitness if self._resumed else None
        self.is_best = False
        self.epoch_time: float | None = None
        self.stop = False
        self.report: TrainReport | None = None
        self.error: BaseException | None = None
        self.callbacks = Callbacks(parent=callbacks, main=self._processes.main)
        # Losses are named before there is a loss, which needs the network on its device.
        self.loss_names = ("box_loss", "cls_loss", "dfl_loss" if self.model.detect.reg_max > 1 else "l1_loss")

        self._begun = False
        self._why = "epochs"
        self._best_epoch = self._resumed.state.best_epoch if self._resumed else -1
        self._best_metrics: dict[str, float] = dict(self._resumed.state.best_metrics) if self._resumed else {}
        self._seconds_before = self._resumed.state.seconds if self._resumed else 0.0
        self._began = self._trained = self._waited = 0.0
        self._measured = 0
        self._done = self.start_epoch
        self._is_cut = False
        self._mishaps = Mishaps()
        self._is_saved = True

    # What callbacks look at -----------------------------------------------------------------------------------------------

    @property
    def ema(self) -> ModelEMA:
        """The running average of the weights."""
        return self._steps.ema

    @property
    def loss(self) -> Tensor | None:
        """What is gone backward from, of the last batch; None before the first."""
        return self._steps.loss if hasattr(self, "_steps") else None

    @property
    def loss_items(self) -> Tensor | None:
        """The parts of `loss`; None before the first batch."""
        return self._steps.loss_items if hasattr(self, "_steps") else None

    @property
    def scheduler(self) -> LambdaLR:
        """PyTorch's scheduler of the learning rate, by epochs."""
        return self._schedule.scheduler

    @property
    def test_loader(self) -> Any:
        """What the validator goes through; None without validation."""
        return None if self.validator is None else self.validator.dataloader

    @property
    def lr(self) -> dict[str, float]:
        """The learning rates in force, by parameter group: `lr/pg0` weights, `lr/pg1` norms, `lr/pg2` biases."""
        return {f"lr/pg{number}": float(group["lr"]) for number, group in enumerate(self.optimizer.param_groups)}

    @property
    def save_dir(self) -> Path:
        """Folder of all files."""
        return self._folder.path

    @property
    def wdir(self) -> Path:
        """Folder of the checkpoints."""
        return self._folder.weights

    @property
    def last(self) -> Path:
        """Checkpoint of the last epoch, from which a training goes on."""
        return self._folder.last

    @property
    def best(self) -> Path:
        """Weights of the best epoch."""
        return self._folder.best

    @property
    def csv(self) -> Path:
        """Losses, metrics and learning rates, a row an epoch."""
        return self._folder.csv

    def label_loss_items(self, items: Any = None, prefix: str = "train") -> dict[str, float] | list[str]:
        """Losses by name, such as `{"train/box_loss": 1.2}`; the names alone where no losses are given."""
        return label_losses(self.loss_names, items, prefix)

    def snapshot(self) -> TrainSnapshot:
        """A frozen copy for a background callback."""
        return TrainSnapshot(
            args=self.args,
            data=self.data,
            device=str(self.device),
            rank=self.rank,
            world=self.world,
            epoch=self.epoch,
            epochs=self.epochs,
            start_epoch=self.start_epoch,
            batch_i=self.batch_i,
            batch_size=self.batch_size,
            accumulate=self.accumulate,
            amp=self.amp,
            stop=self.stop,
            lr=self.lr if hasattr(self, "optimizer") else {},
            loss=None if self.loss is None else float(self.loss),
            loss_names=self.loss_names,
            loss_items=_numbers(self.loss_items),
            tloss=_numbers(self.tloss),
            metrics=dict(self.metrics),
            fitness=self.fitness,
            best_fitness=self.best_fitness,
            is_best=self.is_best,
            epoch_time=self.epoch_time,
            save_dir=self.save_dir,
            wdir=self.wdir,
            last=self.last,
            best=self.best,
            csv=self.csv,
            report=self.report,
            error=self.error,
        )

    def where(self) -> str:
        """Which epoch and batch it is at, for messages."""
        if not hasattr(self, "_steps"):
            return ""
        return f"epoch {self.epoch + 1}" + (f", batch {self.batch_i + 1}" if self.batch is not None else "")

    # The training ---------------------------------------------------------------------------------------------------------

    def run(self) -> TrainReport:
        """Train, and tell what came of it.

        Raises:
            RunError: it ran before.
            OptionError, DatasetError: an option does not fit the data or the network, or the data is not usable.
            TrainingError: it cannot go on: losses that are no numbers, memory that is too short, a full disk, another process
                that is gone.
            InferenceError: there was not enough memory to validate.
            CallbackError: a callback raised.
            ExceptionGroup: several of these.
        """
        if self._begun:
            raise RunError("a Trainer is used once; make another")
        self._begun = True
        self._began = time.monotonic()
        try:
            self._make_folder()
            self._add_builtins()
            self.callbacks.fire(TrainEvent.PRETRAIN_ROUTINE_START, self)
            self._set_up()
            self.callbacks.fire(TrainEvent.PRETRAIN_ROUTINE_END, self)
            self._train()
        except BaseException as error:
            self.error = error
            raise
        finally:
            try:
                self.callbacks.end(TrainEvent.TEARDOWN, self, error=self.error, what="training")
            finally:
                self._close()
        assert self.report is not None  # what went wrong was raised
        return self.report

    def _train(self) -> None:
        """Everything between `on_train_start` and `on_train_end`."""
        try:
            self.callbacks.fire(TrainEvent.START, self)
            while not self._processes.any(self.stop):
                self._epoch()
                if self.epoch + 1 == self.epochs:
                    break
                if not self.stop:
                    self.epoch += 1
            self._finish()
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.callbacks.end(TrainEvent.END, self, error=self.error, what="training", last=False)

    def _epoch(self) -> None:
        """One epoch, with its validation and checkpoint."""
        began = time.monotonic()
        done = self._batches()
        self._trained += time.monotonic() - began
        self._waited += self.train_loader.waited
        if not done:
            return  # it was stopped before the first
        self._done = self.epoch + 1
        self.callbacks.fire(TrainEvent.EPOCH_END, self)
        self.is_best = False
        if self._processes.main and self._is_sound():
            if self.args.time is not None and self._seconds() >= self.args.time * 3600:
                self._end("time")
            self._keep(is_better=self._validate())
        self.stop = self._processes.any(self.stop)
        self.epoch_time = time.monotonic() - began
        self.callbacks.fire(TrainEvent.FIT_EPOCH_END, self)

    def _batches(self) -> int:
        """All batches of the epoch, once more with smaller ones if memory is short; how many there were."""
        while True:
            self.tloss, self._measured, self.batch, self.batch_i, self._is_cut = None, 0, None, 0, False
            self._schedule.begin_epoch(self.epoch)
            closed = min(self.args.close_mosaic, self.epochs // 2)
            self.train_loader.set_epoch(self.epoch, mosaic=self.epoch < self.epochs - closed)
            self.callbacks.fire(TrainEvent.EPOCH_START, self)
            self.model.train()
            for number in self._frozen:
                self.model.model[number].eval()  # the statistics of its batch norms stay as they are, too
            self._steps.forget()
            try:
                return self._every_batch()
            except ShortOfMemoryError as error:
                told = str(error)
            self._halve_batch(told)  # here, where the error holds nothing of the batch any more

    def _every_batch(self) -> int:
        if self._agree_to_stop():
            return 0
        count = len(self.train_loader)
        for number, batch in enumerate(self.train_loader):
            self._one_batch(number, batch, last=number == count - 1)
            if self._agree_to_stop():
                if self._steps.pending:
                    self._step()
                self._is_cut = number + 1 < count
                return number + 1
        return count

    def _agree_to_stop(self) -> bool:
        """Whether any process wants to stop; all of them ask at the same points."""
        self.stop = self._processes.any(self.stop)
        return self.stop

    def _one_batch(self, number: int, batch: TrainBatch, *, last: bool) -> None:
        trained = number + len(self.train_loader) * self.epoch
        self.batch_i = number
        self._schedule.begin_batch(trained, self.epoch)
        self.accumulate = self._schedule.accumulate(trained, self._full_accumulate)
        self.batch = self._steps.to_device(batch)
        self.callbacks.fire(TrainEvent.BATCH_START, self)
        last |= self._agree_to_stop()
        if self._steps.gradients(self.batch):
            items = self.loss_items
            assert items is not None  # they were just measured
            self._mishaps.well("loss")
            self._measured += 1
            self.tloss = items if self.tloss is None else self.tloss + (items - self.tloss) / self._measured
        else:
            self._skip("loss")
        # What is left at the end of an epoch makes a step of its own: a checkpoint holds no gradients.
        if self._steps.pending and (last or self._steps.pending >= self.accumulate):
            self._step()
        self.callbacks.fire(TrainEvent.BATCH_END, self)

    def _step(self) -> None:
        """One step of the optimizer and the average, with what is called around it."""
        if not self._steps.clip():
            self._steps.forget()
            self._skip("gradients")
            return
        self._mishaps.well("gradients")
        self.callbacks.fire(TrainEvent.OPTIMIZER_STEP, self)
        self._steps.step()
        self.callbacks.fire(TrainEvent.PARAMS_UPDATE, self)
        self.callbacks.fire(TrainEvent.BEFORE_ZERO_GRAD, self)
        self._steps.forget()

    # After an epoch -------------------------------------------------------------------------------------------------------

    def _is_sound(self) -> bool:
        """Whether the average holds numbers alone; if not, the weights are now those of the last checkpoint."""
        if self.ema.broken():
            self._restore("a weight is no number")
            return False
        return True

    def _validate(self) -> bool:
        """Measure the averaged network, where it is time for it; whether it is better than ever."""
        due = (self.epoch + 1) % self.args.val_period == 0 or self.epoch + 1 == self.epochs or self.stop
        if self.validator is None or not due:
            return False
        found = self.validator.run()
        self.metrics = {key: float(value) for key, value in found.as_dict().items() if key.startswith("metrics/")}
        if self.validator.loss is not None:
            self.metrics |= dict(zip(label_names(self.loss_names, "val"), map(float, self.validator.loss), strict=True))
        self.fitness = found.fitness
        is_better = self.best_fitness is None or self.fitness > self.best_fitness
        if not is_better and self.args.patience and self.epoch - self._best_epoch >= self.args.patience:
            self._end("patience")
        return is_better

    def _end(self, why: str) -> None:
        """Let the training end, unless somebody has stopped it already."""
        if not self.stop:
            self.stop, self._why = True, why

    def _keep(self, *, is_better: bool) -> None:
        """Write the checkpoints of the epoch, and count it as the best if it is; its weights are on the disk then."""
        if is_better and self.args.save:
            is_better = self._write(self.best, best_fitness=self.fitness)
        self.is_best = is_better
        if is_better:
            self.best_fitness, self._best_epoch, self._best_metrics = self.fitness, self.epoch, dict(self.metrics)
        if not self.args.save:
            return
        self._is_saved = self._write(self.last, best_fitness=self.best_fitness, state=self._state())
        if self.args.save_period and (self.epoch + 1) % self.args.save_period == 0:
            self._write(self.wdir / f"epoch{self.epoch + 1}.pt", best_fitness=self.best_fitness)
        if self._is_saved:
            self.callbacks.fire(TrainEvent.MODEL_SAVE, self)

    def _write(self, path: Path, *, best_fitness: float | None, state: TrainState | None = None) -> bool:
        """Write a checkpoint; whether it is there. If not, the training goes on."""
        args, figures = plain_args(self.args, data=self.data.file), plain_figures(self.metrics)
        return self._folder.write(
            path, self.ema.net, args=args, figures=figures, epoch=self.epoch, best_fitness=best_fitness, state=state
        )

    def _state(self) -> TrainState:
        return TrainState(
            epoch=self.epoch,
            is_whole=not self._is_cut,
            model=self.model.state_dict(),
            optimizer=self.optimizer.state_dict(),
            scheduler=self.scheduler.state_dict(),
            scaler=self._steps.state(),
            ema_updates=self.ema.updates,
            random=torch.get_rng_state(),
            random_gpu=torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
            batch=self.batch_size,
            best_epoch=self._best_epoch,
            best_metrics=self._best_metrics,
            chosen=(self._chosen.name, self._chosen.lr0),
            metrics=plain_figures(self.metrics),
            fitness=self.fitness,
            seconds=self._seconds(),
        )

    def _finish(self) -> None:
        """Tell what came of it.

        Raises:
            TrainingError: the last checkpoint could not be written.
        """
        if not self._is_saved:
            raise TrainingError(f"the last checkpoint is missing: {self._folder.failure}")
        kept = self.args.save and self._processes.main
        self.report = TrainReport(
            save_dir=self.save_dir,
            best=self.best if kept and self._best_epoch >= 0 else None,
            last=self.last if kept and self._done else None,
            metrics=dict(self._best_metrics),
            fitness=self.best_fitness,
            best_epoch=self._best_epoch if self._best_epoch >= 0 else None,
            epochs=self._done,
            is_cut=self._is_cut,
            why="stop" if self._why == "epochs" and (self._is_cut or self._done < self.epochs) else self._why,
            seconds=time.monotonic() - self._began,
            waiting=self._waited / self._trained if self._trained else 0.0,
            skipped=self._mishaps.skipped,
            held_out=next((each for each in self.data.splits.get("val", ()) if each.is_dir()), None),
        )

    # What goes wrong ------------------------------------------------------------------------------------------------------

    def _skip(self, what: str) -> None:
        """Leave out a batch whose loss, or a step whose gradients, are no numbers."""
        broken = self._mishaps.skip(what, self.where(), expected=self.amp and what == "gradients")
        if broken:
            self._restore(broken)

    def _restore(self, why: str) -> None:
        """Go back to the weights of the last checkpoint.

        Raises:
            TrainingError: there is none, or it was done too often.
        """
        self._steps.forget()
        possible = self.last.is_file() and self.world == 1
        self._mishaps.restore(why, self.where(), possible=possible, lr0=self._chosen.lr0)
        self._load(resumed(self.last, {"resume": True}))
        self._schedule.begin_epoch(self.epoch)

    def _halve_batch(self, why: str) -> None:
        """Go on with batches of half the size.

        Raises:
            TrainingError: it was done too often, or cannot be done.
        """
        self.batch_size = self._mishaps.halve(why, batch=self.batch_size, imgsz=self.args.imgsz, possible=self.world == 1)
        self.batch = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        self.train_loader.close()
        self.train_loader = self._make_loader()
        self._schedule.set_batches(len(self.train_loader))
        if self.validator is not None:
            self.validator = self._make_validator(self.validator.split)

    # Setting up -----------------------------------------------------------------------------------------------------------

    def _make_folder(self) -> None:
        main = self._processes.main
        if self._resumed is not None:
            self._folder = TrainFolder(self._resumed.save_dir)
        elif self.args.save_dir is not None:
            self._folder = TrainFolder(Path(self.args.save_dir).expanduser())
            if main and not self.args.exist_ok:
                self._folder.check_free()
        else:
            self._folder = TrainFolder(self._processes.told(next_free_folder("train") if main else Path()))
        if main:
            self._folder.make()

    def _add_builtins(self) -> None:
        if self._processes.main:
            self.callbacks.add(CSVLogger())
            if self.args.plots:
                self.callbacks.add(Drawings(), on_error="log")

    def _set_up(self) -> None:
        options = self.args
        train = load_split(self.data, "train")
        count = max(round(len(train.samples) * options.fraction), 1)
        self._samples = [train.samples[number * len(train.samples) // count] for number in range(count)]
        held_out = load_split(self.data, "val") if options.val and self._processes.main else None
        torch.manual_seed(options.seed + self.rank)
        # Most convolutions are quicker with channels innermost: by a tenth on the processors tried, more in mixed precision.
        self.model.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # unknown to the stubs
        self.train_loader = self._make_loader()
        steps = -(-len(self.train_loader) // self._full_accumulate) * self.epochs
        before = self._resumed
        self._chosen = Chosen(*before.state.chosen) if before else choose_optimizer(options, steps=steps)
        decay = options.weight_decay * self.batch_size * self.world * self._full_accumulate / options.nbs
        self.optimizer = make_optimizer(self.model, self._chosen, momentum=options.momentum, weight_decay=decay)
        self._schedule = Schedule(self.optimizer, options, batches=len(self.train_loader))
        loss = DetectionLoss(self.model, box=options.box, cls=options.cls, dfl=options.dfl)
        self._steps = Steps(self.model, loss, self.optimizer, processes=self._processes, amp=self.amp, clip=options.clip)
        if before is not None:
            self._load(before)
        elif self._processes.main:
            self._folder.clear()
        if held_out is not None:
            self.validator = self._make_validator(held_out)
        if self._processes.main:
            chosen = {"optimizer": self._chosen.name, "lr0": self._chosen.lr0}
            args = {"model": self._source, **plain_args(options, data=self.data.file), **chosen}
            write_args(self.save_dir / "args.yaml", {**args, "save_dir": str(self.save_dir)})

    def _load(self, before: Resumed) -> None:
        """Take over weights, average, optimizer and random state of a checkpoint."""
        state = before.state
        self.ema.net.load_state_dict(before.averaged())
        self.ema.updates = state.ema_updates
        self.model.load_state_dict(state.model)
        self.optimizer.load_state_dict(dict(state.optimizer))
        self.scheduler.load_state_dict(dict(state.scheduler))
        self._steps.load_state(state.scaler)
        torch.set_rng_state(state.random)
        if state.random_gpu is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state.random_gpu, self.device)

    @property
    def _full_accumulate(self) -> int:
        return batches_a_step(self.args, batch=self.batch_size * self.world, batches=len(self.train_loader))

    def _make_loader(self) -> TrainLoader:
        options = self.args
        pictures = TrainingSet(
            self._samples, imgsz=options.imgsz, augment=Augmentation.of(options), seed=options.seed, cache=options.cache
        )
        return TrainLoader(
            pictures,
            batch=self.batch_size,
            seed=options.seed,
            workers=options.workers,
            rank=self.rank,
            world=self.world,
            pin=self.device.type == "cuda",
        )

    def _make_validator(self, split: Split) -> Validator:
        options = self.args
        loss = DetectionLoss(self.ema.net, box=options.box, cls=options.cls, dfl=options.dfl)
        watched = Watched(self.ema.net, loss, imgsz=options.imgsz, device=str(self.device))
        return Validator(
            watched.detector,
            callbacks=self.callbacks,
            split=split,
            training=True,
            criterion=watched.losses,
            imgsz=options.imgsz,
            batch=self.batch_size,
            rect=options.rect,
            save_dir=self.save_dir,
        )

    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._began

    def _close(self) -> None:
        if hasattr(self, "train_loader"):
            self.train_loader.close()
        self._processes.close()


def _check_size(imgsz: int, stride: int) -> None:
    """Raise OptionError unless pictures of this side can be trained on."""
    # With one cell alone, batch norms would have a single number to take the statistics of.
    if imgsz % stride or imgsz < 2 * stride:
        fitting = max(-(-imgsz // stride), 2) * stride
        raise OptionError(f"imgsz={imgsz} is no multiple of {stride}, or too small; pass {fitting}")


def _numbers(items: Tensor | None) -> tuple[float, ...] | None:
    return None if items is None else tuple(map(float, items))
