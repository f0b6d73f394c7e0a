"""Reads `.pt` checkpoints without torch, as data: see `pickled` for why nothing in them can run."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from framehook.inference.checkpoints.archive import CheckpointArchive
from framehook.inference.checkpoints.checkpoint import Checkpoint, Kind
from framehook.inference.checkpoints.own import HEADER_KEY, TASK, parse_header
from framehook.inference.checkpoints.permitted import CheckpointRules
from framehook.inference.checkpoints.pickled import Inert, Name, read_pickle
from framehook.inference.checkpoints.plain import NotPlainError, plain, plain_entries
from framehook.inference.checkpoints.tensors import TensorRecord
from framehook.inference.errors import ModelFormatError, ModelNotFoundError, UnsafeModelError

_MAX_TENSORS: Final = 20_000
_MAX_PARTS: Final = 200_000
_MAX_KEY: Final = 500
_MAX_COPIES: Final = 4
_MAX_LEVELS: Final = 16
_MAX_CLASSES: Final = 100_000
_MAX_CLASS_NAME: Final = 500
_MAX_TEXT: Final = 2000
_TASKS: Final[Mapping[str, str]] = {
    "SegmentationModel": "segment",
    "ClassificationModel": "classify",
    "PoseModel": "pose",
    "OBBModel": "obb",
}
_STATE_DICTS: Final = ("ema", "model", "state_dict", "model_state_dict", "ema_state_dict", "weights")


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint of Ultralytics or Framehook, or a plain state dict; nothing the file names is imported or called.

    Raises:
        ModelNotFoundError: there is no such file.
        UnsafeModelError: it wants something imported or called that a checkpoint does not need; nothing of it was run.
        ModelFormatError: it is damaged, holds no net, or claims more than it holds.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelNotFoundError(f"no checkpoint at {path}; pass the path of a .pt file")
    try:
        with CheckpointArchive(path) as archive:
            return _Found(read_pickle(archive.pickle, CheckpointRules(archive.storages)), archive).checkpoint()
    except UnsafeModelError as error:
        raise UnsafeModelError(
            f"{path} is not loaded: {error}, which no net needs. Nothing in it was run; do not load it with what would run it. "
            "If you know who made it, ask them for the tensors alone: torch.save(net.state_dict(), path)"
        ) from None
    except ModelFormatError as error:
        raise ModelFormatError(f"{path} cannot be read as a checkpoint: {error}") from error.__cause__
    except OSError as error:
        raise ModelFormatError(f"{path} cannot be read: {error.strerror or error}") from error


class _Found:
    """What the pickle of a checkpoint came to, and the archive its tensors lie in."""

    def __init__(self, value: Any, archive: CheckpointArchive) -> None:
        self.value = value
        self.archive = archive

    def checkpoint(self) -> Checkpoint:
        value = self.value
        if type(value) is Inert:
            return self.of_net(value, {}, mid_training=False)
        if type(value) is not dict:
            raise ModelFormatError("there is no net in it")
        if HEADER_KEY in value:
            return self.own()
        # A training that goes on keeps the averaged weights in `ema`, and those are the ones it is measured by.
        for key in ("ema", "model"):
            if type(value.get(key)) is Inert:
                return self.of_net(value[key], value, mid_training=key == "ema")
        return self.of_state_dict()

    def own(self) -> Checkpoint:
        """A checkpoint of Framehook: a header of JSON, and a state dict."""
        header = parse_header(self.value[HEADER_KEY])
        return Checkpoint(
            kind="framehook",
            tensors=self.arrays(_records(self.value.get("model"))),
            architecture=header.architecture,
            names=header.names,
            stride=header.stride,
            task=header.task,
            args=header.args,
            figures=header.figures,
            mid_training=header.mid_training,
            epoch=header.epoch,
            best_fitness=header.best_fitness,
            date=header.date,
            version=header.version,
            license=header.license,
        )

    def of_state_dict(self) -> Checkpoint:
        """Tensors by name, alone or in a dict of other things."""
        candidates = [_records(each) for each in (self.value, *(self.value.get(key) for key in _STATE_DICTS))]
        # A training may keep a tensor or two (a loss, say) beside the weights; of as many, the first counts.
        return Checkpoint(kind="state_dict", tensors=self.arrays(max(candidates, key=len)))

    def of_net(self, net: Inert, around: dict[Any, Any], *, mid_training: bool) -> Checkpoint:
        """A whole pickled net, and what its training wrote beside it."""
        state = net.state
        args = plain_entries(around.get("train_args")) or plain_entries(state.get("args"))
        task = next((each for each in (state.get("task"), args.get("task")) if type(each) is str), None)
        if task and not TASK.fullmatch(task):
            raise ModelFormatError(f"its task is {reprlib.repr(task)}; expected a word such as 'detect'")
        epoch = around.get("epoch")
        return Checkpoint(
            kind=_kind(net.of),
            tensors=self.arrays(_entries_of(net)),
            architecture=_architecture(state.get("yaml")),
            names=_names(state.get("names")),
            stride=self.strides(state.get("stride")),
            task=task or _TASKS.get(net.of.name, "detect"),
            args=args,
            figures=_figures(around.get("train_metrics")),
            mid_training=mid_training,
            epoch=epoch if type(epoch) is int and epoch >= 0 else None,
            best_fitness=_number(around.get("best_fitness")),
            date=_text(around.get("date")),
            version=_text(around.get("version")),
            license=_text(around.get("license")),
            docs=_text(around.get("docs")),
            net=str(net.of),
        )

    def arrays(self, records: Mapping[str, TensorRecord]) -> dict[str, npt.NDArray[np.generic]]:
        """Read tensors, each storage once."""
        if not records:
            raise ModelFormatError("there are no tensors in it")
        # Tied weights are few; a forged file could show the same bytes again and again to whoever copies them.
        if sum(record.nbytes for record in records.values()) > _MAX_COPIES * sum(self.archive.storages.values()):
            raise ModelFormatError("its tensors claim many times the bytes that it has")
        left = Counter(record.storage.key for record in records.values())
        held: dict[str, bytes] = {}
        arrays = {}
        for name, record in records.items():
            key = record.storage.key
            if key not in held:
                held[key] = self.archive.storage(key)
            arrays[name] = record.array(held[key], big_endian=self.archive.big_endian)
            left[key] -= 1
            if not left[key]:
                del held[key]
        return arrays

    def strides(self, value: Any) -> tuple[int, ...] | None:
        if type(value) is TensorRecord and len(value.shape) == 1 and value.shape[0] <= _MAX_LEVELS:
            value = self.arrays({"stride": value})["stride"].tolist()
        if type(value) not in (list, tuple) or not 0 < len(value) <= _MAX_LEVELS:
            return None
        if not all(type(each) in (int, float) and 0 < each < 2**16 and each == int(each) for each in value):
            raise ModelFormatError("the stride of its net is not a whole number of pixels for each level")
        return tuple(int(each) for each in value)


def _records(value: Any) -> dict[str, TensorRecord]:
    """The tensors in a state dict."""
    if type(value) is not dict:
        return {}
    records = _bounded({key: item for key, item in value.items() if type(key) is str and type(item) is TensorRecord})
    if any(len(key) > _MAX_KEY for key in records):
        raise ModelFormatError(f"the name of a tensor in it is longer than {_MAX_KEY} characters")
    return records


def _entries_of(net: Inert) -> dict[str, TensorRecord]:
    """What `state_dict()` of a pickled net would hold: of each module its parameters, its buffers, then its children."""
    entries: dict[str, TensorRecord] = {}
    waiting = [("", net)]
    seen = 0
    while waiting:
        prefix, module = waiting.pop()
        parameters, buffers, children = (_table(module, name) for name in ("_parameters", "_buffers", "_modules"))
        # Modules may be shared, and a forged file may share them so that there is no end of them.
        seen += 1 + len(parameters) + len(buffers) + len(children)
        if seen > _MAX_PARTS or len(prefix) > _MAX_KEY or len(entries) > _MAX_TENSORS:
            raise ModelFormatError("its net has more parts than any, or parts within parts without end")
        passing = module.state.get("_non_persistent_buffers_set")
        left_out = passing if type(passing) is set else ()
        kept = {name: item for name, item in buffers.items() if name not in left_out}
        for name, item in (*parameters.items(), *kept.items()):
            if type(item) is TensorRecord:
                entries[prefix + name] = item
        waiting += reversed([(f"{prefix}{name}.", child) for name, child in children.items() if type(child) is Inert])
    return _bounded(entries)


def _table(module: Inert, name: str) -> dict[str, Any]:
    table = module.state.get(name, {})
    # Names are joined for every child, and a forged file may use the same long one again and again.
    if type(table) is not dict or not all(type(key) is str and len(key) <= _MAX_KEY for key in table):
        raise ModelFormatError(f"{name} of {module.of} is not a table of names")
    return table


def _bounded(entries: dict[str, TensorRecord]) -> dict[str, TensorRecord]:
    if len(entries) > _MAX_TENSORS:
        raise ModelFormatError(f"it has more than {_MAX_TENSORS:,} tensors")
    return entries


def _kind(of: Name) -> Kind:
    family = of.module.partition(".")[0]
    return "ultralytics" if family == "ultralytics" else "yolov5" if family == "models" else "state_dict"


def _architecture(value: Any) -> dict[str, Any] | None:
    if type(value) is not dict:
        return None
    try:
        copied: dict[str, Any] = plain(value)
    except NotPlainError as error:
        raise ModelFormatError(f"the description of its net holds {error}") from None
    return copied


def _names(value: Any) -> dict[int, str] | None:
    """Class names: a table of them by number, or a list."""
    if type(value) is list:
        value = dict(enumerate(value))
    if type(value) is not dict or not value or len(value) > _MAX_CLASSES:
        return None
    names = {}
    for number, name in value.items():
        if type(number) is str and number.isascii() and number.isdecimal() and len(number) <= 6:
            number = int(number)
        if type(number) is not int or not 0 <= number < _MAX_CLASSES or type(name) not in (str, int, float, bool):
            raise ModelFormatError("its class names are not a table of numbers and texts")
        # A forged file may give every class the same text of many megabytes; numbers are short already.
        if type(name) is str and len(name) > _MAX_CLASS_NAME:
            raise ModelFormatError(f"the name of its class {number} is longer than {_MAX_CLASS_NAME} characters")
        names[number] = str(name)
    return names


def _figures(value: Any) -> dict[str, float]:
    entries = {key: _number(item) for key, item in plain_entries(value).items()}
    return {key: number for key, number in entries.items() if number is not None}


def _number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) else None


def _text(value: Any) -> str | None:
    return value if type(value) is str and len(value) <= _MAX_TEXT else None
