"""The process in which the app exports a model, so that the window goes on whatever becomes of it.

It is told what to do by a line of JSON on standard input, and tells how it goes by lines of JSON on standard output: where the
file is to be, the stages, and the report or the error. It ends when its standard input does, since then the app is gone.
"""

from __future__ import annotations

import _thread
import contextlib
import json
import os
import sys
import threading
from typing import IO, Any, Final

GRACE: Final = 5.0
"""Seconds in which an export gets out of whatever it is doing when the app is gone, and takes its unfinished file away."""
_POLITE: Final = 5
"""By how much it lets others go first: what plays in the window, above all."""


def main() -> int:
    """Export as standard input says."""
    out = _own_output()
    wanted: dict[str, Any] = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(_POLITE)
    try:
        _export(wanted, out)
    except KeyboardInterrupt:  # the app is gone
        return 1
    return 0


def _export(wanted: dict[str, Any], out: IO[bytes]) -> None:
    try:
        from framehook.app.exporting import SAID
        from framehook.export.exporter import Exporter
        from framehook.export.progress import Stage
        from framehook.inference.errors import FramehookError, one_line
    except ImportError as error:
        _say(out, error=f"exports cannot be loaded: {error}; install what they need with: pip install 'framehook[export]'")
        return

    def tell(exporter: Exporter) -> None:
        _say(out, stage=SAID[Stage(exporter.stage)], fraction=exporter.fraction)

    try:
        _say(out, stage="loading the model")
        exporter = Exporter(wanted["spec"], **wanted["source"], **wanted["options"])
        _say(out, target=str(exporter.target))
        exporter.callbacks.add("on_export_progress", tell)
        exporter.run()
    except FramehookError as error:
        _say(out, error=one_line(error))
    except MemoryError:
        _say(out, error="there is not enough memory; close other programs, or choose a smaller size or batch")
    except Exception as error:  # whatever it is, it is to be told in the window
        _say(out, error=f"unexpected {type(error).__name__}: {one_line(error)[:300]}")
        raise
    else:
        assert exporter.report is not None  # it ran
        _say(out, report=exporter.report.as_dict(), lines=exporter.report.lines())


def _own_output() -> IO[bytes]:
    """Standard output for what is said here alone: what libraries print goes where errors go."""
    own = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return own


def _say(out: IO[bytes], **said: Any) -> None:
    line = memoryview(json.dumps(said, default=str).encode() + b"\n")
    while line:
        line = line[out.write(line) or 0 :]


def _end_with_parent() -> None:
    while os.read(0, 1_000):  # not `sys.stdin`, whose lock must be free when the interpreter ends
        pass
    _thread.interrupt_main()
    threading.Event().wait(GRACE)
    os._exit(1)  # it hangs in a library


if __name__ == "__main__":
    sys.exit(main())
