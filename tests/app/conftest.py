"""Running the real command line: as a process of its own where that matters, in this one where it does not."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import av
import pytest

from framehook.app.cli import run
from framehook.inference.sources import TestSource


@dataclass(frozen=True)
class Outcome:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def framehook(capsys, tmp_path, monkeypatch):
    """Run a command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        capsys.readouterr()
        code = run([str(each) for each in arguments])
        printed = capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    return call


class Process:
    """`framehook` in a process of its own."""

    def __init__(self, arguments, cwd, env):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "framehook", *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def interrupt(self, number=signal.SIGINT):
        self._process.send_signal(number)

    def finish(self, timeout=180):
        try:
            out, err = self._process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            out, err = self._process.communicate()
            pytest.fail(f"the command did not end in {timeout} s; it printed {out!r} and {err!r}")
        return Outcome(self._process.returncode, out, err)


@pytest.fixture
def start_framehook(tmp_path):
    """Start a command in a process of its own, in an empty folder."""
    return lambda *arguments, **env: Process(arguments, tmp_path, env)


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """A short video file of the generated scene: 320 x 240, 20 frames at 20 a second."""
    path = tmp_path_factory.mktemp("clips") / "scene.mp4"
    with TestSource(size=(320, 240), fps=20, frames=20) as scene, av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=20)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for frame in scene:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, format="bgr24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="session")
def frames_in():
    """A function that counts the frames that decode from a video file."""

    def count(path: Path):
        with av.open(str(path)) as container:
            return sum(1 for _ in container.decode(video=0))

    return count
