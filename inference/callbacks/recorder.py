"""Recording a run as video files."""

from __future__ import annotations

import contextlib
import math
import threading
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from framehook.inference.callbacks.base import Callback
from framehook.inference.callbacks.per_source import PICTURES, PerRun, PerSource
from framehook.inference.errors import OptionError, RecordingError
from framehook.inference.frame import Frame
from framehook.inference.result import Image, Result
from framehook.inference.saving import folder_of, free_file, stem_of

if TYPE_CHECKING:
    from framehook.inference.callbacks.encoder import Encoder
    from framehook.inference.predictor import Predictor

SUFFIXES: Final = (".mp4", ".m4v", ".mov", ".mkv")
_PICTURE_RATE: Final = 25.0  # pictures a second, for lists of pictures, which have no times
_USUAL_RATE: Final = 30.0

_being_written: set[Path] = set()
_being_written_lock = threading.Lock()


class Recorder(Callback):
    """Records what `result.canvas` shows, after all other callbacks, as H.264 video with the true times of the frames.

    Times are those of the file (variable rates included) and, for cameras, streams and whatever has no times of its own, those
    of capture. A list of pictures runs at 25 a second. Each file begins at 0; a seek leaves no gap in it.

    Frames are encoded on a thread of its own. A file waits for it; of a live source the frames that it cannot keep up with are
    left out and counted, so that recording never slows the stream. Each source has a file of its own, and a change of the
    frame's size begins another, `name_2.mp4`. Odd sizes are padded by a pixel.

    If writing fails (a full disk, a removed folder), the run ends with a `RecordingError`, and what was written can be played;
    a file in which there is nothing to play, an MP4 of less than two seconds say, is removed.

    Attributes:
        paths: The files written so far, in all runs, oldest first.
        dropped: Frames of live sources that were not recorded because encoding did not keep up.
    """

    order: ClassVar[int] = 100

    def __init__(self, path: str | Path | None = None, *, original: bool = False, pictures: bool = True, crf: int = 23) -> None:
        """Choose where and what to record.

        Args:
            path: The video file, .mp4, .m4v, .mov or .mkv, which is overwritten; further sources and parts get `_2`, `_3` ...
                and overwrite nothing. Nor does a run over a list or folder of files, of which the video may be one: where it
                exists, the recording gets the next number. None names files after their sources, in the run's `save_dir`, and
                overwrites nothing.
            original: Record the captured frames, with nothing drawn on them.
            pictures: Record image files and arrays as well, not only videos, cameras and streams.
            crf: Quality, 0 (lossless, large) to 51 (poor, small).

        Raises:
            OptionError: the path is no video file's, or `crf` is out of range.
        """
        self._path = None if path is None else Path(path).expanduser()
        if self._path is not None and (self._path.suffix.lower() not in SUFFIXES or self._path.is_dir()):
            raise OptionError(f"'{path}' is no name for a video; pass a file that ends in {', '.join(SUFFIXES)}")
        if crf not in range(52):
            raise OptionError(f"crf={crf!r} is out of range; pass a whole number from 0 (lossless) to 51")
        self._original = original
        self._pictures = pictures
        self._crf = crf
        self.paths: list[Path] = []
        self.dropped = 0
        self._runs: PerRun[_Run] = PerRun(_Run)
        self._files: PerRun[list[Path]] = PerRun(list)

    def on_predict_batch_end(self, predictor: Predictor) -> None:
        run = self._runs.of(predictor)
        for result in predictor.frame_results:
            if self._pictures or result.frame.source.kind not in PICTURES:
                self._record(predictor, run.sources.of(result.frame), result)

    def on_predict_end(self, predictor: Predictor) -> None:
        run = self._runs.pop(predictor)
        if run is None:
            return
        try:
            run.close()
        finally:
            written = self._files.of(predictor)
            for path in [each for each in written if not each.exists()]:  # nothing of it could be played
                written.remove(path)
                self.paths.remove(path)

    def files_of(self, predictor: Predictor) -> list[Path]:
        """The files that one run wrote so far, oldest first."""
        return list(self._files.of(predictor))

    def _record(self, predictor: Predictor, recording: _Recording, result: Result) -> None:
        frame = result.frame
        if recording.encoder is not None and recording.size != frame.size:
            recording.close()
        if recording.encoder is None:
            path = self._next_path(predictor, frame)
            recording.open(path, frame, rate=_rate(frame, predictor.args.vid_stride), crf=self._crf)
            self.paths.append(path)
            self._files.of(predictor).append(path)
        if frame.source.live and not recording.has_room():
            self.dropped += 1  # before anything is drawn for it
        else:
            recording.add(frame, frame.image if self._original else result.canvas)

    def _next_path(self, predictor: Predictor, frame: Frame) -> Path:
        """The file for a source, claimed."""
        if self._path is None:
            return _claim(folder_of(predictor) / f"{stem_of(frame.source)}.mp4", overwrite=False)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordingError(f"the folder of {self._path} cannot be made: {error.strerror or error}") from error
        alone = frame.source.id == predictor.source.id  # else it is one of a list, and what is to come of that is not known
        if alone and _is_same_file(self._path, frame.source.path):
            raise RecordingError(f"{self._path} is the source itself; record to another file")
        return _claim(self._path, overwrite=alone and self._path not in self._files.of(predictor))


@dataclass(slots=True, eq=False)
class _Recording:
    """The recording of one source: the file that is being written, and the clock that turns frames' times into its ticks."""

    encoder: Encoder | None = None
    size: tuple[int, int] | None = None
    clock: _Clock | None = None

    def open(self, path: Path, frame: Frame, *, rate: Fraction, crf: int) -> None:
        from framehook.inference.callbacks.encoder import TICKS, Encoder

        try:
            self.encoder = Encoder(path, size=frame.size, rate=rate, crf=crf)
        except RecordingError:
            _release(path)
            with contextlib.suppress(OSError):
                if path.stat().st_size == 0:
                    path.unlink()  # the name was claimed by an empty file
            raise
        self.size = frame.size
        self.clock = _Clock(float(rate), TICKS)

    def has_room(self) -> bool:
        return self.encoder is not None and self.encoder.has_room()

    def add(self, frame: Frame, image: Image) -> None:
        assert self.encoder is not None
        assert self.clock is not None
        self.encoder.add(image, self.clock.ticks(frame))

    def finish(self) -> None:
        if self.encoder is not None:
            self.encoder.finish()

    def close(self) -> None:
        encoder, self.encoder = self.encoder, None
        if encoder is None:
            return
        try:
            encoder.close()
        finally:
            _release(encoder.path)


@dataclass(slots=True)
class _Run:
    """The recordings of one run."""

    sources: PerSource[_Recording] = field(
        default_factory=lambda: PerSource(lambda _frame: _Recording(), let_go=_Recording.close)
    )

    def close(self) -> None:
        recordings = self.sources.values()
        for recording in recordings:
            recording.finish()  # all of them first, so that they end side by side
        failures = []
        for recording in recordings:
            try:
                recording.close()
            except RecordingError as error:
                failures.append(error)
        if failures:
            raise failures[0] if len(failures) == 1 else RecordingError("; ".join(map(str, failures)))


class _Clock:
    """Turns the times of frames into ticks of a file: from 0, always rising, without the gap that a seek leaves."""

    def __init__(self, rate: float, ticks: int) -> None:
        self._per_second = ticks
        self._step = 1 / rate
        self._zero = 0.0
        self._last: float | None = None
        self._last_ticks = -1
        self._segment = 0
        self._count = 0

    def ticks(self, frame: Frame) -> int:
        """The time of the next frame."""
        live = frame.source.live
        if not live and frame.pts is not None:
            time = frame.pts
        elif not live and frame.source.frame_count is not None:
            time = self._count / _PICTURE_RATE  # they are read ahead as fast as can be
        else:
            time = frame.captured_at
        self._count += 1
        if self._last is None:
            self._zero = time
        elif (frame.segment != self._segment and not live) or time < self._last:
            self._zero += time - self._last - self._step
        elif not live and time > self._last:
            self._step = time - self._last
        self._segment = frame.segment
        self._last = time
        self._last_ticks = max(round((time - self._zero) * self._per_second), self._last_ticks + 1)
        return self._last_ticks


def _rate(frame: Frame, stride: int) -> Fraction:
    """Frames a second, about: what the encoder reckons with."""
    source = frame.source
    if source.fps and math.isfinite(source.fps) and source.fps > 0:
        rate = source.fps / stride
    else:
        rate = _PICTURE_RATE if source.kind in PICTURES else _USUAL_RATE
    return Fraction(min(max(rate, 0.1), 1000.0)).limit_denominator(1001)


def _claim(path: Path, *, overwrite: bool) -> Path:
    """Take a file, or the next number's where it exists and may not be overwritten, least of all while it is being written.

    Raises:
        RecordingError: it cannot be made.
    """
    with _being_written_lock:
        chosen = path if overwrite and path.absolute() not in _being_written else free_file(path)
        _being_written.add(chosen.absolute())
        return chosen


def _release(path: Path) -> None:
    with _being_written_lock:
        _being_written.discard(path.absolute())


def _is_same_file(path: Path, source: str) -> bool:
    try:
        return path.samefile(source)
    except OSError:
        return False
