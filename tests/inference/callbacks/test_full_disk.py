import logging
import shutil
import subprocess
import sys
from fractions import Fraction

import pytest

from framehook.inference.callbacks.clock import TICKS
from framehook.inference.callbacks.encoder import Encoder
from framehook.inference.callbacks.recorder import Recorder
from framehook.inference.errors import CallbackError, RecordingError

from .footage import NOISE, Given, boxes, packets, record


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


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limits")
@pytest.mark.parametrize("on_error", ["raise", "stop"])
@pytest.mark.parametrize("keep", [1, 2])
def test_a_part_that_broke_off_is_not_counted_as_complete_and_costs_no_good_one(tmp_path, on_error, keep):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(index):
        if index == 75 * (keep + 1) + 40:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))

    source = Given("noise", [number / 25 for number in range(75 * (keep + 3))], before=fill)
    recorder = Recorder(tmp_path / "out.mp4", crf=30, segment_seconds=3.0, keep=keep, on_error=on_error)
    run = record(source, recorder)
    try:
        if on_error == "raise":
            with pytest.raises(CallbackError, match="File too large"):
                list(run)
        else:
            list(run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    lengths = [len(packets(path)) for path in recorder.paths]
    assert lengths[:keep] == [75] * keep
    assert all(length < 75 for length in lengths[keep:])  # nothing at all may be left of the one that broke off
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in recorder.paths}


def test_what_does_not_fit_is_told_wherever_the_disk_is_full(tmp_path, disk):
    """Also where that is in the last fragment, which is written only when the file is closed."""
    whole = Encoder(tmp_path / "whole.mp4", size=(128, 96), rate=Fraction(25), crf=30)
    whole._make_fast_start = lambda: None  # it stays in fragments, as it would on a full disk
    fill(whole)
    whole.close()
    size = whole.path.stat().st_size
    for short in (1, 5_000, 40_000):
        room = size - short
        free = shutil.disk_usage(disk).free
        (disk / "ballast").write_bytes(bytes(free - room // 4096 * 4096))
        encoder = Encoder(disk / "out.mp4", size=(128, 96), rate=Fraction(25), crf=30)
        with pytest.raises(RecordingError, match="No space left on device; what was written until then can be played"):
            fill(encoder), encoder.close()
        assert encoder.failed
        assert len(packets(disk / "out.mp4")) < 70
        encoder.path.unlink()
        (disk / "ballast").unlink()


def test_frames_that_cannot_be_read_back_are_a_failure(tmp_path):
    encoder = Encoder(tmp_path / "out.mp4", size=(128, 96), rate=Fraction(25), crf=30)
    fill(encoder)
    encoder._packets = 71  # as if one had been lost on the way to the disk
    with pytest.raises(RecordingError, match=r"70 of .* packets can be read; what was written until then can be played"):
        encoder.close()
    assert encoder.failed
    assert len(packets(tmp_path / "out.mp4")) == 70


def fill(encoder):
    for number in range(70):
        encoder.add(NOISE[number % 20], number * TICKS // 25)
