"""What a remote session costs a training, with its MLflow server killed for half of the epochs, and what is there in the end.

    python benchmarks/remote.py [--epochs 20] [--model yolo11n.yaml] [--imgsz 160] [--data data.yaml] [--mode killed slow up]

A real `mlflow server` on this computer, and a training on a small synthetic set (or on `--data`). In mode `killed` the server
is killed (SIGKILL) after a quarter of the epochs and started again after three quarters; in mode `slow` it stands behind a
relay that lets through 500 kB a second; in mode `up` nothing happens to it. The cost is the time that the session's callbacks
took in the thread that trains, as the registry of callbacks measures it; the wait at the end of the training, for what is left
to be sent, is told beside it. It ends with 1 if anything is missing on the server.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any, Final

from framehook.inference.callbacks import Callback, Callbacks
from framehook.training.callbacks.remote import RemoteSession
from framehook.training.data import write_example
from framehook.training.trainer import Trainer

SLOW: Final = 500_000
"""Bytes a second that the relay of mode `slow` lets through."""


class Server:
    """A real MLflow server, which can be killed and comes back with all it knew."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.files = folder / "files"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and do not wait for it."""
        store = ("--backend-store-uri", f"sqlite:///{self._folder / 'mlflow.db'}", "--artifacts-destination", str(self.files))
        command = (sys.executable, "-m", "mlflow", "server", "--port", str(self.port), "--workers", "1", *store)
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self._folder, env={**os.environ, **quiet}, stdout=log, stderr=log, start_new_session=True
            )

    def wait(self) -> None:
        """Wait until it answers."""
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/health", timeout=5):
                return
            time.sleep(0.1)

    def kill(self) -> None:
        """Kill it and all its processes."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


class Relay:
    """Stands before a server and lets a few bytes a second through."""

    def __init__(self, port: int) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._port = port
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                taken, _ = self._listening.accept()
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
                onward = socket.create_connection(("127.0.0.1", self._port))
                for one, other, slow in ((taken, onward, True), (onward, taken, False)):
                    threading.Thread(target=_pass_on, args=(one, other, slow), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket, slow: bool) -> None:
    with contextlib.suppress(OSError):
        while chunk := one.recv(2000):
            other.sendall(chunk)
            if slow:
                time.sleep(len(chunk) / SLOW)
        other.shutdown(socket.SHUT_WR)


class Trouble(Callback):
    """Kills the server after a quarter of the epochs, and starts it again after three quarters."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def on_fit_epoch_end(self, trainer: Any) -> None:
        """An epoch is over."""
        done = trainer.epoch + 1
        if done == trainer.epochs // 4:
            self._server.kill()
        elif done == trainer.epochs * 3 // 4:
            self._server.start()


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--model", default="yolo11n.yaml")
    parser.add_argument("--imgsz", type=int, default=160)
    parser.add_argument("--data", type=Path, default=None, help="a dataset; left out, 64 synthetic pictures")
    parser.add_argument("--mode", choices=("killed", "slow", "up"), nargs="+", default=["killed"])
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server does not outlive this
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = args.data or write_example(folder / "shapes", train=64, val=16, size=(160, 120))
        server = Server(folder)
        server.start()
        server.wait()
        try:
            for mode in args.mode:
                _measure(mode, server, folder / mode, data, args)
        finally:
            server.kill()


def _measure(mode: str, server: Server, save_dir: Path, data: Path, args: argparse.Namespace) -> None:
    relay = Relay(server.port) if mode == "slow" else None
    session = RemoteSession(
        relay.url if relay else server.url, experiment=mode, checkpoints_every=5, heartbeat=1, wait=600, metrics_every=1
    )
    callbacks = Callbacks()
    callbacks.add(session)
    if mode == "killed":
        callbacks.add(Trouble(server))
    trainer = Trainer(
        args.model, callbacks=callbacks, data=data, epochs=args.epochs, imgsz=args.imgsz, save_dir=save_dir, plots=False
    )
    took: dict[str, float] = {}

    def observe(registration: Any, seconds: float, error: BaseException | None) -> None:
        del error
        if registration.name == "RemoteSession":
            took[registration.event] = took.get(registration.event, 0) + seconds

    trainer.callbacks.observer = observe
    began = time.perf_counter()
    trainer.run()
    status = session.status
    assert status is not None  # a training began
    if relay:
        relay.close()
    training = time.perf_counter() - began - status.waited
    cost = sum(took.values()) - status.waited
    print(f"{mode}: {args.epochs} epochs in {training:.1f} s")
    print(f"  callbacks in the training's thread  {cost * 1e3:8.1f} ms  {cost / training:8.3%}")
    print(f"  the wait at its end                 {status.waited * 1e3:8.1f} ms")
    print(f"  requests that failed {status.failures}, entries sent {status.sent}, left {status.waiting}, lost {status.dropped}")
    _check(mode, server, trainer)


def _check(mode: str, server: Server, trainer: Trainer) -> None:
    """What MLflow's own client finds on the server."""
    from mlflow.tracking import MlflowClient

    server.wait()
    client = MlflowClient(tracking_uri=server.url)
    (run,) = client.search_runs([client.get_experiment_by_name(mode).experiment_id])
    wanted = {*trainer.label_loss_items(None, prefix="train"), *trainer.metrics, *trainer.lr, "fitness", "epoch_time"}
    found = [client.get_metric_history(run.info.run_id, each.replace("(", "").replace(")", "")) for each in sorted(wanted)]
    whole = sum([each.step for each in points] == list(range(1, trainer.epochs + 1)) for points in found)
    stored = server.files / run.info.experiment_id / run.info.run_id / "artifacts" / "weights" / "best.pt"
    same = stored.is_file() and stored.read_bytes() == trainer.best.read_bytes()
    model = "the same" if same else "MISSING"
    print(f"  metrics with every epoch once {whole} of {len(wanted)}; final model {model}; {run.info.status}")
    if whole < len(wanted) or not same or run.info.status != "FINISHED":
        sys.exit(1)


if __name__ == "__main__":
    main()
