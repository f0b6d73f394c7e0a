"""The figures of a run for Prometheus."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from framehook.inference.callbacks.base import Callback
from framehook.inference.callbacks.per_source import PerRun
from framehook.inference.connection import SourceState
from framehook.inference.errors import MissingDependencyError, OptionError
from framehook.inference.stats import SourceStats, Stats

if TYPE_CHECKING:
    from framehook.inference.predictor import Predictor

_QUANTILES = {"p50": "0.5", "p95": "0.95", "p99": "0.99"}


class Metrics(Callback):
    """Serves `predictor.stats` at `http://host:port/metrics` while a run goes on.

    Needs the `prometheus-client` package. Nothing is served beyond this computer unless `host` says so. Figures are read when
    they are asked for, so that serving them costs a run nothing.
    """

    order: ClassVar[int] = 1000
    foreground_only: ClassVar[bool] = True

    def __init__(self, port: int, *, host: str = "127.0.0.1") -> None:
        """Choose where to serve.

        Args:
            port: 1 to 65535, or 0 for any that is free; see `address`.
            host: Address to listen on; `0.0.0.0` serves every network that this computer is in.

        Raises:
            OptionError: no such port.
            MissingDependencyError: `prometheus-client` is not installed.
        """
        if port not in range(65536):
            raise OptionError(f"port={port!r} is not possible; pass a number from 0 to 65535")
        try:
            import prometheus_client  # noqa: F401
        except ImportError:
            raise MissingDependencyError(
                "metrics need the package prometheus-client; install it with: pip install 'framehook[metrics]'"
            ) from None
        self.host = host
        self.port = port
        self.address: tuple[str, int] | None = None
        """(host, port) of the run that began last."""
        self._servers: PerRun[_Server] = PerRun(_Server)

    def on_predict_start(self, predictor: Predictor) -> None:
        self.address = self._servers.of(predictor).begin(self.host, self.port, predictor)

    def on_predict_end(self, predictor: Predictor) -> None:
        server = self._servers.pop(predictor)
        if server is not None:
            server.end()


class _Server:
    """Serves the figures of one run."""

    def __init__(self) -> None:
        self._server: Any = None
        self._thread: threading.Thread | None = None

    def begin(self, host: str, port: int, predictor: Predictor) -> tuple[str, int]:
        from prometheus_client import CollectorRegistry, start_http_server

        registry = CollectorRegistry()
        registry.register(_Collector(predictor))
        try:
            self._server, self._thread = start_http_server(port, addr=host, registry=registry)
        except OSError as error:
            raise OptionError(
                f"metrics cannot be served at {host}:{port} ({error.strerror or error}); choose another port"
            ) from error
        return host, self._server.server_port

    def end(self) -> None:
        if self._server is None or self._thread is None:
            return
        import socket  # 7 ms, for those alone who serve metrics

        # The server looks twice a second whether it is to end, and after each request; so it gets one.
        ending = threading.Thread(target=self._server.shutdown, name="framehook-metrics-end", daemon=True)
        ending.start()
        with contextlib.suppress(OSError), socket.create_connection(self._server.server_address[:2], timeout=1):
            pass
        if threading.current_thread() is not self._thread:  # an abandoned run may be collected anywhere
            ending.join()
            self._thread.join()
        self._server.server_close()


class _Collector:
    """What a scrape gets. It holds no run that nobody else holds."""

    def __init__(self, predictor: Predictor) -> None:
        self._held = weakref.ref(predictor)

    def describe(self) -> Iterable[Any]:
        """Nothing: the figures are not to be read before the run has begun."""
        return ()

    def collect(self) -> Iterator[Any]:
        """The figures now."""
        predictor = self._held()
        if predictor is not None:
            stats = predictor.stats
            yield from _of_run(stats)
            yield from _of_sources(list(stats.sources.values()))


def _of_run(stats: Stats) -> Iterator[Any]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    yield GaugeMetricFamily("framehook_run_seconds", "How long the run has been going on", stats.elapsed)
    yield CounterMetricFamily("framehook_detections", "Boxes handed on", stats.detections)
    yield CounterMetricFamily(
        "framehook_background_dropped", "Calls of background callbacks that were dropped", stats.background_dropped
    )
    stages = GaugeMetricFamily("framehook_stage_seconds", "Mean time of a frame in a stage, recently", labels=["stage"])
    for stage, milliseconds in stats.speed.items():
        stages.add_metric([stage], milliseconds / 1e3)
    yield stages


def _of_sources(sources: list[SourceStats]) -> Iterator[Any]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    # Names alone may be shared, and numbers of the same id say which is which.
    labels = [[each.source.name, each.source.id] for each in sources]
    captured = CounterMetricFamily("framehook_frames_captured", "Frames taken from a source", labels=["source", "id"])
    delivered = CounterMetricFamily(
        "framehook_frames_delivered", "Frames that went through all events", labels=["source", "id"]
    )
    dropped = CounterMetricFamily("framehook_frames_dropped", "Frames lost, by cause", labels=["source", "id", "cause"])
    pending = GaugeMetricFamily("framehook_frames_pending", "Frames read ahead or under way", labels=["source", "id"])
    state = GaugeMetricFamily("framehook_source_state", "1 for the state a source is in", labels=["source", "id", "state"])
    connections = CounterMetricFamily("framehook_source_connections", "How often a source connected", labels=["source", "id"])
    failures = GaugeMetricFamily("framehook_source_failures", "Failed attempts since it was connected", labels=["source", "id"])
    silence = GaugeMetricFamily(
        "framehook_source_silence_seconds", "Since the last frame was captured", labels=["source", "id"]
    )
    fps = GaugeMetricFamily("framehook_fps", "Frames handed on per second, recently", labels=["source", "id"])
    latency = GaugeMetricFamily(
        "framehook_latency_seconds", "From capture to hand-over, recently", labels=["source", "id", "quantile"]
    )
    for label, each in zip(labels, sources, strict=True):
        captured.add_metric(label, each.ledger.captured)
        delivered.add_metric(label, each.ledger.delivered)
        pending.add_metric(label, each.ledger.pending)
        connections.add_metric(label, each.connections)
        failures.add_metric(label, each.failures)
        fps.add_metric(label, each.fps)
        for cause, number in each.ledger.dropped.items():
            dropped.add_metric([*label, str(cause)], number)
        for one in SourceState:
            state.add_metric([*label, str(one)], float(each.state is one))
        if each.silence is not None:
            silence.add_metric(label, each.silence)
        if each.latency is not None:
            for name, quantile in _QUANTILES.items():
                latency.add_metric([*label, quantile], getattr(each.latency, name) / 1e3)
    yield from (captured, delivered, dropped, pending, state, connections, failures, silence, fps, latency)
