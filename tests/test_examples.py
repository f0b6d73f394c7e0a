import os
import subprocess
import sys
from pathlib import Path

import pytest

from framehook.inference.sources.demo import find_demo_clip

EXAMPLES = Path(__file__).parent.parent / "examples"

SAYS = {
    "attach_frames": "frame 50: 1 person in a picture of 640 x 272\n",
    "draw_on_canvas": "the annotated video is in runs/predict\n",
    "count_people": " different people in 250 frames, at most ",
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
WARNS = dict.fromkeys(("early_stopping", "print_fitness", "log_training", "train_export_watch"), RANDOM)
LEAVES = {"draw_on_canvas": "runs/predict/bikes.mp4", "stop_on_condition": "first_person.jpg"}


def test_every_example_is_tried_here():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*SAYS, "my_callbacks", "run_exported", "watch_in_a_window"}


@pytest.mark.parametrize("name", SAYS)
def test_an_example_runs_and_says_what_it_should(name, tmp_path):
    done = run([sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")], tmp_path)
    assert done.stderr == WARNS.get(name, "")
    assert SAYS[name] in done.stdout
    if name in LEAVES:
        assert (tmp_path / LEAVES[name]).stat().st_size > 1000
    if name == "export_model":
        runs_without_framehook(tmp_path)


def runs_without_framehook(tmp_path):
    """What was exported runs by the other example, where Framehook cannot be imported."""
    program = f"import sys; sys.modules['framehook'] = None; sys.argv = ['', 'person.onnx', {str(find_demo_clip())!r}]\n"
    program += (EXAMPLES / "run_exported.py").read_text(encoding="utf-8")
    done = run([sys.executable, "-W", "error", "-c", program], tmp_path)
    assert int(done.stdout.split()[0]) > 100
    assert (tmp_path / "last.jpg").stat().st_size > 1000


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
    program = program.replace("seen = set()", "seen = set()\nimport os, signal")
    program = program.replace(
        "    for result in",
        "    if predictor.frame.index == 50:\n        os.kill(os.getpid(), signal.SIGTERM)\n    for result in",
    )
    own = {"QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    done = run([sys.executable, "-W", "error", "-c", program], tmp_path, **own)
    # A platform without a screen says that it cannot do this or that.
    assert not [line for line in done.stderr.splitlines() if "This plugin does not support" not in line]
    assert int(done.stdout.split()[0]) > 0


def run(command, folder, **environ):
    environ = {**os.environ, **environ}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False, env=environ)
    assert done.returncode == 0, done.stderr
    return done
