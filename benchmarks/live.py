"""Live streams under strain: lag, loss, outages, faults, recordings; against a sender that stamps its clock into the pixels.

    python benchmarks/live.py --model yolox_nano_416.onnx [--seconds 60] [NAME ...]

A process of its own sends 640 x 480 motion JPEG at 30 frames per second over HTTP on 127.0.0.1; every frame carries its number
and the monotonic clock of the moment it was sent. The scenarios, all of them unless some are named:

- fast: how many of the frames arrive, and how old they are at the callback, beside the median inference time of that run;
- slow: the same with a consumer that takes 100 ms a frame: age, memory, and the ledger against the sender's own count;
- gone: the server goes away for 2 s; how soon frames come again, and what a second source notices;
- mute: a server that accepts and says nothing: when `stalled` is told, how soon `stop()` ends the run, if the process exits;
- late: a server that is down at the start;
- faults: 200 random faults in a row; threads, sockets and memory before and after;
- four: four sources of which one raises, one ends, one stalls; the rate of those that go on;
- record: how long a recording lasts against the clock, and what is left of one after `kill -9`.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the senders are those of the tests

from framehook import Model
from framehook.inference.callbacks import Recorder
from framehook.inference.sources import Source, open_source
from tests.servers.stamps import read_stamp

ROOT = Path(__file__).resolve().parents[1]


def resident_megabytes() -> float:
    """Memory this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def sockets() -> int:
    """File handles this process holds now, sockets among them."""
    return len(os.listdir("/proc/self/fd"))


class Sender:
    """The server, in a process of its own."""

    def __init__(self, *, fps: float = 30.0, frames: int | None = None) -> None:
        command = [sys.executable, "-m", "tests.servers.mjpeg", "--fps", str(fps)]
        command += [] if frames is None else ["--frames", str(frames)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int(self._line())}/live"

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def tell(self, word: str) -> None:
        """Command it: away, back, cut, stall ..."""
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def sent(self) -> int:
        """Frames it has sent so far."""
        self.tell("count")
        return int(self._line())

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@contextmanager
def sender(**options: Any) -> Iterator[Sender]:
    """A server for a block."""
    server = Sender(**options)
    try:
        yield server
    finally:
        server.close()


def report(name: str, text: str) -> None:
    """A line of the outcome."""
    print(f"{name:7} {text}", flush=True)


class Ages:
    """A callback that reads the stamps: how old each frame is when it is called, in ms."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.ages: list[float] = []
        self.inference: list[float] = []
        self.times: list[float] = []

    def __call__(self, predictor: Any) -> None:
        """Read those of a batch."""
        now = time.monotonic()
        for result in predictor.frame_results:
            number, sent_at = read_stamp(result.orig_img)
            self.numbers.append(number)
            self.ages.append((now - sent_at) * 1e3)
            self.inference.append(result.speed["inference"])
            self.times.append(now)


def watched(model: Model, source: Any, seconds: float, *, pause: float = 0.0, **options: Any) -> tuple[Ages, Any]:
    """Run for some seconds after the first frame; returns the ages and the run, which is over."""
    ages = Ages()
    handle = model.add_callback("on_predict_batch_end", ages)
    with model.predict(source, stream=True, **options) as run:
        for _ in run:
            if ages.times[-1] - ages.times[0] > seconds:
                break
            if pause:
                time.sleep(pause)
    handle.remove()
    return ages, run


def fast(model: Model, seconds: float) -> None:
    """Everything arrives, and soon."""
    with sender() as server:
        ages, run = watched(model, server.url, seconds)
    span = ages.numbers[-1] - ages.numbers[0] + 1
    inference = statistics.median(ages.inference)
    age = statistics.median(ages.ages)
    report(
        "fast",
        f"{len(ages.numbers)} of {span} frames ({len(ages.numbers) / span:.2%}); age {age:.1f} ms = inference {inference:.1f} "
        f"+ {age - inference:.1f} ms (median), p95 {np.percentile(ages.ages, 95):.1f} ms; "
        f"told latency {run.stats.latency.p50:.1f} ms",
    )


def slow(model: Model, seconds: float) -> None:
    """A consumer of 100 ms gets fresh frames, and every frame is accounted for."""
    with sender() as server:
        watched(model, server.url, 3, pause=0.1)  # a warm-up, for the memory
    gc.collect()
    before = resident_megabytes()
    frames = round(seconds * 30)
    ages = Ages()
    with sender(frames=frames) as server, model.predict(server.url, stream=True) as run:
        handles = [
            model.add_callback("on_predict_batch_end", ages),
            # When all is sent, the server hangs up.
            model.add_callback("on_source_change", lambda each: each.change.state != "connected" and each.stop()),
        ]
        for _ in run:
            time.sleep(0.1)
        for handle in handles:
            handle.remove()
    gc.collect()
    (ledger,) = (each.ledger for each in run.stats.sources.values())
    dropped = ", ".join(f"{number} {cause}" for cause, number in ledger.dropped.items())
    exact = ledger.captured == frames == ledger.delivered + sum(ledger.dropped.values())
    report(
        "slow",
        f"age p95 {np.percentile(ages.ages, 95):.0f} ms, median {statistics.median(ages.ages):.0f}; "
        f"memory {resident_megabytes() - before:+.1f} MB; sent {frames}, captured {ledger.captured} = {ledger.delivered} "
        f"delivered + {dropped}: {'exact' if exact else 'NOT EXACT'}",
    )


def gone(model: Model, seconds: float) -> None:
    """The server goes away for two seconds; another source does not notice."""
    del seconds
    with sender() as first, sender() as second:
        states: list[tuple[float, str, str]] = []
        shown: dict[str, list[float]] = {}
        outages = []

        def note(predictor: Any) -> None:
            states.append((time.monotonic(), predictor.change.source.name, str(predictor.change.state)))

        handle = model.add_callback("on_source_change", note)
        with model.predict([first.url, second.url], stream=True) as run:
            name = run.predictor.sources[0].name

            def script() -> None:
                for _ in range(3):
                    time.sleep(3)
                    first.tell("away")
                    time.sleep(2)
                    first.tell("back")
                    outages.append(time.monotonic())
                time.sleep(2)
                run.stop()

            thread = threading.Thread(target=script)
            thread.start()
            for result in run:
                shown.setdefault(result.frame.source.name, []).append(time.monotonic())
            thread.join()
        handle.remove()
    returns = [min(at for at in shown[name] if at > back) - back for back in outages]
    (other,) = (times for each, times in shown.items() if each != name)
    gaps = np.diff(other) * 30
    report(
        "gone",
        f"frames again {', '.join(f'{each:.2f}' for each in returns)} s after the return; longest gap of the other "
        f"{gaps.max():.2f} frame intervals, p99 {np.percentile(gaps, 99):.2f}; "
        f"told: {' '.join(state for _, each, state in states if each == name)}",
    )


def mute(model: Model, seconds: float) -> None:
    """A server that accepts and says nothing."""
    del model, seconds
    program = f"""
import sys, threading, time
sys.path.insert(0, {str(ROOT)!r})
from framehook import Model
from framehook.inference.sources import open_source
from tests.servers.mjpeg import Fault, MjpegServer
with MjpegServer() as server:
    server.inject(Fault.MUTE, lasting=True)
    told, model = [], Model()
    model.add_callback("on_source_change", lambda each: told.append((str(each.change.state), time.monotonic() - began)))
    began = time.monotonic()
    run = model.predict(open_source(server.url, open_timeout=3, read_timeout=3), stream=True)
    stopped = []
    def stop():
        stopped.append(time.monotonic())
        run.stop()
    threading.Timer(5, stop).start()
    assert list(run) == []
    print(told[0], f"stop() to the end of the run: {{(time.monotonic() - stopped[0]) * 1e3:.0f}} ms", end="; ", flush=True)
    ended = time.time()
print(f"{{time.time() - ended:.2f}}", end="", flush=True)
"""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=ROOT)
    report(
        "mute",
        f"time-out 3 s: {done.stdout}; exit code {done.returncode} after {time.monotonic() - began:.1f} s {done.stderr[-300:]}",
    )


def late(model: Model, seconds: float) -> None:
    """A server that is down at the start joins."""
    del seconds
    with sender() as server:
        server.tell("away")
        time.sleep(0.3)
        came: list[float] = []
        with model.predict(server.url, stream=True) as run:
            threading.Timer(3, server.tell, ["back"]).start()
            began = time.monotonic()
            for _ in run:
                came.append(time.monotonic() - began)
                if len(came) == 30:
                    break
    report("late", f"back after 3 s; first frame after {came[0]:.2f} s, 30 frames after {came[-1]:.2f} s")


def faults(model: Model, seconds: float) -> None:
    """200 random faults in a row."""
    del seconds
    with sender(fps=60.0) as server:
        source = open_source(server.url, open_timeout=1.0, read_timeout=0.3)
        frames, injected = 0, 0
        figures: list[tuple[int, int, float]] = []
        with model.predict(source, stream=True) as run:
            over = threading.Event()

            def script() -> None:
                nonlocal injected
                chance = random.Random(1)
                for _ in range(200):
                    before = frames
                    while frames < before + 3 and not over.wait(0.01):
                        pass
                    over.wait(1.1)  # only a connection that lasts for a second is taken for a good one
                    server.tell(chance.choice(["cut", "end", "half", "stall", "drip", "garbage", "noise"]))
                    injected += 1
                    if injected in (20, 200):
                        figures.append((threading.active_count(), sockets(), resident_megabytes()))
                before = frames
                while frames < before + 30 and not over.wait(0.01):
                    pass
                figures.append((threading.active_count(), sockets(), resident_megabytes()))
                run.stop()

            thread = threading.Thread(target=script)
            thread.start()
            for _ in run:
                frames += 1
            over.set()
            thread.join()
        (figure,) = run.stats.sources.values()
    gc.collect()
    report(
        "faults",
        f"{injected} faults survived in {run.stats.elapsed:.0f} s, {figure.connections} connections, {frames} frames; "
        f"threads {figures[0][0]} -> {figures[-1][0]}, file handles {figures[0][1]} -> {figures[-1][1]}, "
        f"memory {figures[-1][2] - figures[0][2]:+.1f} MB from the 20th fault on; threads left "
        f"{sorted(each.name for each in threading.enumerate() if each.name.startswith('framehook-re'))}",
    )


class Failing(Source):
    """A source that raises after some frames."""

    def __init__(self, url: str, frames: int) -> None:
        self._source = open_source(url)
        self._left = frames
        self.info = self._source.info
        self.endless = self.may_block = True

    def read(self) -> Any:
        """As the stream's, for a while."""
        self._left -= 1
        if self._left < 0:
            raise ValueError("a driver's bug")
        return self._source.read()

    def interrupt(self) -> None:
        """As the stream's."""
        self._source.interrupt()

    def close(self) -> None:
        """As the stream's."""
        self._source.close()


def four(model: Model, seconds: float) -> None:
    """One of four raises, ends or stalls; the other three go on at their rate."""
    with sender(fps=10.0) as one, sender(fps=10.0) as two, sender(fps=10.0) as three, sender(fps=10.0) as bad:
        for kind in ("raises", "ends", "stalls"):
            source: Any = bad.url
            if kind == "raises":
                source = Failing(bad.url, 20)
            elif kind == "ends":
                source = open_source(bad.url, reconnect=False)
            shown: dict[str, list[float]] = {}
            with model.predict([one.url, two.url, three.url, source], stream=True) as run:
                wrong = run.predictor.sources[3].id
                began, told = time.monotonic(), False
                for result in run:
                    now = time.monotonic()
                    if result.frame.source.id != wrong:
                        shown.setdefault(result.frame.source.id, []).append(now)
                    if not told and now - began > 2 and kind != "raises":
                        told = True
                        bad.tell("end" if kind == "ends" else "stall")
                    if now - began > max(8.0, seconds / 6):
                        break
            rates = [f"{(len(each) - 1) / (each[-1] - each[0]):.2f}" for each in shown.values()]
            gaps = [max(np.diff(each)) * 10 for each in shown.values()]
            report("four", f"one {kind}: the others at {', '.join(rates)} of 10 fps, longest gap {max(gaps):.1f} intervals")


def record(model: Model, seconds: float) -> None:
    """Recordings last as long as the clock, and survive a kill."""
    with tempfile.TemporaryDirectory() as folder, sender() as server:
        path = Path(folder) / "live.mp4"
        recorder = Recorder(path)
        handle = model.add_callback(recorder)
        ages, _ = watched(model, server.url, seconds)
        handle.remove()
        wall = ages.times[-1] - ages.times[0]
        with av.open(str(path)) as film:
            lasts = float(film.streams.video[0].duration * film.streams.video[0].time_base)
            pictures = sum(1 for _ in film.decode(video=0))
        report(
            "record",
            f"{lasts:.2f} s for {wall:.2f} s of wall time ({lasts / wall - 1:+.2%}), {pictures} pictures, "
            f"{recorder.dropped} left out",
        )
        killed = Path(folder) / "killed.mp4"
        program = (
            "import sys, time; from framehook import Model; from framehook.inference.callbacks import Recorder\n"
            "model = Model(); model.add_callback(Recorder(sys.argv[2]))\n"
            "for result in model.predict(sys.argv[1], stream=True): print(time.monotonic(), flush=True)"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", program, server.url, str(killed)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert process.stdout is not None
        first = float(process.stdout.readline())
        while float(process.stdout.readline()) - first < 12.3:
            pass
        process.send_signal(signal.SIGKILL)
        end = time.monotonic() - first
        process.wait()
        with av.open(str(killed)) as film:
            times = [float(picture.pts * picture.time_base) for picture in film.decode(video=0)]
        report("record", f"killed after {end:.2f} s: plays to {times[-1]:.2f} s, {end - times[-1]:.2f} s are lost")


SCENARIOS: dict[str, Callable[[Model, float], None]] = {
    each.__name__: each for each in (fast, slow, gone, mute, late, faults, four, record)
}


def main() -> None:
    """Run the scenarios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SCENARIOS))
    parser.add_argument("--model", help="an .onnx file; the bundled detector if not given")
    parser.add_argument("--seconds", type=float, default=60.0)
    args = parser.parse_args()
    unknown = [name for name in args.names if name not in SCENARIOS]
    if unknown:
        parser.error(f"no scenario {unknown[0]}; there are {', '.join(SCENARIOS)}")
    model = Model(args.model)
    for name in args.names or SCENARIOS:
        SCENARIOS[name](model, args.seconds)


if __name__ == "__main__":
    main()
