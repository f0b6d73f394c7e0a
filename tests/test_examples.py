import os
import subprocess
import sys
from pathlib import Path

import pytest

from .short_clip import write_short_clip

EXAMPLES = Path(__file__).parent.parent / "examples"

SAYS = {
    "attach_frames": "frame 50: 1 person in a picture of 640 x 272\n",
    "draw_on_canvas": "the annotated video is in runs/predict\n",
    "count_people": " different people in 60 frames, at most ",
    "stop_on_condition": ": 1 person; see first_person.jpg\n",
    "count_crossings": "in front were ",
    "record_segments": "recordings/",
    "export_model": "person.onnx is ready\n",
    "early_stopping": "ended by 'stop'",
    "print_fitness": "epoch 2 of 2: fitness 0.",
    "log_training": "training.jsonl has 2 lines\n",
    "train_export_watch": "watched 30 frames\n",
    "own_decoder": "1 spot at x 468 to 532, y 268 to 332\n",
}
RANDOM = "yolo11n.yaml is a description: the weights of its network are random until it is trained\n"
TRAINING = ("early_stopping", "print_fitness", "log_training", "train_export_watch")
WATCHING = ("attach_frames", "draw_on_canvas", "count_people", "count_crossings", "record_segments")
FRAMES = 60
LEAVES = {"draw_on_canvas": "runs/predict/bikes.mp4", "stop_on_condition": "first_person.jpg"}


def test_every_example_is_tried_here():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*SAYS, "my_callbacks", "run_exported", "watch_in_a_window"}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """As many frames of the demo clip as the examples need to have something to say."""
    return write_short_clip(tmp_path_factory.mktemp("clip") / "bikes.mp4", frames=FRAMES)


@pytest.mark.parametrize("name", [name for name in SAYS if name not in TRAINING])
def test_an_example_runs_and_says_what_it_should(name, clip, tmp_path):
    done = run([sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *([clip] if name in WATCHING else [])], tmp_path)
    assert done.stderr == ""
    assert SAYS[name] in done.stdout
    if name in LEAVES:
        assert (tmp_path / LEAVES[name]).stat().st_size > 1000
    if name == "export_model":
        runs_without_framehook(tmp_path, clip)


def runs_without_framehook(tmp_path, clip):
    """What was exported runs by the other example, where Framehook cannot be imported."""
    program = f"import sys; sys.modules['framehook'] = None; sys.argv = ['', 'person.onnx', {str(clip)!r}]\n"
    program += (EXAMPLES / "run_exported.py").read_text(encoding="utf-8")
    done = run([sys.executable, "-W", "error", "-c", program], tmp_path)
    assert int(done.stdout.split()[0]) > FRAMES / 2
    assert (tmp_path / "last.jpg").stat().st_size > 1000


# To import what trains takes longer than the trainings of the examples: one interpreter goes through all of them.
ONE_AFTER_ANOTHER = """
import contextlib, os, runpy, sys, traceback

for script in list(sys.argv[1:]):
    folder = os.path.splitext(os.path.basename(script))[0]
    os.mkdir(folder)
    os.chdir(folder)
    sys.argv = [script]
    with open("stdout", "w") as out, open("stderr", "w") as err:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                runpy.run_path(script, run_name="__main__")
            except BaseException:
                traceback.print_exc()
    os.chdir("..")
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Where each example that trains has run in a folder of its own, with what it wrote to both of its outputs."""
    folder = tmp_path_factory.mktemp("trained")
    run([sys.executable, "-W", "error", "-c", ONE_AFTER_ANOTHER, *(EXAMPLES / f"{name}.py" for name in TRAINING)], folder)
    return folder


@pytest.mark.parametrize("name", TRAINING)
def test_an_example_trains_and_says_what_it_should(name, trained):
    assert (trained / name / "stderr").read_text() == RANDOM
    assert SAYS[name] in (trained / name / "stdout").read_text()


def test_the_callbacks_file_works_on_the_command_line(tmp_path):
    command = [
        sys.executable,
        "-m",
        "framehook",
        "predict",
        "testsrc:64x48@30:5",
        "--callbacks",
        str(EXAMPLES / "my_callbacks.py"),
    ]
    done = run(command, tmp_path)
    assert "watching testsrc on cpu" in done.stdout
    assert " boxes in 5 frames\n" in done.stdout


def test_a_window_shows_what_a_callback_draws_until_it_is_closed(tmp_path):
    program = (EXAMPLES / "watch_in_a_window.py").read_text(encoding="utf-8")
    # Somebody closes the window once there is something to see.
    program = program.replace("seen = set()", "seen = set()\nimport os, signal\nasked = []")
    program = program.replace(
        "    for result in",
        "    if seen and not asked:\n        asked.append(os.kill(os.getpid(), signal.SIGTERM))\n    for result in",
    )
    own = {"QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    done = run([sys.executable, "-W", "error", "-c", program], tmp_path, **own)
    # A platform without a screen says that it cannot do this or that.
    assert not [line for line in done.stderr.splitlines() if "This plugin does not support" not in line]
    assert int(done.stdout.split()[0]) > 0


def run(command, folder, **environ):
    environ = {**os.environ, **environ}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False, env=environ)
    assert done.returncode == 0, done.stderr
    return done
