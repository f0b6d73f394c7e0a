"""What is saved while it plays: takes, which begin and end at any moment of a run, and snapshots."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import av

from framehook.app.describe import megabytes
from framehook.app.session.state import Level, TakeFacts, TakeKind
from framehook.app.summary import counted, duration
from framehook.inference.callbacks import Callback, Callbacks, Handle, Recorder, Rows
from framehook.inference.callbacks.recorder import SUFFIXES
from framehook.inference.connection import SourceChange
from framehook.inference.errors import FramehookError, OptionError, RecordingError, RunError, one_line
from framehook.inference.frame import Frame
from framehook.inference.options import ROW_FORMATS, row_format
from framehook.inference.result import Result
from framehook.inference.saving import RUNS, claim_file, free_file, refuse_source, stem_of, way_out

if TYPE_CHECKING:
    from framehook.inference.predictor import Predictor

PICTURES: Final = (".jpg", ".jpeg", ".png")
"""Endings of snapshots, the usual one first."""
TITLES: Final[dict[TakeKind, str]] = {"annotated": "video", "original": "original video", "rows": "rows"}
"""What is saved, for people."""
_STAMP: Final = "%Y-%m-%d_%H-%M-%S"


class Takes:
    """The takes of a session: videos and rows that are being written, and those whose files are being completed.

    A take outlives runs. When another source or model is chosen, the files of the run before are completed, and the take goes
    on in further ones: its first file has the name that was asked for, others are named after their source, or numbered, and
    overwrite nothing. Nothing ever waits for a file to be completed, and nothing is ever raised into a run: a take that cannot
    be written on ends, what it has written stays, and a note says so.

    Attributes:
        folder: Where files go that are given no name; a change is in force from the next take on.
    """

    def __init__(
        self,
        callbacks: Callbacks,
        note: Callable[[Level, str, str], None],
        changed: Callable[[], None],
        folder: Path | None = None,
        *,
        begins_again: Callable[[SourceChange], bool] = lambda change: False,
    ) -> None:
        """Save nothing yet.

        Args:
            callbacks: What the runs call whose frames are to be saved.
            note: Called, from any thread, with what there is to tell the user: how much it matters, a line, and more lines.
            changed: Called, from any thread, when `facts` has changed.
            folder: As the attribute; None for `default_folder()`.
            begins_again: Whether a file that has ended is played again: its recording goes on then.
        """
        self.folder = default_folder() if folder is None else folder
        self._callbacks = callbacks
        self._note = note
        self._told = changed
        self._begins_again = begins_again
        self._telling = threading.Lock()
        self._lock = threading.RLock()  # a thread is started in here, and the collector may run meanwhile
        self._takes: dict[TakeKind, list[_Take]] = {}
        self._workers: set[threading.Thread] = set()

    def begin(self, kind: TakeKind, path: Path | None = None, predictor: Predictor | None = None) -> None:
        """Save from the next frame on, of whatever runs come.

        Args:
            kind: What to save.
            path: The file, which is overwritten: a video, or rows in the format that its ending stands for. None for one in
                `folder` that is named after its source and the time, and overwrites nothing; rows are JSON lines then.
            predictor: The run under way, so that a file that is played now is refused at once.

        Raises:
            OptionError: the path is no name for such a file.
            RecordingError: it is that of a source.
            RunError: something of the kind is being saved already.
        """
        if path is not None:
            _check(kind, path)
            refuse_source(path, () if predictor is None else predictor.sources)
        take = _Take(kind, _Names(kind, path, self.folder), self._note, self._changed, self._do, self._begins_again)
        with self._lock:
            takes = self._takes.setdefault(kind, [])
            if any(each.going_on for each in takes):
                raise RunError(f"the {TITLES[kind]} is being saved already; end that before another is begun")
            # Of those that are over the last is remembered.
            self._takes[kind] = [*(each for each in takes[:-1] if each.finishing), *takes[-1:], take]
            take.begin(self._callbacks)
        self._changed()

    def end(self, kind: TakeKind) -> None:
        """End what is being saved of a kind; returns at once, and its files are completed meanwhile."""
        with self._lock:
            takes = list(self._takes.get(kind, ()))
        for take in takes:
            take.end()

    def end_all(self) -> None:
        """End everything that is being saved; returns at once."""
        for kind in list(self._takes):
            self.end(kind)

    def facts(self) -> tuple[TakeFacts, ...]:
        """What is being saved and completed, and of each kind what was saved last, oldest first."""
        with self._lock:
            takes = [take for of_kind in self._takes.values() for take in of_kind]
        return tuple(take.facts() for take in sorted(takes, key=lambda take: take.began))

    def snapshot(self, result: Result, path: Path | None = None, *, original: bool = False) -> Path:
        """Save one frame as a picture, which is there as a whole or not at all.

        Args:
            result: The frame and what was found in it.
            path: The file, .jpg or .png, which is overwritten; None for one in `folder` that is named after its source and the
                time, and overwrites nothing.
            original: The captured frame, rather than its canvas.

        Returns:
            The file.

        Raises:
            RecordingError: it cannot be written, or is the source itself.
        """
        frame = result.frame
        if path is None:
            named = self.folder / f"{stem_of(frame.source)}{'_original' if original else ''}_{_now()}{PICTURES[0]}"
            _make_folder(named)
            target = free_file(named)
        else:
            target = path.expanduser()
            if target.suffix.lower() not in PICTURES:
                raise RecordingError(f"'{target}' is no name for a picture; pass a file that ends in {', '.join(PICTURES)}")
            _make_folder(target)
            refuse_source(target, (frame.source,))
        part = target.with_name(f".part.{target.name}")
        plain = Result(frame, result.boxes, result.names) if original else result  # no painter draws on a result of its own
        try:
            plain.save(part)
            part.replace(target)
        except (OSError, RecordingError) as error:
            with contextlib.suppress(OSError):
                part.unlink()
            with contextlib.suppress(OSError):
                if path is None:
                    target.unlink()  # the name was claimed by an empty file
            reason = error.__cause__ if isinstance(error, RecordingError) and error.__cause__ is not None else error
            said = getattr(reason, "strerror", None) or reason
            raise RecordingError(f"{target} cannot be written: {said}{way_out(reason)}") from error
        self._note(Level.INFO, f"Saved a picture to {target}", "")
        return target

    def close(self, timeout: float | None = None) -> bool:
        """End all takes, and wait until their files are complete.

        Args:
            timeout: Seconds to wait at most; None for as long as it takes.

        Returns:
            Whether all are complete.
        """
        self.end_all()
        until = None if timeout is None else time.monotonic() + timeout
        while True:  # a run that ends meanwhile has its files completed as well
            with self._lock:
                workers = list(self._workers)
            if not workers:
                return True
            for worker in workers:
                worker.join(None if until is None else max(0.0, until - time.monotonic()))
                if worker.is_alive():
                    return False

    def _changed(self) -> None:
        with self._telling:  # so that whoever asks for the facts then does not keep older ones than somebody before
            self._told()

    def _do(self, work: Callable[[], None]) -> None:
        """Do something that takes a while on a thread of its own."""

        def do() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._workers.discard(threading.current_thread())

        # What is not complete when the process ends can be played all the same, so that nobody has to wait for it.
        worker = threading.Thread(target=do, name="framehook-take", daemon=True)
        with self._lock:  # whoever waits for it must find it started
            worker.start()
            self._workers.add(worker)


def default_folder(home: Path | None = None, platform: str = sys.platform) -> Path:
    """Where to save if nobody says where: a folder in the user's own for videos, where there is one.

    It does not depend on where the program was started, which for a window is anywhere.

    Args:
        home: The user's folder; None to look it up.
        platform: As `sys.platform` has it.
    """
    if home is None:
        try:
            home = Path.home()
        except RuntimeError:  # a user without one
            return RUNS.absolute()
    videos = home / ("Movies" if platform == "darwin" else "Videos")
    return (videos if videos.is_dir() else home) / "Framehook"


# A take ---------------------------------------------------------------------------------------------------------------------


class _Names:
    """The names of a take's files: the first may overwrite what was asked for, the others overwrite nothing."""

    def __init__(self, kind: TakeKind, path: Path | None, folder: Path) -> None:
        self.path = None if path is None else path.expanduser().absolute()
        self._folder = folder
        self._kind = kind
        self._first: str | None = None

    def claim(self, predictor: Predictor, frame: Frame, *, of_all: bool = False) -> Path:
        """Take the name of a further file; `of_all` tells that it is of all sources of the run, not of the frame's alone.

        Raises:
            RecordingError: it cannot be made, or is a source.
        """
        what = "rows" if of_all and len(predictor.sources) > 1 else stem_of(frame.source)
        first = self._first is None
        self._first = self._first or what
        if self.path is None:
            ending = ROW_FORMATS["jsonl"][0] if self._kind == "rows" else SUFFIXES[0]
            named = self._folder / f"{what}{'_original' if self._kind == 'original' else ''}_{_now()}{ending}"
        elif what == self._first:
            named = self.path
        else:
            named = self.path.with_name(f"{self.path.stem}_{what}{self.path.suffix}")
        _make_folder(named)
        refuse_source(named, (*predictor.sources, frame.source))
        return claim_file(named, overwrite=first and self.path is not None)


class _Videos(Recorder):
    """Records one run of a take."""

    def __init__(self, names: _Names, *, original: bool) -> None:
        super().__init__(original=original)
        self._names = names

    def finish(self, predictor: Predictor) -> None:
        try:
            self.on_predict_end(predictor)
        finally:
            self._runs.pop(predictor)  # a run may see many takes come and go

    def _next_path(self, predictor: Predictor, run: Any, frame: Frame) -> Path:
        return self._names.claim(predictor, frame)


class _Lines(Rows):
    """Writes the rows of one run of a take."""

    def __init__(self, names: _Names) -> None:
        super().__init__(names.path)
        self._names = names

    def finish(self, predictor: Predictor) -> None:
        try:
            self.on_predict_end(predictor)
        finally:
            self._files.pop(predictor)

    def _next_path(self, predictor: Predictor, frame: Frame) -> Path:
        return self._names.claim(predictor, frame, of_all=self._format != "mot")


class _Part:
    """What a take writes of one run.

    Attributes:
        paths: Its files so far.
        frames: Frames that came so far.
    """

    def __init__(self, kind: TakeKind, names: _Names) -> None:
        self.paths: tuple[Path, ...] = ()
        self.frames = 0
        self._writer: _Videos | _Lines = _Lines(names) if kind == "rows" else _Videos(names, original=kind == "original")

    @property
    def dropped(self) -> int:
        """Frames of live sources that were left out because encoding did not keep up."""
        return self._writer.dropped if isinstance(self._writer, _Videos) else 0

    def write(self, predictor: Predictor) -> None:
        self.frames += len(predictor.frame_results)
        try:
            self._writer.on_predict_batch_end(predictor)
        finally:
            self.paths = tuple(self._writer.paths)

    def follow(self, predictor: Predictor) -> None:
        self._writer.on_source_change(predictor)

    def finish(self, predictor: Predictor) -> None:
        try:
            self._writer.finish(predictor)
        finally:
            self.paths = tuple(path for path in self._writer.paths if path.exists())


class _Take(Callback):
    """Something that is saved of run after run, until it is ended from any thread.

    Attributes:
        began: When, monotonic seconds.
        going_on: Whether frames are still taken.
    """

    order: ClassVar[int] = Recorder.order
    foreground_only: ClassVar[bool] = True

    def __init__(
        self,
        kind: TakeKind,
        names: _Names,
        note: Callable[[Level, str, str], None],
        changed: Callable[[], None],
        do: Callable[[Callable[[], None]], None],
        begins_again: Callable[[SourceChange], bool],
    ) -> None:
        self.began = time.monotonic()
        self.going_on = True
        self._kind = kind
        self._names = names
        self._note = note
        self._changed = changed
        self._do = do
        self._begins_again = begins_again
        self._parts: dict[Predictor, _Part] = {}
        self._before: tuple[Path, ...] = ()  # the files of parts that are complete
        self._leaving: tuple[_Part, ...] = ()  # parts that are being completed
        self._writing = threading.Lock()  # held while frames are written; whoever must not wait asks `_state` alone
        self._state = threading.Lock()
        self._handle: Handle | None = None

    @property
    def finishing(self) -> bool:
        """Whether files are being completed."""
        return bool(self._leaving) or (not self.going_on and bool(self._parts))

    def facts(self) -> TakeFacts:
        """How it stands."""
        with self._state:
            parts = (*self._leaving, *self._parts.values())
            paths = (*self._before, *(path for part in parts for path in part.paths))
            return TakeFacts(self._kind, self.began, paths, self.going_on, self.finishing)

    def begin(self, callbacks: Callbacks) -> None:
        """Take frames from now on."""
        with self._state:  # it may break off at once
            self._handle = callbacks.add(self)

    def end(self) -> None:
        """Take no more frames, and complete the files; returns at once."""
        with self._state:
            if not self.going_on:
                return
            self.going_on = False
            if self._handle is not None:
                self._handle.remove()
            self._do(self._finish_all)  # in here, so that whoever sees that it has ended can wait for its files
        self._changed()

    # In the thread that advances the run ------------------------------------------------------------------------------------

    def on_predict_batch_end(self, predictor: Predictor) -> None:
        try:
            with self._writing:
                if not self.going_on:
                    return
                part = self._parts.get(predictor)
                if part is None:
                    part = _Part(self._kind, self._names)
                    with self._state:
                        self._parts[predictor] = part
                before = part.paths
                part.write(predictor)
            if part.paths != before:
                self._changed()
        except Exception as error:  # noqa: BLE001 - no recording is worth a run
            self._break_off(error)

    def on_source_change(self, predictor: Predictor) -> None:
        if predictor.change is not None and self._begins_again(predictor.change):
            return
        try:
            with self._writing:
                part = self._parts.get(predictor)
                if part is not None:
                    part.follow(predictor)
        except Exception as error:  # noqa: BLE001 - as above
            self._break_off(error)

    def on_predict_end(self, predictor: Predictor) -> None:
        # What comes next, another source say, does not wait for the files of this run.
        with self._writing, self._state:
            part = self._parts.pop(predictor, None)
            if part is not None:
                self._leaving += (part,)
                self._do(lambda: self._finish(predictor, part))  # in here, so that no file is completed of which nobody knows
        if part is not None:
            self._changed()

    def _break_off(self, error: Exception) -> None:
        self._tell(error)
        self.end()

    # In a thread of its own -------------------------------------------------------------------------------------------------

    def _finish_all(self) -> None:
        with self._writing, self._state:
            parts, self._parts = self._parts, {}
            self._leaving += tuple(parts.values())
            nothing = not self._before and not self._leaving
        for predictor, part in parts.items():
            self._finish(predictor, part)
        if nothing:
            self._note(Level.WARNING, f"No {TITLES[self._kind]} was saved, since no frame came meanwhile", "")
            self._changed()

    def _finish(self, predictor: Predictor, part: _Part) -> None:
        try:
            part.finish(predictor)
        except Exception as error:  # noqa: BLE001 - what was written stays, whatever it is
            self._tell(error)
            self.end()
        if part.paths:
            self._note(Level.INFO, *_saved(self._kind, part))
        with self._state:
            self._leaving = tuple(each for each in self._leaving if each is not part)
            self._before += part.paths
        self._changed()

    def _tell(self, error: Exception) -> None:
        said = one_line(error) if isinstance(error, FramehookError) else f"{type(error).__name__}: {one_line(error)}"
        self._note(Level.ERROR, f"Saving the {TITLES[self._kind]} ended: {said}. Put that right and begin it again", "")


# Parts ----------------------------------------------------------------------------------------------------------------------


def _check(kind: TakeKind, path: Path) -> None:
    if kind == "rows":
        row_format(path)
    elif path.suffix.lower() not in SUFFIXES:
        raise OptionError(f"'{path}' is no name for a video; pass a file that ends in {', '.join(SUFFIXES)}")
    if path.expanduser().is_dir():
        raise OptionError(f"'{path}' is a folder; pass the name of a file")


def _saved(kind: TakeKind, part: _Part) -> tuple[str, str]:
    """What was saved, in a line, and in more where it is several files."""
    paths = part.paths
    detail = "\n".join(map(str, paths)) if len(paths) > 1 else ""
    where = str(paths[0]) if len(paths) == 1 else f"{len(paths)} files in {paths[0].parent}"
    if kind == "rows":
        return f"Saved rows of {counted(part.frames, 'frame')} to {where}", detail
    size = sum(path.stat().st_size for path in paths if path.exists())
    missing = f"; {counted(part.dropped, 'frame')} were left out, since encoding did not keep up" if part.dropped else ""
    length = sum(_seconds(path) for path in paths)
    return f"Saved {duration(length)} of {TITLES[kind]} ({megabytes(size)}) to {where}{missing}", detail


def _seconds(path: Path) -> float:
    """How long a video lasts; 0 where it does not tell."""
    try:
        with av.open(f"file:{path}") as container:
            return (container.duration or 0) / av.time_base
    except (OSError, ValueError):
        return 0.0


def _make_folder(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordingError(f"the folder {file.parent} cannot be made: {error.strerror or error}") from error


def _now() -> str:
    return datetime.now().strftime(_STAMP)
