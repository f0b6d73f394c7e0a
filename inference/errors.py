"""Every error Framehook raises on purpose, in one tree.

All of them derive from `FramehookError` and, where one fits, from the builtin a Python programmer would expect, so that
`except FileNotFoundError` works as well as `except SourceError`. A message is one line: the offending value, what was expected,
and what to do about it. `wrong_use` tells errors of the caller (a typing mistake, a missing file; the command line exits 2)
from failures of the run (a camera that went away; it exits 1).

    FramehookError
    ├── UsageError                  the call itself is wrong
    │   ├── OptionError             ValueError   a value an option cannot take
    │   ├── UnknownOptionError      TypeError    an option that does not exist
    │   ├── UnknownEventError       ValueError
    │   ├── CallbackSignatureError  TypeError
    │   ├── CallbackFileError       ImportError  a user's file of callbacks that cannot be loaded
    │   ├── RunError                RuntimeError a run advanced by its own callback
    │   └── EndlessSourceError      ValueError   a list was asked of a stream that never ends
    ├── SourceError                 OSError
    │   ├── SourceNotFoundError     FileNotFoundError
    │   ├── SourceFormatError       ValueError   found, but not what its name says
    │   ├── SourceUnavailableError  ConnectionError  a camera or server that does not answer
    │   └── SeekError               io.UnsupportedOperation
    ├── FrameError                  ValueError   an array that is no picture
    │   └── ReadOnlyFrameError
    ├── ModelError
    │   ├── ModelNotFoundError      FileNotFoundError
    │   ├── ModelFormatError        ValueError   a file that is no model
    │   │   └── UnsafeModelError    a checkpoint that wants something imported or called
    │   ├── ExportError             RuntimeError an export failed
    │   │   └── ParityError         the exported model differs from its source
    │   ├── DownloadError           OSError      a model could not be fetched, or is not what was announced
    │   ├── UnknownLayoutError      ValueError   outputs that no decoder recognises
    │   └── InferenceError          RuntimeError
    ├── CallbackError               RuntimeError a callback raised
    ├── RecordingError              OSError
    ├── DatasetError                ValueError   a dataset that cannot be read, or be used as it is
    ├── TrainingError               RuntimeError a training that cannot begin or go on
    └── MissingDependencyError      ImportError
"""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterable
from pathlib import PurePath
from typing import ClassVar


class FramehookError(Exception):
    """Root of the tree; catches everything Framehook raises on purpose."""

    wrong_use: ClassVar[bool] = False


class UsageError(FramehookError):
    """The call is wrong; running it again unchanged cannot succeed."""

    wrong_use = True


class OptionError(UsageError, ValueError):
    """An option was given a value it cannot take."""


class UnknownOptionError(UsageError, TypeError):
    """An option that does not exist."""


class UnknownEventError(UsageError, ValueError):
    """An event that no engine fires."""


class CallbackSignatureError(UsageError, TypeError):
    """A callback that cannot be called with one positional argument, the engine."""


class CallbackFileError(UsageError, ImportError):
    """A user's file of callbacks that cannot be loaded."""


class RunError(UsageError, RuntimeError):
    """A run was advanced in a way it cannot be."""


class EndlessSourceError(UsageError, ValueError):
    """A list of all results was asked of a source that never ends."""


class SourceError(FramehookError, OSError):
    """A source cannot be opened or read."""


class SourceNotFoundError(SourceError, FileNotFoundError):
    """No such file, directory or match."""

    wrong_use = True


class SourceFormatError(SourceError, ValueError):
    """The source exists but is not a readable video or image."""


class SourceUnavailableError(SourceError, ConnectionError):
    """A camera or server that does not answer."""


class SeekError(SourceError, io.UnsupportedOperation):
    """The source cannot be moved to another position."""

    wrong_use = True


class FrameError(FramehookError, ValueError):
    """An array that is not a picture."""


class ReadOnlyFrameError(FrameError):
    """A captured frame was written to; draw on `result.canvas` instead."""


class ModelError(FramehookError):
    """A model cannot be loaded or run."""


class ModelNotFoundError(ModelError, FileNotFoundError):
    """No such model file or name."""

    wrong_use = True


class ModelFormatError(ModelError, ValueError):
    """The file is damaged or is not a model."""


class UnsafeModelError(ModelFormatError):
    """A checkpoint asks for something to be imported or called that a model does not need; nothing of it was run."""


class ExportError(ModelError, RuntimeError):
    """A model cannot be exported as it was asked for."""


class ParityError(ExportError):
    """The exported model does not do what its source does; no file was left."""


class DownloadError(ModelError, OSError):
    """A model file could not be fetched, or is not the one that was announced."""


class UnknownLayoutError(ModelError, ValueError):
    """No decoder recognises the outputs of the network."""

    wrong_use = True


class InferenceError(ModelError, RuntimeError):
    """The network failed on an input."""


class CallbackError(FramehookError, RuntimeError):
    """A callback raised; the original exception is chained as `__cause__`.

    Attributes:
        event: Name of the event that was being fired.
        callback: Name of the callback that raised.
    """

    def __init__(self, message: str, *, event: str, callback: str) -> None:
        super().__init__(message)
        self.event = event
        self.callback = callback


class RecordingError(FramehookError, OSError):
    """A recording cannot be opened, written or finished."""


class DatasetError(FramehookError, ValueError):
    """A dataset that cannot be read, or cannot be used as it is."""

    wrong_use = True


class TrainingError(FramehookError, RuntimeError):
    """A training that cannot begin or go on."""


class MissingDependencyError(FramehookError, ImportError):
    """An optional package or a system library is not installed."""

    wrong_use = True


def one_line(message: object) -> str:
    """The text of an error or message, without line breaks."""
    return " ".join(str(message).split())


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the nearest known word, or an empty string when none is near."""
    near = _nearest(word, list(known))
    return f" Did you mean '{near}'?" if near else ""


def did_you_mean_file(name: str, known: Iterable[str]) -> str:
    """As `did_you_mean`, for file names: their endings make no two of them alike."""
    wanted = PurePath(name)
    # Of two files that differ in their endings alone, the one with the wanted ending comes last, and stays.
    alike = sorted(known, key=lambda each: (PurePath(each).suffix.lower() == wanted.suffix.lower(), each))
    stems = {PurePath(each).stem.lower(): each for each in alike}
    near = _nearest(wanted.stem.lower(), list(stems))
    return f" Did you mean '{stems[near]}'?" if near else ""


def _nearest(word: str, known: list[str]) -> str | None:
    """The known word that looks most like `word`, else one of which `word` is a longer or shorter form."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.65)
    if not near and len(word) >= 3:
        near = [each for each in known if len(each) >= 3 and (each.startswith(word) or word.startswith(each))]
    return near[0] if near else None
