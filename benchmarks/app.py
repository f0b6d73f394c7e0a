"""The desktop app under load: whether its window stays quick, what it leaves behind, how soon it is there.

    python benchmarks/app.py [--model FILE.onnx] [--clip vtest.avi] [--json FILE] [NAME ...]

The real window, with all of its panels, on a virtual X display that this starts (Xvfb), or on $DISPLAY where that is set, or
without a screen (Qt's `offscreen`) where there is neither; it says which. The scene is a clip with people in it, enlarged to
1920 x 1080 at 30 frames per second, in a view of 1920 x 1080. The scenarios, all of them unless some are named, each in a
process of its own:

- live: `--seconds` of the scene as a camera would send it: lateness of a 10 ms timer in the thread of the window, beside the
  same timer in a process that does nothing else; the time of painting a picture; the time from capture to paint. Two such
  spells: the view as large as the scene; and somewhat smaller, so that pictures must be scaled, with the panels of objects and
  performance on top for half of the time each.
- long: 18,000 frames, which is ten minutes, as fast as they can be computed (`--frames`): memory.
- slow: `--seconds` of the scene with 200 ms added to each painting: latency and skipped frames as the app tells them, memory,
  lag.
- switches: 1,000 changes of source, stops and starts (`--switches`): threads, file handles and memory.
- start: `python -m framehook.app CLIP`, from the start of the process to the window and to the first picture with boxes and
  ids.

Lateness: a timer that is due every 10 ms and comes after 60 ms was late by 50 ms, and those that it swallowed by 40, 30, 20 and
10 ms: long halts are not counted once. All of it depends on what else the machine does, which the idle process and the load
that is printed tell. A window that nobody looks at renders nothing, so a display must not be locked.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from PyQt6.QtCore import QCoreApplication, QEvent, QEventLoop, Qt, QTimer

from framehook.app.gui.launch import application
from framehook.app.gui.settings_store import Settings, Store
from framehook.app.gui.theme import apply_theme
from framehook.app.gui.window import MainWindow
from framehook.app.qt_environment import clear_misleading_paths
from framehook.app.session.picture import Picture
from framehook.app.session.state import Level, Phase
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.sources import Source, open_source
from framehook.inference.sources.base import unique_id
from framehook.inference.sources.demo import find_demo_clip
from framehook.model import Model

SIZE = (1920, 1080)
SCALED = (1880, 1058)
FPS = 30.0
BEAT_MS = 10
SLOW_S = 0.2
WARM_UP_S = 10.0
KEPT = 120
"""Pictures of the clip that are held, in their own size, and shown to and fro."""


@dataclass(slots=True)
class Row:
    """A line of the outcome: what was measured, beside what was promised."""

    scenario: str
    what: str
    bar: str
    measured: str
    met: bool | None = None
    values: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        verdict = {True: "met", False: "MISSED", None: ""}[self.met]
        return f"{self.scenario:9} {verdict:7} {self.what}; bar: {self.bar or 'none'}\n{'':17} {self.measured}"


@dataclass(slots=True)
class Wanted:
    """What the scenarios are told."""

    model: str | None
    clip: Path | None
    seconds: float
    frames: int
    switches: int


class Scene(Source):
    """People in 1080p at 30 frames per second: live by the clock, or as fast as it is read."""

    def __init__(self, clip: Path | None, *, live: bool, frames: int | None = None) -> None:
        self.info = SourceInfo(
            id=unique_id("scene"),
            name="scene",
            path="scene",
            kind=SourceKind.TEST,
            live=live,
            size=SIZE,
            fps=FPS,
            frame_count=frames,
        )
        self.endless = frames is None
        self._left = frames
        pictures: list[np.ndarray[Any, Any]] = []
        with open_source("testsrc:640x360@30" if clip is None else clip) as source:
            for frame in source:
                pictures.append(np.array(frame.image))
                if len(pictures) == KEPT:
                    break
        self._pictures = cycle(pictures + pictures[-2:0:-1])  # to and fro: nobody jumps
        self._stopped = threading.Event()
        self._index = 0
        self._due = 0.0

    def read(self) -> Frame | None:
        """The next picture, when it is due."""
        if self._stopped.is_set() or self._left == self._index:
            return None
        if self.info.live:
            now = time.monotonic()
            if self._due == 0.0 or now - self._due > 1 / FPS:
                self._due = now
            if self._stopped.wait(max(self._due - now, 0.0)):
                return None
            self._due += 1 / FPS
        captured_at = time.monotonic()
        picture = cv2.resize(next(self._pictures), SIZE, interpolation=cv2.INTER_LINEAR)
        self._index += 1
        return Frame.of(picture, index=self._index - 1, source=self.info, pts=(self._index - 1) / FPS, captured_at=captured_at)

    def interrupt(self) -> None:
        """End a `read`."""
        self._stopped.set()

    def close(self) -> None:
        """Nothing is held."""
        self._stopped.set()


class Heartbeat:
    """A timer in this thread that keeps how late it was: one value in ms for each time it was due."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self._last = 0.0
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(BEAT_MS)
        self._timer.timeout.connect(self._beat)

    def start(self) -> None:
        """Begin anew."""
        self.late = []
        self._last = time.perf_counter()
        self._timer.start()

    def stop(self) -> None:
        """End."""
        self._timer.stop()

    def _beat(self) -> None:
        now = time.perf_counter()
        late = (now - self._last) * 1e3 - BEAT_MS
        self._last = now
        while True:
            self.late.append(max(late, 0.0))
            late -= BEAT_MS
            if late <= 0:
                break


class Control:
    """The same timer in a process that does nothing else, at the same time."""

    def __init__(self, seconds: float) -> None:
        command = [sys.executable, __file__, "--control", str(seconds)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def late(self) -> list[float]:
        """How late it was, once it is over."""
        told, _ = self._process.communicate()
        return list(json.loads(told))


class Shown:
    """Every first painting of a result, as the renderer is told of it."""

    def __init__(self, window: MainWindow) -> None:
        self.latencies: list[float] = []
        self.paintings: list[float] = []
        self._last: Any = None
        renderer = window.bridge.session.renderer
        told = renderer.painted

        def painted(picture: Picture, paint_ms: float) -> None:
            now = time.monotonic()
            told(picture, paint_ms)
            if picture.result is not self._last:
                self._last = picture.result
                self.latencies.append((now - picture.result.frame.captured_at) * 1e3)
                self.paintings.append(paint_ms)

        renderer.painted = painted  # type: ignore[method-assign]  # the one place through which all of them go

    def clear(self) -> None:
        """Forget what was so far."""
        self.latencies, self.paintings = [], []


class Bench:
    """The window, and the time that passes in it."""

    def __init__(self, folder: Path, wanted: Wanted) -> None:
        clear_misleading_paths()
        self.app = application()
        apply_theme(self.app, "light")
        store = Store(folder / "settings.ini")
        store.save(Settings(save_dir=folder / "saved"))
        self.window = Window(store, model=Model(wanted.model), options=store.settings().options())
        self.session = self.window.bridge.session
        self.notes: list[str] = []
        self.window.bridge.noted.connect(lambda note: self.notes.append(note.text) if note.level is not Level.INFO else None)
        self.shown = Shown(self.window)
        self.window.show()

    def enlarge(self, size: tuple[int, int] = SIZE) -> None:
        """Give the view a size: that of the scene, or another."""
        for _ in range(5):
            self.spin(0.2)
            view = self.window.grid.current_view
            assert view is not None
            width, height = view.device_size
            if (width, height) == size:
                return
            self.window.resize(self.window.width() + size[0] - width, self.window.height() + size[1] - height)

    def spin(self, seconds: float) -> None:
        """Let time pass."""
        loop = QEventLoop()
        QTimer.singleShot(round(seconds * 1000), Qt.TimerType.PreciseTimer, loop.quit)
        loop.exec()

    def until(self, what: Callable[[], Any], seconds: float = 60.0) -> None:
        """Let time pass until something is so."""
        loop = QEventLoop()
        timer = QTimer()
        deadline = time.monotonic() + seconds
        timer.timeout.connect(lambda: loop.quit() if what() or time.monotonic() > deadline else None)
        timer.start(2)
        if not what():
            loop.exec()
        if not what():
            raise TimeoutError(f"in vain: {self.session.state.phase}, {self.notes}")

    def play(self, source: Source | str | Path) -> None:
        """Open a source, and wait for its first picture."""
        run = self.session.state.run
        before = len(self.shown.latencies)
        self.session.open(source)
        self.until(lambda: self.session.state.run > run and len(self.shown.latencies) > before)

    def close(self) -> None:
        """End it all."""
        self.window.close()
        self.window.deleteLater()
        self.app.sendPostedEvents(None, QEvent.Type.DeferredDelete)


class Window(MainWindow):
    """The window, with the time of each of its repaints, the way to the display included."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.repaints: list[float] = []
        super().__init__(*args, **options)

    def event(self, event: QEvent | None) -> bool:
        """Measure those that bring everything that has changed to the display."""
        if event is None or event.type() is not QEvent.Type.UpdateRequest:
            return bool(super().event(event))
        began = time.perf_counter()
        done = super().event(event)
        self.repaints.append((time.perf_counter() - began) * 1e3)
        return bool(done)


def resident_megabytes() -> float:
    """Memory this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def handles() -> int:
    """File handles this process holds now."""
    return len(os.listdir("/proc/self/fd"))


def foreign_seconds() -> float:
    """Seconds of processor time that everything else on this machine has used so far; the X server is among it."""
    ticks = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK") - time.process_time()


def threads() -> int:
    """Threads of this process, those of libraries included."""
    return len(os.listdir("/proc/self/task"))


def spread(values: Sequence[float]) -> dict[str, float]:
    """Percentiles for people."""
    p50, p95, p99, p999 = (float(each) for each in np.percentile(values, (50, 95, 99, 99.9)))
    return {
        "p50": round(p50, 2),
        "p95": round(p95, 2),
        "p99": round(p99, 2),
        "p99.9": round(p999, 2),
        "max": round(max(values), 2),
    }


def in_words(values: dict[str, float]) -> str:
    """Percentiles in a line."""
    return ", ".join(f"{name} {value:.1f}" for name, value in values.items()) + " ms"


def live(bench: Bench, wanted: Wanted) -> Iterator[Row]:
    """The window stays quick, and shows frames soon."""
    bench.play(Scene(wanted.clip, live=True))
    for size, panels in ((SIZE, ("Callbacks",)), (SCALED, ("Objects", "Performance"))):
        for panel in panels:
            bench.window.docks.panel(panel).raise_()
            bench.enlarge(size)
        bench.spin(WARM_UP_S)
        # Two panels of one corner hide each other: half of the time belongs to each.
        control, beat = Control(wanted.seconds), Heartbeat()
        bench.spin(1.0)
        bench.shown.clear()
        bench.window.repaints.clear()
        before, foreign = bench.session.figures(), foreign_seconds()
        beat.start()
        for panel in panels:
            bench.window.docks.panel(panel).raise_()
            bench.spin(wanted.seconds / len(panels))
        beat.stop()
        after, foreign = bench.session.figures(), (foreign_seconds() - foreign) / wanted.seconds
        how = f"{size[0]} x {size[1]}, {' and '.join(panels).lower()}"
        yield from _quick(how, beat.late, control.late(), foreign)
        yield from _soon(bench, before, after, wanted.seconds)
    bench.session.stop()


def _quick(how: str, late: list[float], idle: list[float], foreign: float) -> Iterator[Row]:
    ours, theirs = spread(late), spread(idle)
    yield Row(
        "live",
        f"10 ms timer ({how})",
        "p99.9 late by <= 50 ms",
        f"{in_words(ours)}; idle process: {in_words(theirs)}; {foreign:.1f} cores busy with other things",
        ours["p99.9"] <= 50,
        {"window": ours, "idle": theirs, "beats": len(late), "foreign": foreign},
    )


def _soon(bench: Bench, before: Any, after: Any, seconds: float) -> Iterator[Row]:
    paint, latency, repaint = (spread(each) for each in (bench.shown.paintings, bench.shown.latencies, bench.window.repaints))
    yield Row("live", "painting a picture", "median <= 3 ms", in_words(paint), paint["p50"] <= 3, {"paint": paint})
    yield Row("live", "a repaint of the window, with its way out", "", in_words(repaint), None, {"repaint": repaint})
    network = after.stats.speed["inference"]
    over = latency["p95"] - network
    rate = (after.painting.shown - before.painting.shown) / seconds
    delivered = (after.stats.frames - before.stats.frames) / seconds
    yield Row(
        "live",
        "capture to paint, p95 less inference",
        "<= 40 ms",
        f"{over:.1f} ms = {latency['p95']:.1f} - {network:.1f}; {in_words(latency)}; {delivered:.1f} delivered and {rate:.1f} "
        f"painted a second; stages {', '.join(f'{name} {each:.1f}' for name, each in after.stats.speed.items())}",
        over <= 40,
        {"over": over, "latency": latency, "speed": dict(after.stats.speed), "delivered": delivered, "painted": rate},
    )


def long(bench: Bench, wanted: Wanted) -> Iterator[Row]:
    """Memory stays where it is."""
    bench.session.update(pace="max")
    bench.play(Scene(wanted.clip, live=False, frames=wanted.frames + 600))
    bench.enlarge()
    samples: list[tuple[int, float]] = []

    def sample() -> None:
        stats = bench.session.figures().stats
        if stats is not None and stats.frames >= 600:
            samples.append((stats.frames, resident_megabytes()))

    timer = QTimer()
    timer.timeout.connect(sample)
    timer.start(500)
    began = time.monotonic()
    bench.until(lambda: bench.window.bridge.state.phase in (Phase.ENDED, Phase.FAILED), 3600)
    timer.stop()
    took = time.monotonic() - began
    memory = [each for _, each in samples]
    part = max(len(memory) // 10, 1)
    growth = statistics.median(memory[-part:]) - statistics.median(memory[:part])
    most = max(memory) - statistics.median(memory[:part])
    painting = bench.session.figures().painting
    yield Row(
        "long",
        f"memory over {samples[-1][0] - samples[0][0]} frames",
        "grows by <= 50 MB",
        f"{growth:+.1f} MB from first to last tenth, {most:+.1f} MB at most (from {memory[0]:.0f} MB); "
        f"{wanted.frames / took:.0f} frames/s; {painting.shown} shown, {painting.skipped} skipped",
        most <= 50,
        {"growth": growth, "most": most, "samples": samples[:: max(len(samples) // 60, 1)]},
    )


def slow(bench: Bench, wanted: Wanted) -> Iterator[Row]:
    """A window that paints slowly tells so, and nothing piles up."""
    bench.play(Scene(wanted.clip, live=True))
    bench.enlarge()
    bench.spin(WARM_UP_S)
    quick = bench.session.figures().painting
    view = bench.window.grid.current_view
    assert view is not None
    paint_over = view.paint_over

    def slowly(*args: Any) -> None:
        time.sleep(SLOW_S)
        paint_over(*args)

    view.paint_over = slowly  # type: ignore[method-assign]  # in the middle of `paintEvent`
    bench.spin(5.0)
    bench.shown.clear()
    before, memory = bench.session.figures(), [resident_megabytes()]
    for _ in range(20):
        bench.spin(wanted.seconds / 20)
        memory.append(resident_megabytes())
    after = bench.session.figures()
    shown, skipped = after.painting.shown - before.painting.shown, after.painting.skipped - before.painting.skipped
    delivered = after.stats.frames - before.stats.frames  # type: ignore[union-attr]  # a run is under way
    third = max(len(bench.shown.latencies) // 3, 1)
    first, last = (statistics.median(part) for part in (bench.shown.latencies[:third], bench.shown.latencies[-third:]))
    told = after.painting.latency
    assert quick.latency is not None
    assert told is not None
    measured = float(np.percentile(bench.shown.latencies, 50))
    bench.session.stop()
    bench.until(lambda: bench.window.bridge.state.phase is Phase.ENDED)
    bench.spin(2.0)
    end = bench.session.figures()
    rest = end.stats.frames - end.painting.shown - end.painting.skipped  # type: ignore[union-attr]
    yield Row(
        "slow",
        "latency that is told",
        "rises by >= 200 ms",
        f"p50 {quick.latency.p50:.0f} -> {told.p50:.0f} ms (measured {measured:.0f})",
        told.p50 - quick.latency.p50 >= 0.9e3 * SLOW_S and abs(told.p50 - measured) < 50,
        {"before": asdict(quick.latency), "after": asdict(told), "measured": measured},
    )
    yield Row(
        "slow",
        "frames that are counted",
        "shown + skipped = delivered",
        f"{shown} shown + {skipped} skipped of {delivered} delivered meanwhile; at the end {end.painting.shown} + "
        f"{end.painting.skipped} of {end.stats.frames}, {rest} missing",  # type: ignore[union-attr]
        rest == 0 and skipped > 2 * shown,
        {"shown": shown, "skipped": skipped, "delivered": delivered, "missing": rest},
    )
    yield Row(
        "slow",
        f"memory and lag over {wanted.seconds:.0f} s",
        "do not grow",
        f"{memory[-1] - memory[0]:+.1f} MB; latency {first:.0f} ms in the first third, {last:.0f} ms in the last",
        memory[-1] - memory[0] <= 20 and last - first <= 50,
        {"memory": memory, "first": first, "last": last},
    )


def switches(bench: Bench, wanted: Wanted) -> Iterator[Row]:
    """Nothing is left behind."""
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        write_clip(clip)
        bench.session.set_loop(True)
        figures: list[tuple[int, int, float]] = []
        kinds = cycle(("testsrc:320x240@30:live", clip, "stop", "testsrc:320x240@30:600", "two", "stop", clip))
        warm_up = max(wanted.switches // 10, 50)
        began = 0.0
        for number in range(warm_up + wanted.switches + 1):
            if number == warm_up:
                began = time.monotonic()
            if number >= warm_up and (number - warm_up) % max(wanted.switches // 10, 1) == 0:
                bench.session.stop()
                bench.until(lambda: bench.window.bridge.state.phase is Phase.ENDED)
                bench.spin(0.3)
                gc.collect()
                figures.append((threads(), handles(), resident_megabytes()))
            kind = next(kinds)
            if kind == "stop":
                bench.session.stop()
                bench.until(lambda: bench.session.state.phase is Phase.ENDED)
                run, before = bench.session.state.run, len(bench.shown.latencies)
                bench.session.play()
                bench.until(lambda r=run, b=before: bench.session.state.run > r and len(bench.shown.latencies) > b)  # type: ignore[misc]
            elif kind == "two":
                bench.session.open("testsrc:320x240@30:live", add=True)
                bench.until(lambda: len(bench.session.state.slots) == 2)
            else:
                bench.play(kind)
            bench.shown.clear()
        took = time.monotonic() - began
    first, last = figures[0], figures[-1]
    grown = last[2] - first[2]
    yield Row(
        "switches",
        f"after {wanted.switches} switches, stops, starts",
        "nothing is left",
        f"threads {first[0]} -> {last[0]}, file handles {first[1]} -> {last[1]}, "
        f"memory {grown:+.1f} MB (from {first[2]:.0f} MB); {took / wanted.switches * 1e3:.0f} ms each",
        last[0] <= first[0] and last[1] <= first[1] and grown <= 20,
        {"figures": figures},
    )


def write_clip(path: Path) -> None:
    """Two seconds of the test scene."""
    with av.open(str(path), "w") as container, open_source("testsrc:320x240@30:60") as frames:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height = 320, 240
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.array(frame.image), format="bgr24")))
        container.mux(stream.encode())


START = """
import json, runpy, sys, time
from PyQt6.QtCore import QTimer
from framehook.app.gui import window
from framehook.app.session.renderer import Renderer
told, opened, painted = {}, window.MainWindow.showEvent, Renderer.painted
def tell(name):
    if name not in told:
        told[name] = time.monotonic()
def show(self, event):
    opened(self, event)
    QTimer.singleShot(0, lambda: tell("window"))
    global shown
    shown = self
def paint(self, picture, paint_ms):
    painted(self, picture, paint_ms)
    tell("picture")
    boxes = picture.result.boxes
    if len(boxes) and boxes.id is not None and (boxes.id >= 0).any() and "ids" not in told:
        tell("ids")
        print(json.dumps(told), flush=True)
        QTimer.singleShot(0, shown.close)
window.MainWindow.showEvent, Renderer.painted = show, paint
sys.argv = ["framehook", *sys.argv[1:]]
runpy.run_module("framehook.app", run_name="__main__")
"""


def start(wanted: Wanted, rounds: int = 5) -> Iterator[Row]:
    """The window is soon there, and soon shows people with numbers."""
    clip = wanted.clip
    if clip is None:
        yield Row("start", "window, then boxes and ids", "<= 3 s", "needs a clip with people: --clip FILE")
        return
    spans: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "XDG_CONFIG_HOME": folder, "HOME": folder}
        command = [sys.executable, "-c", START, str(clip), *([] if wanted.model is None else ["--model", wanted.model])]
        for _ in range(rounds):
            began = time.monotonic()
            done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
            lasted = time.monotonic() - began
            if done.returncode or not done.stdout.strip():
                raise RuntimeError(f"the app ended with {done.returncode}: {done.stderr[-600:]}")
            told = json.loads(done.stdout)
            spans.append(
                {
                    "window": told["window"] - began,
                    "picture": told["picture"] - told["window"],
                    "ids": told["ids"] - told["window"],
                    "gone": began + lasted - told["ids"],
                }
            )
    median = {name: statistics.median(each[name] for each in spans) for name in spans[0]}
    worst = {name: max(each[name] for each in spans) for name in spans[0]}
    yield Row(
        "start",
        "from the window to boxes and ids",
        "<= 3 s",
        f"{median['ids']:.2f} s (at most {worst['ids']:.2f}); first picture {median['picture']:.2f} s; the window "
        f"{median['window']:.2f} s after the start of the process; {rounds} starts",
        worst["ids"] <= 3,
        {"rounds": spans},
    )
    yield Row(
        "start",
        "from closing to the end of the process",
        "<= 2 s",
        f"{median['gone']:.2f} s (at most {worst['gone']:.2f})",
        worst["gone"] <= 2,
    )


SCENARIOS: dict[str, Callable[[Bench, Wanted], Iterator[Row]]] = {each.__name__: each for each in (live, long, slow, switches)}
NAMES = (*SCENARIOS, start.__name__)


@contextlib.contextmanager
def display() -> Iterator[str]:
    """Somewhere to show windows; gives its name."""
    if os.environ.get("QT_QPA_PLATFORM") or os.environ.get("DISPLAY"):
        yield os.environ.get("QT_QPA_PLATFORM") or f"display {os.environ['DISPLAY']}"
        return
    server = shutil.which("Xvfb")
    if server is None:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        yield "no screen (Qt's offscreen; Xvfb is not installed)"
        return
    reading, writing = os.pipe()
    command = [server, "-displayfd", str(writing), "-screen", "0", "3200x2000x24", "-nolisten", "tcp"]
    process = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            os.environ["DISPLAY"] = f":{int(pipe.readline())}"
        yield "Xvfb, 3200 x 2000"
    finally:
        process.terminate()
        process.wait()
        os.environ.pop("DISPLAY", None)


def beat_idly(seconds: float) -> None:
    """In a process of its own: the timer, and nothing else."""
    app = QCoreApplication([])
    beat = Heartbeat()
    QTimer.singleShot(1000, beat.start)
    QTimer.singleShot(round(seconds * 1000) + 1000, app.quit)
    app.exec()
    print(json.dumps([round(each, 3) for each in beat.late]))


def run(name: str, wanted: Wanted) -> list[Row]:
    """One scenario, in this process."""
    if name == start.__name__:
        return list(start(wanted))
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), wanted)
        try:
            rows = list(SCENARIOS[name](bench, wanted))
        finally:
            bench.close()
    if bench.notes:
        rows.append(Row(name, "warnings and errors told", "none", "; ".join(bench.notes[:3]), False))
    return rows


def main() -> int:
    """Run the scenarios; returns how many bars were missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--model", help="an .onnx file; the bundled detector if not given")
    parser.add_argument("--clip", type=Path, default=find_demo_clip(), help="a video with people; the demo clip if not given")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each spell of live and of slow")
    parser.add_argument("--frames", type=int, default=18_000)
    parser.add_argument("--switches", type=int, default=1000)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    parser.add_argument("--here", action="store_true", help="one scenario in this process; rows as JSON")
    parser.add_argument("--control", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.control is not None:
        beat_idly(args.control)
        return 0
    wanted = Wanted(args.model, args.clip, args.seconds, args.frames, args.switches)
    if args.here:
        print(json.dumps([asdict(row) for row in run(args.names[0], wanted)]))
        return 0
    unknown = [name for name in args.names if name not in NAMES]
    if unknown:
        parser.error(f"no scenario {unknown[0]}; there are {', '.join(NAMES)}")
    rows: list[Row] = []
    with display() as where:
        print(
            f"on {where}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; model: {args.model or 'the bundled detector'}"
        )
        for name in args.names or NAMES:
            options = [name if each == "NAME" else each for each in ("NAME", "--here")]
            given = [argument for argument in sys.argv[1:] if argument not in NAMES]
            done = subprocess.run([sys.executable, __file__, *options, *given], stdout=subprocess.PIPE, text=True, check=False)
            if done.returncode:
                rows.append(Row(name, "the scenario", "", f"ended with exit code {done.returncode}", False))
                print(rows[-1], flush=True)
                continue
            for row in json.loads(done.stdout.splitlines()[-1]):
                rows.append(Row(**row))
                print(rows[-1], flush=True)
        print(f"load afterwards {os.getloadavg()[0]:.1f}")
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    return sum(row.met is False for row in rows)


if __name__ == "__main__":
    sys.exit(main())
