import logging
import shutil
import subprocess

import pytest

from framehook.inference.callbacks.recorder import Recorder
from framehook.inference.errors import CallbackError, RecordingError

from .footage import Given, boxes, packets, record


@pytest.fixture
def disk(tmp_path):
    """A folder on a disk of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def noise(count):
    return Given("noise", [number / 25 for number in range(count)])


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_recording_ends_and_the_run_goes_on_where_that_is_asked_for(disk, caplog, suffix):
    recorder = Recorder(disk / f"out{suffix}", crf=5, on_error="stop")
    with caplog.at_level(logging.WARNING, "framehook"):
        assert len(list(record(noise(200), recorder))) == 200
    [told] = [each.message for each in caplog.records]
    assert told == (
        f"{disk}/out{suffix} could not be written on: No space left on device; what was written until then can be played; "
        "free some space or save elsewhere; the run goes on without that recording"
    )
    assert recorder.paths == [disk / f"out{suffix}"]
    assert 20 < len(packets(recorder.paths[0])) < 200
    assert [path.name for path in disk.iterdir()] == [f"out{suffix}"]


def test_else_the_run_ends_and_parts_that_were_complete_stay(disk):
    recorder = Recorder(disk / "out.mp4", crf=5, segment_seconds=1.0)
    with pytest.raises(CallbackError, match="No space left on device") as caught:
        list(record(noise(2000), recorder))
    assert isinstance(caught.value.__cause__, RecordingError)
    assert len(packets(disk / "out.mp4")) == 25
    assert "moof" not in boxes(disk / "out.mp4")


def test_where_there_is_no_room_to_rewrite_a_file_it_stays_in_fragments_and_nothing_fails(disk, caplog):
    recorder = Recorder(disk / "out.mp4", crf=5)
    with caplog.at_level(logging.WARNING, "framehook"):
        list(record(noise(50), recorder))
    assert (disk / "out.mp4").stat().st_size > 500_000  # there is no room for another
    [told] = [each.message for each in caplog.records]
    assert told.startswith(f"{disk}/out.mp4 can be played, but stays in fragments: ")
    assert "No space left on device" in told
    assert "moof" in boxes(disk / "out.mp4")
    assert len(packets(disk / "out.mp4")) == 50
    assert [path.name for path in disk.iterdir()] == ["out.mp4"]
