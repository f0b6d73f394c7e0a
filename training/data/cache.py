"""What a scan found, kept in a hidden file, as reading every picture of a large dataset takes minutes.

The file is a line that says what it is, a SHA-256 of the rest, and an `.npz` of plain arrays, of which nothing is unpickled. It
holds a key made of the paths, sizes and times of every file that was read: another key, a damaged file, or one that claims
what cannot be, and the dataset is read anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
import stat
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from framehook.inference.errors import one_line
from framehook.training.data.report import Action, Problem, ProblemKind
from framehook.training.data.sample import Sample

_MAGIC: Final = b"framehook dataset cache 1\n"
"""The number goes up when anything that is found in a dataset changes."""
_DTYPES: Final[dict[str, npt.DTypeLike]] = {
    "used": np.bool_,
    "sizes": np.int64,
    "counts": np.int64,
    "cls": np.int64,
    "xyxy": np.float64,
    "crowd": np.bool_,
    "area": np.float64,
    "problems": np.uint8,
    "key": np.uint8,
}
_log = logging.getLogger("framehook")


@dataclass(frozen=True, slots=True, eq=False)
class Scanned:
    """What came of reading pictures and labels.

    Attributes:
        samples: One for each picture that was asked for; None for those that are left out.
        problems: What was wrong.
    """

    samples: Sequence[Sample | None]
    problems: tuple[Problem, ...]


def key_of(facts: Iterable[object]) -> bytes:
    """The key of what a scan depends on."""
    made = hashlib.sha256(_MAGIC)
    for fact in facts:
        made.update(f"{fact!r}\n".encode("utf-8", "surrogatepass"))
    return made.digest()


def load_scan(file: Path, key: bytes, pictures: Sequence[Path], classes: int) -> Scanned | None:
    """What was kept under this key; None where nothing was, or it cannot be relied on.

    Args:
        file: The cache.
        key: As `key_of` made it.
        pictures: Those that would be read.
        classes: How many classes the dataset has.
    """
    try:
        content = file.read_bytes()
        start = len(_MAGIC) + hashlib.sha256().digest_size
        payload = memoryview(content)[start:]
        if not content.startswith(_MAGIC) or hashlib.sha256(payload).digest() != content[len(_MAGIC) : start]:
            raise ValueError("it is damaged, or of another version")
        with np.load(io.BytesIO(payload), allow_pickle=False) as stored:
            arrays = {name: np.asarray(stored[name]) for name in _DTYPES}
        if arrays["key"].tobytes() != key:
            raise ValueError("the dataset, or its description, has changed")
        return _unpacked(arrays, pictures, classes)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, EOFError, MemoryError, RecursionError, zipfile.BadZipFile) as error:
        _log.debug("%s is not used: %s", file, one_line(error))
        return None


def save_scan(file: Path, key: bytes, scanned: Scanned) -> None:
    """Keep what was found, in a file that is there whole or not at all; a folder that is not to be written to is left alone."""
    beside = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        # Root may write anywhere, and containers run as root: what is marked as read-only is meant to stay as it is.
        if not file.parent.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError("its folder is read-only")
        payload = io.BytesIO()
        np.savez(payload, allow_pickle=False, **_packed(scanned), key=np.frombuffer(key, np.uint8))
        content = payload.getvalue()
        try:
            beside.write_bytes(_MAGIC + hashlib.sha256(content).digest() + content)
            beside.replace(file)
        finally:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
    except OSError as error:
        _log.debug("%s is not written, and the dataset will be read anew: %s", file, error.strerror or error)


def _packed(scanned: Scanned) -> dict[str, npt.NDArray[Any]]:
    used = [sample for sample in scanned.samples if sample is not None]
    problems = [[each.kind, str(each.path), each.line, each.detail, each.done] for each in scanned.problems]

    def joined(name: str, empty: tuple[int, ...]) -> npt.NDArray[Any]:
        return np.concatenate([np.empty(empty, _DTYPES[name]), *(getattr(sample, name) for sample in used)])

    return {
        "used": np.array([sample is not None for sample in scanned.samples], np.bool_),
        "sizes": np.array([sample.size for sample in used], np.int64).reshape(-1, 2),
        "counts": np.array([len(sample) for sample in used], np.int64),
        "cls": joined("cls", (0,)),
        "xyxy": joined("xyxy", (0, 4)),
        "crowd": joined("crowd", (0,)),
        "area": joined("area", (0,)),
        "problems": np.frombuffer(json.dumps(problems).encode(), np.uint8),
    }


def _unpacked(arrays: dict[str, npt.NDArray[Any]], pictures: Sequence[Path], classes: int) -> Scanned:
    used, sizes, counts = arrays["used"], arrays["sizes"], arrays["counts"]
    number, objects = int(used.sum()), int(counts.sum())
    shapes = {"used": (len(pictures),), "sizes": (number, 2), "counts": (number,), "xyxy": (objects, 4)}
    for name, dtype in _DTYPES.items():
        array = arrays[name]
        if array.dtype != dtype or (name not in ("problems", "key") and array.shape != shapes.get(name, (objects,))):
            raise ValueError(f"its {name} are {array.dtype} {array.shape}")
    # It is trusted with no more than a label file is.
    cls, xyxy, area = arrays["cls"], arrays["xyxy"], arrays["area"]
    if counts.min(initial=0) < 0 or sizes.min(initial=1) < 1 or cls.min(initial=0) < 0 or cls.max(initial=0) >= classes:
        raise ValueError("its numbers are out of range")
    if not np.isfinite(xyxy).all() or not np.isfinite(area).all() or (xyxy[:, 2:] <= xyxy[:, :2]).any():
        raise ValueError("its boxes are none")
    ends = np.cumsum(counts).tolist()
    samples: list[Sample | None] = [None] * len(pictures)
    for place, index in enumerate(np.flatnonzero(used).tolist()):
        part = slice(ends[place] - int(counts[place]), ends[place])
        size = (int(sizes[place, 0]), int(sizes[place, 1]))
        samples[index] = Sample(pictures[index], size, cls[part], xyxy[part], arrays["crowd"][part], area[part])
    problems = [
        Problem(ProblemKind(kind), Path(path), None if line is None else int(line), str(detail), Action(done))
        for kind, path, line, detail, done in json.loads(arrays["problems"].tobytes())
    ]
    return Scanned(samples, tuple(problems))
