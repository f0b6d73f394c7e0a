"""Output that nobody reads, that is closed, or that does not fit: the run goes on where it can, and says so where it cannot."""

import os
import shlex
import subprocess
import sys

import pytest

from framehook.inference.sources import TestSource

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")

TALKS = """
def on_predict_batch_end(predictor):
    print("from a callback " * 1000)
"""


@pytest.fixture
def shell(tmp_path):
    """Run a line of shell in an empty folder, `framehook` being this one; the exit code is that of `framehook`."""

    def call(line):
        line = line.replace("framehook", f"{shlex.quote(sys.executable)} -m framehook")
        return subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=180)

    return call


@pytest.fixture
def pictures(tmp_path):
    cv2 = pytest.importorskip("cv2")
    (tmp_path / "pictures").mkdir()
    with TestSource(size=(64, 48), frames=12) as scene:
        for frame in scene:
            cv2.imwrite(str(tmp_path / "pictures" / f"{frame.index}.png"), frame.image)


@pytest.mark.parametrize("callbacks", ["", "--callbacks talks.py"])
def test_a_reader_who_goes_away_only_silences_the_output(shell, pictures, tmp_path, callbacks):
    (tmp_path / "talks.py").write_text(TALKS)
    done = shell(f"framehook predict pictures --save {callbacks} | head -c 1 >/dev/null; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list((tmp_path / "runs" / "predict").iterdir())) == 12


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no /dev/full")
@pytest.mark.parametrize("command", ["models", "predict pictures", "predict testsrc:64x48:2 --callbacks short.py", "--help"])
def test_output_that_does_not_fit_fails_in_one_line(shell, pictures, tmp_path, command):
    (tmp_path / "short.py").write_text("def on_predict_batch_end(predictor):\n    print('.')\n")
    done = shell(f"framehook {command} >/dev/full")
    assert done.stderr == "error: standard output cannot be written: No space left on device\n"
    assert done.returncode == 1


def test_closed_output_is_told_and_fails(shell):
    done = shell("framehook predict testsrc:64x48:1 >&-")
    assert done.stderr == "error: standard output cannot be written: it is closed; send it to a file or to /dev/null\n"
    assert done.returncode == 1


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_warnings_and_errors_that_cannot_be_told_change_nothing(shell, redirection):
    assert shell(f"framehook predict testsrc:64x48:1 {redirection}").returncode == 0
    assert shell(f"framehook predict nothing.mp4 {redirection}").returncode == 2
