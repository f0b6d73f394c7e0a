"""Our own checkpoints: plain tensors and a header, which any torch reads with `weights_only=True`."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import torch

from framehook.inference.checkpoints import HEADER_KEY, Header, own_header
from framehook.inference.nets.net import DetectionNet

PARTIAL: Final = ".*.partial"
"""How files are called until they are whole: what a killed process leaves."""


class _Disk:
    """A file that PyTorch writes to; it remembers what went wrong, which PyTorch would not tell."""

    def __init__(self, file: BinaryIO) -> None:
        self.error: OSError | None = None
        self._file = file

    def write(self, content: bytes) -> int:
        try:
            return self._file.write(content)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()


def save_checkpoint(path: str | Path, net: DetectionNet, *, more: Mapping[str, Any] | None = None, **facts: Any) -> None:
    """Write a network's weights so that `load_network` builds it again; what was at `path` stays until the file is whole.

    Args:
        path: The file, usually `.pt`.
        net: Not fused.
        more: Further entries, such as an optimizer's state: tensors, numbers, texts and containers alone.
        **facts: Fields of `Header`: `args`, `figures`, `epoch`, `best_fitness`, `mid_training`, `date`, `version`, `license`.

    Raises:
        ModelFormatError: a fact that a header cannot hold.
        OSError: the file cannot be written; `path` is as it was.
    """
    header = Header(architecture=net.architecture.as_dict(), names=net.names, stride=net.detect.strides, **facts)
    target = Path(path)
    beside = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        with beside.open("xb") as file:
            disk: Any = _Disk(file)  # which PyTorch's stubs want to be a whole file
            try:
                torch.save({HEADER_KEY: own_header(header), "model": net.state_dict(), **(more or {})}, disk)
            except RuntimeError:
                if disk.error is not None:
                    raise disk.error from None  # PyTorch tells of positions in its archive
                raise
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
