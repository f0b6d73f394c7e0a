import socket
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from framehook.inference.callbacks.metrics import Metrics
from framehook.inference.errors import CallbackError, OptionError
from framehook.inference.sources import TestSource

from ..scripted import Scripted, until  # noqa: TID252 - the same scenery as the tests of runs
from .scenes import play


def scrape(metrics):
    with urllib.request.urlopen("http://{}:{}/metrics".format(*metrics.address)) as answer:
        text = answer.read().decode()
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_is_scraped_is_what_the_stats_tell():
    metrics, camera = Metrics(0), Scripted(live=True, stepwise=True, name="door")
    with play(camera, metrics) as run:
        for _ in range(7):
            camera.allowed.release()
            next(run)
        run.pause()
        camera.allowed.release()
        until(lambda: run.stats.sources["door"].ledger.captured == 8)
        told = scrape(metrics)
    source = ("id", "door"), ("source", "door")
    assert metrics.address[0] == "127.0.0.1"
    assert told["framehook_frames_delivered_total", *source] == 7
    assert told["framehook_frames_captured_total", *source] == 8
    assert told["framehook_frames_dropped_total", ("cause", "paused"), *source] == 1
    assert told["framehook_frames_pending", *source] == 0
    assert told["framehook_source_state", *source, ("state", "connected")] == 1
    assert told["framehook_source_state", *source, ("state", "reconnecting")] == 0
    assert told["framehook_source_connections_total", *source] == 1
    assert 0 < told["framehook_latency_seconds", source[0], ("quantile", "0.5"), source[1]] < 10
    assert told["framehook_stage_seconds", ("stage", "inference")] > 0


def test_dropped_frames_are_told_by_cause_and_sources_of_one_name_apart():
    metrics = Metrics(0)
    sources = [TestSource(size=(64, 48), fps=30, frames=9) for _ in range(2)]
    with play(sources, metrics, vid_stride=3) as run:
        for _ in range(6):
            next(run)
        told = scrape(metrics)
    for source in sources:
        key = ("framehook_frames_dropped_total", ("cause", "stride"), ("id", source.info.id), ("source", "testsrc"))
        assert told[key] == 6


def test_nothing_is_served_before_and_after_a_run():
    metrics = Metrics(0)
    list(play("testsrc:64x48@30:2", metrics))
    with pytest.raises(OSError, match="refused"):
        scrape(metrics)
    list(play("testsrc:64x48@30:2", metrics))


def test_a_port_that_is_taken_or_none_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CallbackError, match=rf"metrics cannot be served at 127\.0\.0\.1:{port} \(.*choose another port"):
            list(play("testsrc:64x48@30:2", Metrics(port)))
    with pytest.raises(OptionError, match="port=70000 is not possible"):
        Metrics(70000)
