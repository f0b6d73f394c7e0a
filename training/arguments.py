"""The options of a training, as files keep them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from framehook.inference.saving import way_out
from framehook.training.options import TrainOptions

log = logging.getLogger("framehook")


def plain_args(options: TrainOptions, *, data: Path) -> dict[str, Any]:
    """Every option as plain values; `data` by its whole path, so that the training can be gone on with from any folder."""
    return {name: _plain(value) for name, value in options.as_dict().items()} | {"data": str(data.absolute()), "resume": False}


def write_args(path: Path, args: Mapping[str, Any]) -> None:
    """Write plain options as YAML; a disk that is full is told, and no reason not to train."""
    try:
        path.write_text(yaml.safe_dump(dict(args), sort_keys=False), encoding="utf-8")
    except OSError as error:
        log.warning("%s cannot be written: %s%s", path, error.strerror or error, way_out(error))


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
