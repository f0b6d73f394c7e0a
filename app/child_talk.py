"""How a process that the app started speaks with it: lines of JSON, on pipes that no library prints into."""

from __future__ import annotations

import _thread
import contextlib
import json
import os
import signal
import threading
from collections.abc import Callable
from typing import Any, Final

GRACE: Final = 5.0
"""Seconds in which the process gets out of whatever it is doing when the app is gone."""
_POLITE: Final = 5
"""By how much it lets others go first: what plays in the window, above all."""


class Talk:
    """The other end of `framehook.app.session.child.Child`.

    Attributes:
        wanted: What the process was told to do.
        gone: Whether the app is gone, or wants this to end at once.
    """

    def __init__(self) -> None:
        """Take over standard input and output, and hear what is wanted."""
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)  # what libraries print goes where errors go
        # Not `sys.stdin`: it reads ahead, and its lock must be free when the interpreter ends.
        self._in = open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115 - as long as the process lives
        self._saying = threading.Lock()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # an app that was started in the background ignores it
        self.gone = False
        self.wanted: dict[str, Any] = json.loads(self._in.readline())

    def say(self, **said: Any) -> None:
        """Say something, from any thread; an app that is gone does not hear it."""
        line = memoryview(json.dumps(said, default=str).encode() + b"\n")
        with self._saying, contextlib.suppress(OSError):
            while line:
                line = line[self._out.write(line) or 0 :]

    def listen(self, heard: Callable[[Any], None] | None = None) -> None:
        """Have each further line handed to `heard`, on a thread; when they end, so does the process, with an interrupt."""
        threading.Thread(target=self._listen, args=(heard,), name="framehook-talk", daemon=True).start()

    def _listen(self, heard: Callable[[Any], None] | None) -> None:
        for line in self._in:
            with contextlib.suppress(ValueError):
                if heard is not None:
                    heard(json.loads(line))
        self.gone = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for printed in (1, 2):  # to print would fail, and keep what is to be finished from being so
            os.dup2(nowhere, printed)
        interrupt_main()
        threading.Event().wait(GRACE)
        os._exit(1)  # it hangs in a library


def interrupt_main() -> None:
    """Raise `KeyboardInterrupt` in the main thread, also where it waits for something."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()  # which does not end a wait


def let_others_go_first() -> None:
    """Take what the machine has to spare."""
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(_POLITE)
