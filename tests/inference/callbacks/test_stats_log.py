import gc
import json
from pathlib import Path

import pytest

from framehook.inference.callbacks.stats_log import StatsLog
from framehook.inference.errors import CallbackError, OptionError

from ..scripted import Scripted, until  # noqa: TID252 - the same scenery as the tests of runs
from .scenes import play


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_last_line_tells_the_final_figures(tmp_path):
    run = play("testsrc:64x48@30:20", StatsLog(tmp_path / "logs" / "stats.jsonl", every=1000))
    list(run)
    (last,) = lines(tmp_path / "logs" / "stats.jsonl")
    assert (last["frames"], last["final"], last["error"]) == (20, True, None)
    assert set(last["latency_ms"]) == {"p50", "p95", "p99"}
    assert set(last["stages_ms"]) == {"wait", "preprocess", "inference", "postprocess", "callbacks", "consumer"}
    (source,) = last["sources"]
    assert (source["name"], source["state"], source["captured"], source["delivered"]) == ("testsrc", "ended", 20, 20)
    assert last["time"].endswith("+00:00")


def test_lines_are_written_while_nothing_comes_and_may_be_read_at_once(tmp_path):
    def silences():
        """Those that were written since the frame came."""
        told = [each["sources"][0]["silence"] for each in lines(tmp_path / "stats.jsonl")]
        return [each for each in told if each is not None]

    source = Scripted(live=True, stepwise=True)
    with play(source, StatsLog(tmp_path / "stats.jsonl", every=0.02)) as run:
        source.allowed.release()
        next(run)
        until(lambda: len(silences()) >= 3)
    written = lines(tmp_path / "stats.jsonl")
    assert [each.get("final") for each in written] == [None] * (len(written) - 1) + [True]
    assert silences() == sorted(silences())


def test_a_second_run_adds_to_the_file_and_an_error_is_told(tmp_path):
    list(play("testsrc:64x48@30:2", StatsLog(tmp_path / "stats.jsonl", every=1000)))
    with pytest.raises(OSError, match="s went away"):
        list(play(Scripted(5, fail_at=1), StatsLog(tmp_path / "stats.jsonl", every=1000)))
    assert [each["error"] for each in lines(tmp_path / "stats.jsonl")] == [None, "s went away"]


def test_a_folder_that_cannot_be_made_is_an_error_at_the_start(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CallbackError, match=r"file/stats\.jsonl cannot be written: (Not a directory|File exists)"):
        list(play("testsrc:64x48@30:2", StatsLog(tmp_path / "file" / "stats.jsonl")))
    with pytest.raises(OptionError, match="every=0 is not possible"):
        StatsLog("x", every=0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_costs_the_figures_and_not_the_run(caplog):
    assert len(list(play("testsrc:64x48@30:5", StatsLog("/dev/full")))) == 5
    assert "/dev/full cannot be written: No space left on device; the run goes on without" in caplog.text


def test_an_abandoned_run_is_collected(tmp_path):
    run = play("testsrc:64x48@30:live", StatsLog(tmp_path / "stats.jsonl", every=0.01))
    next(run)
    with pytest.warns(ResourceWarning):  # noqa: PT031 - either may do it
        del run
        gc.collect()
    assert lines(tmp_path / "stats.jsonl")[-1]["final"]
