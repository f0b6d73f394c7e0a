import os
import signal
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from framehook.inference.callbacks.remux import make_fast_start
from framehook.inference.errors import RecordingError

from .footage import boxes, packets, seconds

TIMES = [0, 40, 81, 500, 510, 1500, 1533, 2700]  # ms


@pytest.fixture
def fragmented(tmp_path):
    """A fragmented MP4 of uneven times, whose last picture stands for 1.5 s."""
    path = tmp_path / "in.mp4"
    with av.open(str(path), "w", options={"movflags": "+frag_keyframe+empty_moov"}) as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        noise = np.random.default_rng(0)
        made = []
        for milliseconds in TIMES:
            frame = av.VideoFrame.from_ndarray(noise.integers(0, 255, (48, 64, 3), dtype=np.uint8), format="bgr24")
            frame.pts, frame.time_base = milliseconds, Fraction(1, 1000)
            made += stream.encode(frame)
        made += stream.encode(None)
        for packet, end in zip(made, [*TIMES[1:], TIMES[-1] + 1500], strict=True):
            packet.duration = end - packet.pts
            container.mux(packet)
    assert boxes(path).count("moof") > 1
    return path


def test_the_index_comes_first_and_packets_times_and_durations_are_the_same(fragmented):
    before = packets(fragmented)
    make_fast_start(fragmented, kind="mp4", packets=len(TIMES))
    kinds = boxes(fragmented)
    assert kinds.index("moov") < kinds.index("mdat")
    assert "moof" not in kinds
    assert packets(fragmented) == before
    assert [start for start, *_ in before] == pytest.approx([milliseconds / 1000 for milliseconds in TIMES])
    assert seconds(fragmented) == pytest.approx(4.2)
    assert os.listdir(fragmented.parent) == ["in.mp4"]


def test_a_link_to_a_file_stays_a_link_and_the_file_keeps_its_permissions(fragmented):
    link = fragmented.with_name("link.mp4")
    link.symlink_to(fragmented)
    fragmented.chmod(0o640)
    make_fast_start(link, kind="mp4", packets=len(TIMES))
    assert link.is_symlink()
    assert "moof" not in boxes(fragmented)
    assert fragmented.stat().st_mode & 0o777 == 0o640


@pytest.fixture(params=["nameless", "named"])
def any_system(request, monkeypatch):
    """On Linux, and on systems where every file has a name."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)


@pytest.mark.usefixtures("any_system")
def test_where_packets_are_missing_the_file_stays_as_it_was(fragmented):
    before = fragmented.read_bytes()
    with pytest.raises(RecordingError, match="8 of 9 packets can be read"):
        make_fast_start(fragmented, kind="mp4", packets=9)
    assert fragmented.read_bytes() == before
    assert os.listdir(fragmented.parent) == ["in.mp4"]


@pytest.mark.usefixtures("any_system")
def test_what_a_killed_process_left_is_in_nobodys_way(fragmented):
    fragmented.with_name(".in.mp4.part").write_bytes(b"left over")
    make_fast_start(fragmented, kind="mp4", packets=len(TIMES))
    assert "moof" not in boxes(fragmented)
    assert os.listdir(fragmented.parent) == ["in.mp4"]


BROKEN_OFF = """
import os, resource, signal, sys
from pathlib import Path
from framehook.inference.callbacks.remux import make_fast_start
def kill(event, args):
    if event == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
sys.addaudithook(kill)
try:
    make_fast_start(Path(sys.argv[1]), kind="mp4", packets=8)
except Exception as error:
    print(error.strerror)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every file has a name")
@pytest.mark.parametrize("moment", ["os.link", "full"])
def test_a_full_disk_or_a_kill_before_the_end_leaves_the_file_as_it_was_and_nothing_beside_it(fragmented, moment):
    before = fragmented.read_bytes()
    command = [sys.executable, "-c", BROKEN_OFF, str(fragmented), moment]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == ((0, "File too large\n") if moment == "full" else (-signal.SIGKILL, ""))
    assert fragmented.read_bytes() == before
    assert os.listdir(fragmented.parent) == ["in.mp4"]
