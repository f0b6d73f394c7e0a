"""The figures of a training in TensorBoard."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import cv2

from framehook.inference.errors import OptionError
from framehook.training.callbacks.tracker import Tracker, pictures_of, required

if TYPE_CHECKING:
    from framehook.training.trainer import Trainer

VERSION: Final = "brain.Event:2"
"""What a file of events begins with."""


class TensorBoard(Tracker):
    """Writes figures, options and, in the end, the pictures of a training for `tensorboard --logdir runs`.

    Needs the package `tensorboard`, and neither PyTorch nor TensorFlow. A training that is resumed adds a file to the same
    folder, and TensorBoard leaves out what the first had of the epochs that are gone through again. What an epoch has is
    written at once, so that it can be watched, and is there whatever ends the program.

    Attributes:
        folder: Where the files of events are; that of the last training where none was named.
    """

    name: ClassVar[str] = "TensorBoard"

    def __init__(self, folder: str | Path | None = None) -> None:
        """Choose the folder; None for `tensorboard` in the training's.

        Raises:
            MissingDependencyError: `tensorboard` is not installed.
            OptionError: the folder is a file.
        """
        super().__init__()
        required("tensorboard.summary.writer.record_writer", "TensorBoard", "tensorboard")
        self._named = None if folder is None else Path(folder).expanduser()
        if self._named is not None and self._named.is_file():
            raise OptionError(f"'{folder}' is a file; pass the name of a folder for TensorBoard")
        self.folder = self._named
        self._events: _Events | None = None

    def open(self, trainer: Trainer) -> None:
        self.folder = self._named or trainer.save_dir / "tensorboard"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._events = _Events(self.folder)
        if trainer.start_epoch > 0:
            self._events.restart(trainer.start_epoch + 1)
            return
        rows = "".join(f"| {name} | `{value}` |\n" for name, value in trainer.args.as_dict().items())
        self._events.add_text("options", f"| option | value |\n| --- | --- |\n{rows}")

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        assert self._events is not None  # it is open
        self._events.add_figures(step, figures)

    def close(self, trainer: Trainer) -> None:
        events, self._events = self._events, None
        assert events is not None  # it is open
        with contextlib.closing(events):
            for path in pictures_of(trainer):
                events.add_picture(trainer.epoch + 1, path)


class _Events:
    """A file of events. TensorBoard's own writer has a thread, which prints a traceback where the disk is full."""

    def __init__(self, folder: Path) -> None:
        now = time.time()
        # Told apart are they by the first number; the last is for several in a second.
        name = f"events.out.tfevents.{int(now):010d}.{socket.gethostname()}.{os.getpid()}.{time.monotonic_ns()}"
        self._file = (folder / name).open("xb", buffering=0)
        self._add(file_version=VERSION)

    def restart(self, step: int) -> None:
        """Have what was written of a step and later ones before left out."""
        from tensorboard.compat.proto.event_pb2 import SessionLog

        self._add(step=step, session_log=SessionLog(status=SessionLog.START))

    def add_figures(self, step: int, figures: Mapping[str, float]) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=value) for name, value in figures.items()]
        self._add(step=step, summary=Summary(value=values))

    def add_text(self, name: str, text: str) -> None:
        """Add a text in Markdown."""
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.compat.proto.types_pb2 import DT_STRING

        summary = Summary()
        value = summary.value.add(tag=name)
        value.metadata.plugin_data.plugin_name = "text"
        value.tensor.dtype = DT_STRING
        value.tensor.string_val.append(text.encode())
        self._add(step=0, summary=summary)

    def add_picture(self, step: int, path: Path) -> None:
        """Add a picture as it is in its file; what is none is left out."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        picture = cv2.imread(str(path))
        if picture is not None:
            height, width = picture.shape[:2]
            shown = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=path.read_bytes())
            self._add(step=step, summary=Summary(value=[Summary.Value(tag=f"pictures/{path.stem}", image=shown)]))

    def close(self) -> None:
        self._file.close()

    def _add(self, **content: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        record = io.BytesIO()
        RecordWriter(record).write(Event(wall_time=time.time(), **content).SerializeToString())
        end = self._file.tell()
        try:
            if self._file.write(record.getbuffer()) < record.tell():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with contextlib.suppress(OSError):  # half a record would hide all that follow
                self._file.truncate(end)
                self._file.seek(end)
            raise
