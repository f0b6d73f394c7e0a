"""Exports in a process of their own, so that the window goes on, and that whatever they need is given back at their end."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from framehook.app.session.child import Child, python_module
from framehook.export.options import ExportOptions
from framehook.export.partial import PartialFile
from framehook.inference.errors import ExportError, MissingDependencyError, one_line
from framehook.inference.load import CHECKPOINTS, DESCRIPTIONS

NEEDED: Final = ("onnx", "onnxslim")
NEEDED_BY_CHECKPOINTS: Final = ("torch", "onnxscript")
"""Packages without which nothing, and no PyTorch network, can be exported."""
CHILD: Final = "framehook.app.export_child"


@dataclass(frozen=True, slots=True)
class ExportState:
    """How an export stands.

    Attributes:
        stage: What is going on, for people.
        stages: All that went on so far, in order, and what does now; the end is none of them.
        fraction: How much is done, roughly, 0..1; None where that is not known yet.
        going_on: Whether it still goes on.
        path: The file once it is there.
        report: What came of it, as `ExportReport.as_dict` has it; empty before, and where it failed.
        lines: The same for people, a line each.
        error: What ended it, in a line, or None.
        detail: What the process printed last, where it failed.
        cancelled: Whether it was called off, and nothing was left.
    """

    stage: str = "starting"
    stages: tuple[str, ...] = ("starting",)
    fraction: float | None = None
    going_on: bool = True
    path: Path | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    error: str | None = None
    detail: str = ""
    cancelled: bool = False

    @property
    def rows(self) -> list[tuple[str, str]]:
        """What was made, compared and found, as (what, figures); an empty what is that of the row before."""
        rows = []
        for line in self.lines[1:]:
            if not line.startswith(" "):
                break  # what follows is how to run it
            what, _, figures = line[2:].partition("  ")
            rows.append((what, figures.strip()))
        return rows


class ExportJob:
    """One export, from its beginning to its end.

    The process is started, listened to and waited for on a thread, so that nothing here waits. If it dies, or is called off, no
    file is left but what was there before.

    Attributes:
        state: How it stands; a new object with every change.
    """

    def __init__(
        self,
        spec: str | Path | None,
        options: Mapping[str, Any],
        changed: Callable[[], None],
        *,
        device: str | None = None,
        decoder: str | None = None,
        architecture: str | None = None,
    ) -> None:
        """Begin.

        Args:
            spec: What to export, as `Model` takes it: a file, a name, or None for the bundled detector.
            options: See `ExportOptions`.
            changed: Called, from the thread, whenever `state` has changed.
            device: What to run the source on; see `Model`.
            decoder: How its outputs are laid out; see `Model`.
            architecture: Name of the network of a checkpoint of weights alone; see `Model`.

        Raises:
            UnknownOptionError, OptionError: an option is wrong, or two exclude each other.
            MissingDependencyError: a package is not installed.
        """
        ExportOptions.build(options)
        check_installed(spec)
        self.state = ExportState()
        self._changed = changed
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._cancelled = False
        self._target: Path | None = None
        self._wanted = {
            "spec": None if spec is None else str(spec),
            "source": {"device": device, "decoder": decoder, "architecture": architecture},
            "options": dict(options),
        }
        self._thread = threading.Thread(target=self._work, name="framehook-export", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The number of its process; None before it is started."""
        return None if self._child is None else self._child.pid

    def cancel(self) -> None:
        """Call it off; returns at once. An export that is complete stays."""
        with self._lock:
            self._cancelled = True
            if self._child is not None:
                self._child.terminate()

    def close(self, timeout: float | None = None) -> bool:
        """Call it off if it still goes on, and wait until its process is gone.

        Args:
            timeout: Seconds to wait at most; None for as long as it takes.

        Returns:
            Whether it is gone.
        """
        self.cancel()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # On the thread ----------------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            child = self._started()
        except (OSError, ValueError) as error:
            self._end(error=f"the export cannot be started: {one_line(error)}")
            return
        if child is None:
            self._end(cancelled=True)
            return
        said: dict[str, Any] = {}
        for each in child.said():
            said = self._heard(each) or said
        code, detail = child.end()
        if "report" in said:
            report = said["report"]
            self._end(stage="done", fraction=1.0, path=Path(report["path"]), report=report, lines=tuple(said["lines"]))
            return
        self._clean()
        if self._cancelled:
            self._end(cancelled=True)
        else:
            self._end(error=said.get("error") or _how_it_died(code), detail=detail)

    def _started(self) -> Child | None:
        with self._lock:
            if self._cancelled:
                return None
            self._child = Child(python_module(CHILD))
            self._child.tell(self._wanted)
            return self._child

    def _heard(self, said: dict[str, Any]) -> dict[str, Any] | None:
        """Take in what the process said; returns it where it is the last word."""
        if "target" in said:
            self._target = Path(said["target"])
        elif "stage" in said:
            stage, before = said["stage"], self.state.stages
            stages = before if stage == before[-1] else (*before, stage)
            self._change(stage=stage, stages=stages, fraction=said.get("fraction"))
        else:
            return said
        return None

    def _clean(self) -> None:
        """Remove the unfinished file of a process that was killed; that of another export, which is being written, stays."""
        if self._target is not None:
            with contextlib.suppress(ExportError), PartialFile(self._target):
                pass  # which removes what was left before

    def _end(self, **changes: Any) -> None:
        self._change(going_on=False, **changes)

    def _change(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)
        self._changed()


def check_installed(spec: str | Path | None) -> None:
    """Tell what is missing before anything is begun; imports nothing.

    Raises:
        MissingDependencyError: a package is not installed that exports of such a model need.
    """
    of_torch = spec is not None and Path(spec).suffix.lower() in (*CHECKPOINTS, *DESCRIPTIONS)
    for extra, packages in (("export", NEEDED), ("torch", NEEDED_BY_CHECKPOINTS if of_torch else ())):
        missing = [name for name in packages if find_spec(name) is None]
        if missing:
            what = "exports of checkpoints need" if extra == "torch" else "exports need"
            raise MissingDependencyError(
                f"{what} {' and '.join(missing)}, which {'are' if len(missing) > 1 else 'is'} not installed; "
                f"install with: pip install 'framehook[{extra}]'"
            )


def _how_it_died(code: int) -> str:
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        if name == "SIGKILL":
            return "the export was killed from outside, most likely for want of memory; close other programs, or choose less"
        return f"the export died of {name}, in a library most likely; try it without simplifying, or with another opset"
    return f"the export ended with code {code} and said nothing; what it printed is in the log"
