"""Reading a split: every picture and every label, checked."""

from __future__ import annotations

import hashlib
import logging
import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from framehook.inference.errors import DatasetError, OptionError, SourceError, did_you_mean
from framehook.inference.sources.addresses import redacted
from framehook.inference.sources.files import IMAGE_SUFFIXES
from framehook.inference.sources.image import decode_image
from framehook.training.data.cache import Scanned, key_of, load_scan, save_scan
from framehook.training.data.coco import Coco, CocoPicture, read_coco
from framehook.training.data.description import SPLITS, DataSpec
from framehook.training.data.labels import Labels, label_file, mapped_folder, read_labels
from framehook.training.data.report import Action, DataReport, Problem, ProblemKind, shown
from framehook.training.data.sample import Sample, Split

Progress: TypeAlias = Callable[[int, int], None]
Size: TypeAlias = tuple[int, int]
_MAX_LIST: Final = 1 << 28
_THREADS: Final = min(8, os.cpu_count() or 1)
_NO_LABELS: Final = frozenset(("classes.txt", "labels.txt", "readme.txt"))
"""Text files that annotation tools leave beside labels."""
_MARKS: Final = (
    b"\xff\xd8", b"\x89PNG", b"BM", b"RIFF", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"#?R", b"\0\0\0\x0cjP  ",
    b"\xff\x4f\xff\x51", b"\x59\xa6\x6a\x95", b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"P7",
)  # fmt: skip
"""What picture files begin with; AVIF files have theirs from the fifth byte on."""
_log = logging.getLogger("framehook")


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    """A picture to be read, and where its labels are: in a text file, or a COCO json."""

    path: Path
    labels: Path
    coco: Coco | None = None
    picture: CocoPicture | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Outcome:
    sample: Sample | None
    problems: tuple[Problem, ...]
    digest: bytes | None


def load_split(spec: DataSpec, split: str, *, cache: bool = True, progress: Progress | None = None) -> Split:
    """Read every picture and every label of a split, and check them.

    What is wrong is left out, or put right, and told in the report; a summary is logged as one warning.

    Args:
        spec: As `read_data` made it.
        split: `train`, `val` or `test`.
        cache: Keep what was found in a hidden file in the dataset's folder, and take it from there when no file has changed.
        progress: Called in this thread with how many pictures were read, and how many there are.

    Raises:
        OptionError: no dataset has such a split.
        DatasetError: this one has not, or nothing in it that can be used.
    """
    check_split(spec, split)
    try:
        entries, listed = _listing(spec, split)
    except OSError as error:
        raise _unreadable(error) from error
    if not entries:
        problem = f"; {listed[0].kind}: {listed[0]}" if listed else ""
        raise DatasetError(f"{split} is empty: {_places(spec, split)} has no pictures{problem}")
    scanned = _scanned(spec, split, entries, cache, progress)
    samples = tuple(sample for sample in scanned.samples if sample is not None)
    problems = sorted((*listed, *scanned.problems), key=lambda each: (str(each.path), each.line or 0))
    report = _report(spec, split, samples, problems)
    if not samples:
        raise DatasetError(f"{split}: none of {len(entries)} pictures can be used; {_first(problems)}")
    if not report.objects:
        raise DatasetError(f"{split}: no object is labelled in {len(samples)} pictures; {_first(problems, entries)}")
    which = f"; see which: framehook data check {shlex.quote(str(spec.file))}" if problems else ""
    _log.log(logging.WARNING if problems else logging.INFO, "%s: %s%s", spec.file.name, report.summary(), which)
    return Split(split, spec.names, samples, report)


def check_split(spec: DataSpec, split: str) -> None:
    """Tell whether a dataset has a split, which is not looked at.

    Raises:
        OptionError, DatasetError: as `load_split`.
    """
    if split in spec.splits:
        return
    known = f"expected one of {', '.join(spec.splits)}.{did_you_mean(split, spec.splits)}"
    if split not in SPLITS:
        raise OptionError(f"split={split!r} is unknown; {known}")
    raise DatasetError(f"{spec.file} has no {split}: {known}")


def _unreadable(error: OSError) -> DatasetError:
    return DatasetError(f"{error.filename} cannot be read: {error.strerror or error}")


def _first(problems: Sequence[Problem], entries: Sequence[_Entry] = ()) -> str:
    """One problem that tells why there is nothing, if there is any."""
    if not problems:
        return f"{entries[0].labels} is empty, and so are the others" if entries else "nothing is known of them"
    worst = next((each for each in problems if each.done not in (Action.KEPT, Action.FILE_LEFT_OUT)), problems[0])
    return f"{worst.kind}, as {worst}"


def _places(spec: DataSpec, split: str) -> str:
    return ", ".join(str(place) for place in spec.splits[split])


def _report(spec: DataSpec, split: str, samples: Sequence[Sample], problems: Iterable[Problem]) -> DataReport:
    per_class = dict.fromkeys(spec.names, 0)
    for sample in samples:
        for number in sample.cls[~sample.crowd].tolist():
            per_class[number] += 1
    return DataReport(
        split=split,
        names=spec.names,
        pictures=len(samples),
        background=sum(not len(sample) for sample in samples),
        objects=sum(per_class.values()),
        crowds=sum(int(sample.crowd.sum()) for sample in samples),
        per_class=per_class,
        problems=tuple(problems),
    )


def shared_pictures(first: Split, second: Split) -> list[tuple[Path, Path]]:
    """The pictures that two splits have in common, under whatever names: a validation with them tells too much good of a model.

    Returns:
        Each such picture of the second, behind the first of those that it is in the first.

    Raises:
        DatasetError: a picture is not there any more.
    """
    by_content: dict[bytes, Path] = {}
    try:
        ours, theirs = ({sample.path: sample.path.stat().st_size for sample in split.samples} for split in (first, second))
        sizes = set(ours.values()) & set(theirs.values())  # no others need be read
        for path in (path for path, size in ours.items() if size in sizes):
            by_content.setdefault(_digest(path), path)
        digests = {path: _digest(path) for path, size in theirs.items() if size in sizes}
    except OSError as error:
        raise _unreadable(error) from error
    return [(by_content[digest], path) for path, digest in digests.items() if digest in by_content]


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()


# --- which pictures there are


def _listing(spec: DataSpec, split: str) -> tuple[list[_Entry], list[Problem]]:
    """All pictures that are named and there, each once and in the order of their paths, and what is wrong with the others."""
    problems: list[Problem] = []
    found: dict[str, _Entry] = {}
    for place in spec.splits[split]:
        for entry in _entries(spec, split, place, problems):
            path = os.path.normpath(entry.path)
            if path in found:
                held = len(entry.picture.annotations) if entry.picture is not None else 0
                detail = f"named twice; {held} annotations go with it" if held else "named twice"
                problems.append(Problem(ProblemKind.DUPLICATE_PICTURE, entry.path, None, detail, Action.PICTURE_LEFT_OUT))
            else:
                found[path] = entry
    entries = [found[path] for path in sorted(found)]
    for place in spec.splits[split]:
        if place.is_dir():
            problems += _orphans(spec, place, entries)
    return entries, problems


def _entries(spec: DataSpec, split: str, place: Path, problems: list[Problem]) -> Iterator[_Entry]:
    if place.is_dir():
        return _of_folder(spec, place, problems)
    if not place.exists():
        beside = [each.name for each in place.parent.iterdir()] if place.parent.is_dir() else []
        raise DatasetError(
            f"{split}: {place} does not exist; correct {split} in {spec.file}.{did_you_mean(place.name, beside)}"
        )
    if place.suffix.lower() == ".json":
        return _of_coco(spec, place, problems)
    if place.suffix.lower() == ".txt":
        return _of_list(spec, place, problems)
    raise DatasetError(f"{split}: {place} is neither a folder of pictures, nor a .txt list of them, nor a COCO .json")


def _of_folder(spec: DataSpec, place: Path, problems: list[Problem]) -> Iterator[_Entry]:
    for path in _files(place):
        suffix = path.suffix.lower()
        if suffix in IMAGE_SUFFIXES:
            yield _Entry(path, label_file(path))
        elif suffix != ".txt" and path != spec.file:
            expected = "expected pictures, and labels in .txt files"
            problems.append(Problem(ProblemKind.OTHER_FILE, path, None, expected, Action.FILE_LEFT_OUT))


def _files(folder: Path) -> Iterator[Path]:
    """All files of a folder and those below, but for hidden ones; links that lead in circles are followed once."""

    def refuse(error: OSError) -> None:
        raise error

    met = set()
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=refuse):
        facts = os.stat(parent)
        if (facts.st_dev, facts.st_ino) in met:
            folders.clear()
            continue
        met.add((facts.st_dev, facts.st_ino))
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        yield from (Path(parent, each) for each in sorted(files) if not each.startswith("."))


def _of_list(spec: DataSpec, place: Path, problems: list[Problem]) -> Iterator[_Entry]:
    try:
        if place.stat().st_size > _MAX_LIST:
            raise DatasetError(f"{place} is too large for a list of pictures")
        # At nothing else that ends lines somewhere, as names may hold it.
        lines = place.read_bytes().decode("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{place} is no list of pictures: {getattr(error, 'strerror', None) or 'not a text file'}"
        ) from error
    for number, line in enumerate(lines, 1):
        name = line.strip()
        if not name:
            continue
        tried = [folder / os.path.expanduser(name) for folder in dict.fromkeys((place.parent, spec.root, Path.cwd()))]
        path = next(filter(_is_file, tried), None)
        if path is None:
            detail = f"{shown(redacted(name))} is no file"
            problems.append(Problem(ProblemKind.MISSING_PICTURE, place, number, detail, Action.PICTURE_LEFT_OUT))
        else:
            yield _Entry(path, label_file(path))


def _of_coco(spec: DataSpec, place: Path, problems: list[Problem]) -> Iterator[_Entry]:
    coco = read_coco(place)
    pictures, told = coco.pictures(spec.root)
    problems += [*told, *coco.unnamed(spec.names)]
    for picture in pictures:
        if picture.looked:
            looked = ", ".join(str(folder) for folder in picture.looked)
            detail = f"in none of {looked}; {len(picture.annotations)} annotations go with it"
            problems.append(Problem(ProblemKind.MISSING_PICTURE, picture.path, None, detail, Action.PICTURE_LEFT_OUT))
        else:
            yield _Entry(picture.path, place, coco, picture)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for one
        return False


def _orphans(spec: DataSpec, place: Path, entries: Sequence[_Entry]) -> Iterator[Problem]:
    """The label files that belong to no picture of a folder."""
    inside = [entry for entry in entries if entry.path.is_relative_to(place)]
    known = {entry.labels for entry in inside}
    mapped = mapped_folder(place)
    folders = {label.parent for label in known}
    files = {file for folder in folders if folder.is_dir() for file in folder.iterdir()}
    if mapped is not None and mapped.is_dir():
        files.update(_files(mapped))
    lists = {listed for places in spec.splits.values() for listed in places}
    for file in sorted(files - known - lists):
        if file.suffix.lower() == ".txt" and not file.name.startswith(".") and file.name.lower() not in _NO_LABELS:
            yield Problem(ProblemKind.LABEL_WITHOUT_PICTURE, file, None, "no picture has this name", Action.FILE_LEFT_OUT)


# --- what is in them


def _scanned(spec: DataSpec, split: str, entries: Sequence[_Entry], cache: bool, progress: Progress | None) -> Scanned:
    file = spec.root / f".{spec.file.stem}.{split}.framehook-cache"
    pictures = [entry.path for entry in entries]
    key = key_of(_facts(spec, entries)) if cache else b""
    kept = load_scan(file, key, pictures, len(spec.names)) if cache else None
    if kept is not None:
        if progress is not None:
            progress(len(entries), len(entries))
        return kept
    scanned = _scan(spec, entries, progress)
    if cache:
        save_scan(file, key, scanned)
    return scanned


def _facts(spec: DataSpec, entries: Sequence[_Entry]) -> Iterator[object]:
    """All that what is found depends on."""
    yield list(spec.names.values())
    jsons: dict[Path, object] = {}
    for entry in entries:
        labels = _stat(entry.labels) if entry.coco is None else jsons.setdefault(entry.labels, _stat(entry.labels))
        yield str(entry.path), _stat(entry.path), str(entry.labels), labels


def _stat(path: Path) -> tuple[int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_size, facts.st_mtime_ns


def _scan(spec: DataSpec, entries: Sequence[_Entry], progress: Progress | None) -> Scanned:
    jsons = {entry.labels: entry.coco for entry in entries if entry.coco is not None}
    classes = {file: coco.classes(spec.names) for file, coco in jsons.items()}

    def read(entry: _Entry) -> _Outcome:
        return _read(entry, len(spec.names), classes.get(entry.labels, {}))

    samples: list[Sample | None] = []
    problems: list[Problem] = []
    seen: dict[bytes, Path] = {}
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="framehook-scan")
    try:
        for done, (entry, outcome) in enumerate(zip(entries, pool.map(read, entries), strict=True), 1):
            samples.append(outcome.sample)
            problems += outcome.problems
            if outcome.digest is not None:
                first = seen.setdefault(outcome.digest, entry.path)
                if first is not entry.path:
                    detail = f"the same as {first}"
                    problems.append(Problem(ProblemKind.DUPLICATE_PICTURE, entry.path, None, detail, Action.KEPT))
            if progress is not None:
                progress(done, len(entries))
    finally:
        pool.shutdown(cancel_futures=True)
    return Scanned(samples, tuple(problems))


def _read(entry: _Entry, count: int, classes: Mapping[int, int]) -> _Outcome:
    size, digest, problem = _look(entry.path)
    if size is None:
        return _Outcome(None, (problem,) if problem else (), None)
    if entry.coco is None or entry.picture is None:
        labels = read_labels(entry.labels, size, count)
    else:
        told = entry.picture.size
        if told is not None and told != size:
            detail = f"{size[0]} x {size[1]}, but {entry.labels.name} has labels for {told[0]} x {told[1]}"
            return _Outcome(None, (Problem(ProblemKind.WRONG_SIZE, entry.path, None, detail, Action.PICTURE_LEFT_OUT),), None)
        labels = entry.coco.labels(entry.picture, size, classes, count)
    return _Outcome(_sample(entry.path, size, labels) if labels.readable else None, labels.problems, digest)


def _sample(path: Path, size: Size, labels: Labels) -> Sample:
    return Sample(path, size, labels.cls, labels.xyxy, labels.crowd, labels.area)


def _look(path: Path) -> tuple[Size | None, bytes | None, Problem | None]:
    """The size of a picture and a digest of its file; or what is wrong with it."""

    def wrong(kind: ProblemKind, detail: str) -> tuple[None, None, Problem]:
        return None, None, Problem(kind, path, None, detail, Action.PICTURE_LEFT_OUT)

    try:
        content = path.read_bytes()
        if not content:
            return wrong(ProblemKind.CORRUPT_PICTURE, "empty")
        if not content.startswith(_MARKS) and content[4:8] != b"ftyp":
            return wrong(ProblemKind.NOT_A_PICTURE, f"begins with {content[:16]!r}")
        if content.startswith(b"\xff\xd8") and _cut_off(content):
            return wrong(ProblemKind.CORRUPT_PICTURE, "cut off: its end is missing")
        pixels = decode_image(path)
    except OSError as error:
        told = str(error) if isinstance(error, SourceError) else error.strerror
        return wrong(ProblemKind.CORRUPT_PICTURE, told or "cannot be read")
    if pixels is None:
        return wrong(ProblemKind.CORRUPT_PICTURE, "cannot be decoded")
    return (pixels.shape[1], pixels.shape[0]), hashlib.blake2b(content, digest_size=16).digest(), None


def _cut_off(jpeg: bytes) -> bool:
    """Whether the end mark of a JPEG is missing: decoders fill up with grey what is not there, and say nothing.

    The thumbnail in its head has an end mark of its own, so that the head is gone through (ITU-T T.81, B.1.1).
    """
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF:
        mark = jpeg[at + 1]
        if mark == 0xDA:  # the pixels begin
            return jpeg.find(b"\xff\xd9", at) < 0
        at += 1 if mark == 0xFF else 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return at + 4 > len(jpeg)
