"""A process of our own for work that may take hours, or die: it is told what to do, and tells how it goes, by lines of JSON."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Final

_KEPT: Final = 8_000
"""Bytes of what the process printed last that are kept."""
_PATIENCE: Final = 1.0


def python_module(name: str) -> list[str]:
    """The command that runs a module with this Python, which does not import what lies about in the working directory."""
    return [sys.executable, "-P", "-m", name]


class Child:
    """A process that is spoken with. It ends when its standard input does, since then the app is gone."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start it.

        Raises:
            OSError, ValueError: it cannot be started.
        """
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._writing = threading.Lock()
        self._printed: deque[bytes] = deque(maxlen=_KEPT // 1_000)
        # Read all the time, so that the process never waits for a reader.
        self._reader = threading.Thread(target=self._read_errors, name="framehook-child-errors", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def tell(self, line: object) -> None:
        """Tell it something; nothing happens where it is gone already, which shows elsewhere."""
        assert self._process.stdin is not None
        with self._writing, contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(line, default=str).encode() + b"\n")
            self._process.stdin.flush()

    def leave(self) -> None:
        """Close its standard input, upon which it ends as soon as it can."""
        assert self._process.stdin is not None
        with self._writing, contextlib.suppress(OSError):
            self._process.stdin.close()

    def terminate(self) -> None:
        """Kill it; what it was writing is left as it is."""
        self._process.terminate()

    def said(self) -> Iterator[dict[str, Any]]:
        """What it says, until it has said all."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                if isinstance(said, dict):
                    yield said

    def end(self) -> tuple[int, str]:
        """Wait until it is gone; its exit code, and what it printed last."""
        code = self._process.wait()
        self.leave()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._reader.join(_PATIENCE)  # a process of its own that it left behind may hold the other end
        return code, b"".join(self._printed).decode(errors="replace").strip()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as errors:  # closed here, however late it is read to its end
            while piece := errors.read(1_000):
                self._printed.append(piece)
