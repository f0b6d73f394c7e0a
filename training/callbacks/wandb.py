"""The figures of a training in Weights & Biases."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from framehook.inference.errors import OptionError
from framehook.training.callbacks.tracker import Tracker, files_of, required

if TYPE_CHECKING:
    from framehook.training.trainer import Trainer


class WandB(Tracker):
    """Writes options, figures and, in the end, files of a training into a run of Weights & Biases.

    Needs the package `wandb`. Nothing goes over the network unless it is asked for, by `mode="online"` or the environment's
    `WANDB_MODE`: a run is written to `wandb` in the training's folder, from where `wandb sync` uploads it. A training that is
    resumed goes on in the same run.

    Attributes:
        folder: Where the run's files are; that of the last training.
        run_id: Of the run; that of the last training.
    """

    name: ClassVar[str] = "Weights & Biases"

    def __init__(
        self, project: str = "framehook", *, run_name: str | None = None, mode: str | None = None, files: bool = True
    ) -> None:
        """Choose where to.

        Args:
            project: Of the run.
            run_name: None for the name of the training's folder.
            mode: `offline`, `online`, or `disabled`; None for `WANDB_MODE` of the environment, else `offline`.
            files: In the end, keep the best checkpoint, `results.csv`, `args.yaml` and the pictures with the run.

        Raises:
            MissingDependencyError: `wandb` is not installed.
            OptionError: no name for the project, or no such mode.
        """
        super().__init__()
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # what it sends home of its own troubles, offline or not
        self._wandb = required("wandb", "Weights & Biases", "wandb")
        if not project:
            raise OptionError(f"project={project!r} is no name; pass that of a project, such as 'framehook'")
        if mode not in (None, "offline", "online", "disabled"):
            raise OptionError(f"mode={mode!r} is unknown; pass 'offline', 'online' or 'disabled'")
        self._project = project
        self._run_name = run_name
        self._mode = mode
        self._files = files
        self._run: Any = None
        self.folder: Path | None = None
        self.run_id: str | None = None

    def open(self, trainer: Trainer) -> None:
        self.folder = self.run_id = None
        self._run = self._wandb.init(
            project=self._project,
            name=self._run_name or trainer.save_dir.name,
            dir=str(trainer.save_dir),
            id=_id_of(trainer.save_dir) if trainer.start_epoch > 0 else None,
            resume="allow",
            mode=self._mode or os.environ.get("WANDB_MODE", "offline"),
            config=trainer.args.as_dict(),
            reinit="create_new",  # a run of the user's own goes on beside it
            settings=self._wandb.Settings(console="off", silent=True),
        )
        self.folder, self.run_id = Path(self._run.dir).parent, self._run.id
        self._run.define_metric("*", step_metric="epoch")

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        self._run.log({"epoch": step, **figures})

    def close(self, trainer: Trainer) -> None:
        run, self._run = self._run, None
        try:
            for path in files_of(trainer) if self._files else ():
                copy = Path(run.dir, path.relative_to(trainer.save_dir))
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)  # W&B would keep a link, and the next training may write here, too
                run.save(str(copy), base_path=run.dir, policy="now")
        finally:
            run.finish(exit_code=0 if trainer.error is None else 1)


def _id_of(folder: Path) -> str | None:
    """The number of the run that a training's folder holds the files of: it is part of their names."""
    runs = sorted(folder.glob("wandb/*run-*/run-*.wandb"), key=lambda path: path.parent.name.partition("run-")[2])
    return runs[-1].stem.removeprefix("run-") if runs else None
