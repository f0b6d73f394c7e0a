"""What `framehook doctor` looks at: facts about this computer, gathered when they are asked for."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from framehook.app.cameras import Camera, list_cameras
from framehook.app.machine import Machine, installed_packages, this_machine

DECODERS: Final = ("h264", "hevc", "mjpeg")
ENCODERS: Final = ("libx264",)
PROTOCOLS: Final = ("https", "rtsp", "srt")
PATIENCE: Final = 120.0
"""Seconds that a trial run may take; the first start of a GPU takes a while."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How a command in a process of its own ended.

    Attributes:
        code: Its exit code; below 0 the number of the signal that killed it; None where it was not done in time.
        said: What it printed.
        complaint: What it printed to standard error.
    """

    code: int | None
    said: str = ""
    complaint: str = ""


@dataclass(frozen=True, slots=True)
class Space:
    """Where runs are saved.

    Attributes:
        folder: The folder, or the one in which it will be made.
        writable: Whether files can be made there.
        free: Free bytes on that disk.
    """

    folder: Path
    writable: bool
    free: int


@dataclass(frozen=True, slots=True)
class World:
    """Facts, and functions for those that take time, or that may fail; what fails is the finding of one check.

    Attributes:
        system: As `sys.platform` has it.
        python: Version of Python.
        interpreter: Path of Python.
        packages: Versions of the installed packages by name, in small letters with dashes.
        requirements: What Framehook requires, as its metadata says: `numpy>=2.0`.
        environ: Environment variables, as they were before any library changed them.
        user: Name of the user, or an empty text.
        nvidia: Whether the system has a driver for NVIDIA's graphics cards.
        load: Imports a module.
        cameras: The cameras.
        machine: Processor and memory.
        usable_cores: Cores that this program may run on.
        devices: Device words that ONNX Runtime offers, best first, the one that is chosen when none is named at the front.
        codecs: Those of `DECODERS`, `ENCODERS` and `PROTOCOLS` that there are.
        screens: Number of screens that can be read.
        qt_plugins: What PyQt6 can show windows on: `xcb`, `wayland` ...
        has_library: Whether a shared library of the system, such as `libxcb-cursor.so.0`, can be loaded.
        clip: The demo clip, or None.
        space: Where runs are saved.
        trial: Detects in a generated scene with the bundled model, on a device, None for the best.
    """

    system: str
    python: tuple[int, int, int]
    interpreter: str
    packages: Mapping[str, str]
    requirements: Sequence[str]
    environ: Mapping[str, str]
    user: str
    nvidia: bool
    load: Callable[[str], object]
    cameras: Callable[[], Sequence[Camera]]
    machine: Callable[[], Machine]
    usable_cores: Callable[[], int]
    devices: Callable[[], Sequence[str]]
    codecs: Callable[[], frozenset[str]]
    screens: Callable[[], int]
    qt_plugins: Callable[[], frozenset[str]]
    has_library: Callable[[str], bool]
    clip: Callable[[], Path | None]
    space: Callable[[], Space]
    trial: Callable[[str | None], Trial]


def this_world() -> World:
    """The computer we are on."""
    return World(
        system=sys.platform,
        python=(sys.version_info.major, sys.version_info.minor, sys.version_info.micro),
        interpreter=sys.executable,
        packages=installed_packages(),
        requirements=_requirements(),
        environ=dict(os.environ),
        user=_user(),
        nvidia=Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None,
        load=import_module,
        cameras=list_cameras,
        machine=this_machine,
        usable_cores=_usable_cores,
        devices=_devices,
        codecs=_codecs,
        screens=_screens,
        qt_plugins=_qt_plugins,
        has_library=_has_library,
        clip=_clip,
        space=_space,
        trial=_trial,
    )


# What is imported here may be missing or broken, which is what the doctor is asked for.


def _requirements() -> list[str]:
    with suppress(PackageNotFoundError):
        return requires("framehook") or []
    return []


def _user() -> str:
    return os.environ.get("USER") or os.environ.get("LOGNAME") or ""


def _usable_cores() -> int:
    from framehook.inference.backends import usable_cores

    return usable_cores()


def _devices() -> list[str]:
    from framehook.inference.backends import available_devices, choose_device

    best = choose_device(None).kind
    return [best, *(word for word in available_devices() if word != best)]


def _codecs() -> frozenset[str]:
    import av

    def codes(name: str, mode: Literal["r", "w"]) -> bool:
        try:
            av.codec.Codec(name, mode)
        except av.codec.codec.UnknownCodecError:
            return False
        return True

    def connects(scheme: str) -> bool:
        if scheme == "rtsp":
            return scheme in av.formats_available  # a format that brings its own protocol
        try:
            # FFmpeg tells which protocols it has only when asked to open something; nobody can listen at port 0.
            av.open(f"{scheme}://127.0.0.1:0", timeout=1.0).close()
        except av.error.ProtocolNotFoundError:
            return False
        except av.error.FFmpegError:
            return True
        return True

    return frozenset(
        (
            *(name for name in DECODERS if codes(name, "r")),
            *(name for name in ENCODERS if codes(name, "w")),
            *(name for name in PROTOCOLS if connects(name)),
        )
    )


def _screens() -> int:
    from framehook.inference.sources import list_screens

    return sum(1 for each in list_screens() if each.number)


def _qt_plugins() -> frozenset[str]:
    """Found without importing PyQt6: they are `libqxcb.so`, `qwindows.dll`, `libqcocoa.dylib` ..."""
    package = find_spec("PyQt6")
    folders = list(package.submodule_search_locations or ()) if package is not None else []
    files = [file for folder in folders for file in Path(folder).glob("Qt6/plugins/platforms/*")]
    return frozenset(re.sub(r"^(lib)?q", "", file.stem).partition("-")[0] for file in files)


def _has_library(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _clip() -> Path | None:
    from framehook.inference.sources.demo import find_demo_clip

    return find_demo_clip()


def _space() -> Space:
    runs = Path("runs")  # as in `framehook.inference.saving`, which brings OpenCV along
    folder = runs if runs.is_dir() else Path()
    return Space(folder.absolute(), os.access(folder, os.W_OK | os.X_OK), shutil.disk_usage(folder).free)


def _trial(device: str | None) -> Trial:
    """In a process of its own: a library that does not fit may take the whole process down, and ONNX Runtime tells by itself,
    on standard error, what it misses.
    """
    command = [sys.executable, "-m", "framehook", "predict", "testsrc:320x240:5"]
    try:
        done = subprocess.run(
            [*command, *(["--device", device] if device is not None else [])],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return Trial(None)
    return Trial(done.returncode, done.stdout, done.stderr)
