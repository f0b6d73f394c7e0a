"""Recording a run as video files."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Literal, get_args

from framehook.inference.callbacks.base import Callback
from framehook.inference.callbacks.naming import claim_next, filled_in, has_fields
from framehook.inference.callbacks.per_source import PICTURES, PerRun, PerSource
from framehook.inference.callbacks.recording import Limits, Recording
from framehook.inference.connection import SourceState
from framehook.inference.errors import OptionError, RecordingError
from framehook.inference.frame import Frame
from framehook.inference.ranges import is_number, is_whole
from framehook.inference.result import Result
from framehook.inference.saving import folder_of, numbered, refuse_source, stem_of

if TYPE_CHECKING:
    from framehook.inference.predictor import Predictor

log = logging.getLogger("framehook")

SUFFIXES: Final = (".mp4", ".m4v", ".mov", ".mkv")
LEAST_SECONDS: Final = 1.0
"""The shortest part that can be asked for."""
LEAST_BYTES: Final = 100_000
"""The smallest part that can be asked for."""

OnError = Literal["raise", "stop"]


class Recorder(Callback):
    """Records what `result.canvas` shows, after all other callbacks, as H.264 video with the true times of the frames.

    Times are those of the file (variable rates included) and, for cameras, streams and whatever has no times of its own, those
    of capture: while nothing comes, the last picture stands. A list of pictures runs at 25 a second. Each file begins at 0; a
    seek leaves no gap in it.

    Frames are encoded on a thread of its own. A file waits for it; of a live source the frames that it cannot keep up with are
    left out and counted, so that recording never slows the stream. Each source has a file of its own. A change of the frame's
    size begins another, `name_2.mp4`, and so does the first frame after `segment_seconds` or `segment_bytes`; between two of
    them no frame is lost, and each plays by itself. Odd sizes are padded by a pixel.

    Whatever ends the process, all but the last second or so can be played (an MP4 of less than a second or so cannot). A file
    that is complete is rewritten with its index in front (fast start), which takes as much space again for that moment.

    If writing fails (a full disk, a removed folder), what was written can be played; a file in which there is nothing to play
    is removed. The run ends with a `RecordingError`, or goes on without that recording, as `on_error` says.

    Attributes:
        paths: The files written so far, in all runs, oldest first, without those that `keep` removed.
        dropped: Frames of live sources that were not recorded because encoding did not keep up.
    """

    order: ClassVar[int] = 100
    foreground_only: ClassVar[bool] = True

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        original: bool = False,
        pictures: bool = True,
        crf: int = 23,
        segment_seconds: float | None = None,
        segment_bytes: int | None = None,
        keep: int | None = None,
        on_error: OnError = "raise",
    ) -> None:
        """Choose where and what to record.

        Args:
            path: The video file, .mp4, .m4v, .mov or .mkv, which is overwritten; further sources and parts get `_2`, `_3` ...
                and overwrite nothing. Nor does a run over a list or folder of files, of which the video may be one: where it
                exists, the recording gets the next number. The fields %Y %m %d %H %M %S %j %y in it stand for the local time
                at which each file begins, and such names overwrite nothing: `cam_%Y%m%d-%H%M%S.mp4`. None names files after
                their sources, in the run's `save_dir`, and overwrites nothing.
            original: Record the captured frames, with nothing drawn on them.
            pictures: Record image files and arrays as well, not only videos, cameras and streams.
            crf: Quality, 0 (lossless, large) to 51 (poor, small).
            segment_seconds: Begin another file when one is as long, at least 1.
            segment_bytes: Begin another file when one is about as large, at least 100,000.
            keep: Of each source, keep as many complete files of the run, beside the one that is being written, and delete
                older ones. Needs one of the two limits.
            on_error: What happens where writing fails: `raise` ends the run, `stop` logs it and ends that source's recording.

        Raises:
            OptionError: the path is no video file's, or another value is out of range.
        """
        self._path = None if path is None else Path(path).expanduser()
        if self._path is not None and (self._path.suffix.lower() not in SUFFIXES or self._path.is_dir()):
            raise OptionError(f"'{path}' is no name for a video; pass a file that ends in {', '.join(SUFFIXES)}")
        if not is_whole(crf, 0, 51):
            raise OptionError(f"crf={crf!r} is out of range; pass a whole number from 0 (lossless) to 51")
        if segment_seconds is not None and not is_number(segment_seconds, LEAST_SECONDS):
            raise OptionError(f"segment_seconds={segment_seconds!r} is out of range; pass {LEAST_SECONDS:g} or more")
        if segment_bytes is not None and not is_number(segment_bytes, LEAST_BYTES):
            raise OptionError(f"segment_bytes={segment_bytes!r} is out of range; pass {LEAST_BYTES} or more")
        if keep is not None and not is_whole(keep, 1):
            raise OptionError(f"keep={keep!r} is out of range; pass how many complete files to keep, 1 or more")
        if keep is not None and segment_seconds is None and segment_bytes is None:
            raise OptionError(f"keep={keep!r} is about the parts of a recording; pass segment_seconds or segment_bytes, too")
        if on_error not in get_args(OnError):
            raise OptionError(f"on_error={on_error!r} is none; pass one of {', '.join(get_args(OnError))}")
        self._original = original
        self._pictures = pictures
        self._crf = crf
        self._limits = Limits(segment_seconds, segment_bytes)
        self._keep = keep
        self._on_error = on_error
        self.paths: list[Path] = []
        self.dropped = 0
        self._runs: PerRun[_Run] = PerRun(self._new_run)

    def on_predict_batch_end(self, predictor: Predictor) -> None:
        run = self._runs.of(predictor)
        for result in predictor.frame_results:
            if self._pictures or result.frame.source.kind not in PICTURES:
                self._record(predictor, run, result)

    def on_source_change(self, predictor: Predictor) -> None:
        run, change = self._runs.find(predictor), predictor.change
        if run is not None and change is not None and change.state is SourceState.ENDED:
            for recording in run.sources.values():
                if recording.source.id == change.source.id:
                    recording.finish(change.at)

    def on_predict_end(self, predictor: Predictor) -> None:
        run = self._runs.find(predictor)
        if run is None:
            return
        recordings, now = run.sources.values(), time.monotonic()
        for recording in recordings:
            recording.finish(now)  # all of them first, so that they end side by side
        failures = []
        for recording in recordings:
            try:
                self._end(run, recording)
            except RecordingError as error:
                failures.append(error)
        for path in [each for each in run.written if not each.exists()]:  # nothing of it could be played
            self._forget(run, path)
        if failures:
            raise failures[0] if len(failures) == 1 else RecordingError("; ".join(map(str, failures)))

    def files_of(self, predictor: Predictor) -> list[Path]:
        """The files that one run wrote so far, oldest first, without those that `keep` removed."""
        return list(self._runs.of(predictor).written)

    def _new_run(self) -> _Run:
        return _Run(self._limits, self._end)

    def _record(self, predictor: Predictor, run: _Run, result: Result) -> None:
        frame = result.frame
        recording = run.sources.of(frame)
        if recording.over:
            return
        if not recording.has_begun:
            _finish_former(predictor, run, recording)
        try:
            if not recording.take(frame, predictor.args.vid_stride):
                self.dropped += 1  # before anything is drawn for it
                return
            if not recording.is_open:
                path = self._next_path(predictor, run, frame)
                recording.open(path, frame, crf=self._crf)
                self.paths.append(path)
                run.written.append(path)
            recording.add(frame.image if self._original else result.canvas)
        except RecordingError as error:
            self._give_up(recording, error)
        self._delete_surplus(run, recording)

    def _end(self, run: _Run, recording: Recording) -> None:
        """Complete the files of a source."""
        try:
            recording.close()
        except RecordingError as error:
            if recording.told:
                log.debug("%s", error)  # that of the file before it was told
            else:
                self._give_up(recording, error)
        finally:
            self._delete_surplus(run, recording)

    def _give_up(self, recording: Recording, error: RecordingError) -> None:
        recording.told = True
        if self._on_error == "raise":
            raise error
        recording.over = True
        log.error("%s; the run goes on without that recording", error)
        with contextlib.suppress(RecordingError):  # it was told
            recording.close()

    def _delete_surplus(self, run: _Run, recording: Recording) -> None:
        for path in () if self._keep is None else recording.surplus(self._keep):
            with contextlib.suppress(OSError):
                path.unlink()
            self._forget(run, path)

    def _forget(self, run: _Run, path: Path) -> None:
        run.written.remove(path)
        self.paths.remove(path)

    def _next_path(self, predictor: Predictor, run: _Run, frame: Frame) -> Path:
        """The file for a source, claimed."""
        if self._path is None:
            return claim_next(run.names_like(folder_of(predictor) / f"{stem_of(frame.source)}.mp4"), overwrite=False)
        path = self._path
        if timed := has_fields(path):
            ago = max(time.monotonic() - frame.captured_at, 0.0)
            path = filled_in(path, datetime.now() - timedelta(seconds=ago))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordingError(f"the folder of {path} cannot be made: {error.strerror or error}") from error
        sources = predictor.sources
        refuse_source(path, sources)
        # Else a list of files is played, and what is to come of it is not known.
        known = all(source.live or source.id == frame.source.id for source in sources)
        overwrite = known and not timed and path not in run.names
        return claim_next(numbered(path) if timed else run.names_like(path), overwrite=overwrite)


class _Run:
    """What is kept of one run.

    Attributes:
        sources: The recordings of its sources.
        written: Its files, oldest first.
        names: The numbered names that are left for each name that was asked for.
    """

    def __init__(self, limits: Limits, end: Callable[[_Run, Recording], None]) -> None:
        """Begin without files; `end` is called with the recordings of sources that are over."""
        self.sources = PerSource(lambda frame: Recording(frame.source, limits), let_go=lambda recording: end(self, recording))
        self.written: list[Path] = []
        self.names: dict[Path, Iterator[Path]] = {}

    def names_like(self, path: Path) -> Iterator[Path]:
        """The numbered names that are left: a number is not used again, even where its file was deleted."""
        return self.names.setdefault(path, numbered(path))


def _finish_former(predictor: Predictor, run: _Run, recording: Recording) -> None:
    """Where one list of files is played, the files before are over when one begins."""
    if not recording.source.live and sum(not source.live for source in predictor.sources) == 1:
        for each in run.sources.values():
            if each is not recording and not each.source.live:
                each.finish(time.monotonic())
